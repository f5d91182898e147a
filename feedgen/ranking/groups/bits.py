"""How many of sixteen numbers have their bit set in a map of bits, said as operations on vectors.

No instruction of a processor is named. As a loop the compiler makes no vectors of it that are worth it: twice as slow.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

AT_ONCE: Final = 16
_intrinsic: Any = intrinsic  # its annotations count the first argument, which the compiler gives
_BIT, _WORD, _PLACE = (ir.IntType(bits) for bits in (1, 32, 64))
_BITS, _WORDS, _PLACES = (ir.VectorType(kind, AT_ONCE) for kind in (_BIT, _WORD, _PLACE))
_POINTERS: Final = ir.VectorType(_WORD.as_pointer(), AT_ONCE)


def _each(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * AT_ONCE)


def _called(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    known = builder.module.globals.get(name)
    return builder.call(known or ir.Function(builder.module, kind, name), args)


@_intrinsic
def set_of(_: Any, bits: Any, numbers: Any, first: Any) -> Any:
    """Of AT_ONCE `numbers`, int32 from `first` on, how many have their bit in `bits` (uint32) set."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words, listed = (context.make_array(signature.args[at])(context, builder, args[at]).data for at in (0, 1))
        who = builder.load(builder.bitcast(builder.gep(listed, [args[2]]), _WORDS.as_pointer()))
        who.align = 4
        nothing, lowest = ir.Constant(_PLACES, ir.Undefined), ir.Constant(_WORD, 0)
        base = builder.insert_element(nothing, builder.ptrtoint(words, _PLACE), lowest)
        begin = builder.shuffle_vector(base, nothing, _each(_WORDS, 0))
        offset = builder.shl(builder.zext(builder.lshr(who, _each(_WORDS, 5)), _PLACES), _each(_PLACES, 2))
        at = builder.inttoptr(builder.add(begin, offset), _POINTERS)
        every, unread = _each(_BITS, 1), ir.Constant(_WORDS, ir.Undefined)
        gather = f"llvm.masked.gather.v{AT_ONCE}i32.v{AT_ONCE}p0i32"
        found = _called(builder, gather, _WORDS, [at, ir.Constant(_WORD, 4), every, unread])
        one = builder.and_(builder.lshr(found, builder.and_(who, _each(_WORDS, 31))), _each(_WORDS, 1))
        return _called(builder, f"llvm.vector.reduce.add.v{AT_ONCE}i32", _WORD, [one])

    return types.int32(bits, numbers, types.intp), code
