"""Bits of 512 rows at once: what the compiler does not find by itself in a loop, said to it as operations on vectors.

No instruction of a processor is named, so that each has its own: one or two of them for 512 bits, or eight. The same
said as loops took twice as long (feedgen/kernels/forest.py).
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROWS: Final = 512
WORDS: Final = ROWS // 64
"""A bit a row, in words of 64."""
PLANES: Final = 5
"""Bits of a number below 32."""
_intrinsic: Any = intrinsic  # its annotations count the first argument, which the compiler gives
_BIT, _BYTE, _WORD = (ir.IntType(bits) for bits in (1, 8, 64))
_FLOATS: Final = ir.VectorType(ir.FloatType(), 64)
_FLAGS: Final = ir.VectorType(_BIT, 64)
_BYTES: Final = ir.VectorType(_BYTE, 64)
_LANES: Final = ir.VectorType(_WORD, WORDS)


def _at(context: Any, builder: Any, kind: Any, array: Any, place: Any, lanes: Any) -> Any:
    """A pointer to so many lanes from a place of an array on."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), lanes.as_pointer())


def _load(builder: Any, pointer: Any, align: int) -> Any:
    found = builder.load(pointer)
    found.align = align
    return found


def _store(builder: Any, value: Any, pointer: Any, align: int) -> None:
    builder.store(value, pointer).align = align


@_intrinsic
def above(_: Any, column: Any, first: Any, threshold: Any) -> Any:
    """Which of 64 float32 from `first` on are more than the threshold: bits of a word, the first one lowest."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _load(builder, _at(context, builder, signature.args[0], args[0], args[1], _FLOATS), 4)
        nothing, lowest = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        one = builder.insert_element(nothing, args[2], lowest)
        edge = builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
        return builder.bitcast(builder.fcmp_ordered(">", values, edge), _WORD)

    return types.uint64(column, types.intp, types.float32), code


@_intrinsic
def part(_: Any, reach: Any, here: Any, other: Any, tests: Any, test: Any) -> Any:
    """Of the rows in row `here` of `reach`, those under row `test` of `tests` go to row `other`; the others stay.

    `reach`, `tests`: uint64 (…, WORDS).
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, each = signature.args, ir.Constant(_WORD, WORDS)

        def row(which: int, number: int) -> Any:
            start = builder.mul(args[number], each)
            return _at(context, builder, kind[which], args[which], start, _LANES)

        rows = _load(builder, row(0, 1), 8)
        gone = builder.and_(rows, _load(builder, row(3, 4), 8))
        _store(builder, builder.xor(rows, gone), row(0, 1), 8)
        _store(builder, gone, row(0, 2), 8)
        return context.get_dummy_value()

    return types.void(reach, types.intp, types.intp, tests, types.intp), code


@_intrinsic
def settle(_: Any, reach: Any, where: Any) -> Any:
    """Of each of ROWS rows the row of `reach`, uint64 (32, WORDS), that its bit is set in; into `where`, uint8."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (kind, into), nothing = signature.args, ir.Constant(_LANES, [0] * WORDS)
        planes = [nothing] * PLANES
        for which in range(1 << PLANES):
            pointer = _at(context, builder, kind, args[0], ir.Constant(_WORD, WORDS * which), _LANES)
            rows = _load(builder, pointer, 8)
            planes = [builder.or_(one, rows) if which >> bit & 1 else one for bit, one in enumerate(planes)]
        for word in range(WORDS):
            found = ir.Constant(_BYTES, [0] * 64)
            for bit, plane in enumerate(planes):
                flags = builder.bitcast(builder.extract_element(plane, ir.Constant(ir.IntType(32), word)), _FLAGS)
                values = (ir.Constant(_BYTES, [value] * 64) for value in (1 << bit, 0))
                found = builder.or_(found, builder.select(flags, *values))
            pointer = _at(context, builder, into, args[1], ir.Constant(_WORD, 64 * word), _BYTES)
            _store(builder, found, pointer, 1)
        return context.get_dummy_value()

    return types.void(reach, where), code
