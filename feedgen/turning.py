"""Rows of float32 as columns, a square block at a time, said as operations on vectors; no processor's are named."""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

SIDE: Final = 16
"""Rows and columns of a block."""
_intrinsic: Any = intrinsic  # its annotations count the first argument, which the compiler gives
_WORD: Final = ir.IntType(64)
_LINE: Final = ir.VectorType(ir.FloatType(), SIDE)


@_intrinsic
def turn(_: Any, starts: Any, first: Any, column: Any, into: Any, row: Any, place: Any) -> Any:
    """Columns `column` to `column + SIDE` of SIDE rows, as what `into` has in as many rows from `row` on, from `place`.

    `starts`, int64: addresses of rows, those from `first` on. `into` is contiguous, of float32: nothing else compiles.
    Halves of ever closer pairs of rows change places, as in a butterfly.
    """

    if into.layout != "C" or into.dtype != types.float32 or starts.dtype != types.int64:
        return None  # the compiler says where

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        addresses, result = (context.make_array(signature.args[at])(context, builder, args[at]) for at in (0, 3))
        skipped = builder.shl(args[2], ir.Constant(_WORD, 2))
        wide = builder.extract_value(result.shape, 1)

        def source(at: int) -> Any:
            start = builder.load(builder.gep(addresses.data, [builder.add(args[1], ir.Constant(_WORD, at))]))
            return builder.inttoptr(builder.add(start, skipped), _LINE.as_pointer())

        def target(at: int) -> Any:
            start = builder.mul(builder.add(args[4], ir.Constant(_WORD, at)), wide)
            return builder.bitcast(builder.gep(result.data, [builder.add(start, args[5])]), _LINE.as_pointer())

        def mixed(one: Any, other: Any, distance: int, *, upper: bool) -> Any:
            taken = [at ^ distance if bool(at & distance) != upper else at for at in range(SIDE)]
            mask = [at + SIDE * (bool(place & distance)) for place, at in enumerate(taken)]
            return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), SIDE), mask))

        lines = [builder.load(source(at), align=4) for at in range(SIDE)]
        distance = SIDE // 2
        while distance:
            for at in range(SIDE):
                if not at & distance:
                    one, other = lines[at], lines[at | distance]
                    lines[at] = mixed(one, other, distance, upper=False)
                    lines[at | distance] = mixed(one, other, distance, upper=True)
            distance //= 2
        for at, line in enumerate(lines):
            builder.store(line, target(at), align=4)
        return context.get_dummy_value()

    return types.void(starts, types.intp, types.intp, into, types.intp, types.intp), code
