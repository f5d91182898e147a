"""Asks the processor to fetch what will soon be read, so that nobody waits for it then. Changes no result.

A loop that only reads needs none of this: the processor runs ahead in it by itself. It pays where a loop also computes,
or takes branches that are guessed wrongly, for what is read after it, or many rounds later.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # numba has no annotations
_TO_READ, _KEPT_CLOSE, _DATA = 0, 3, 1


@_intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """The entry of a one-dimensional array, or the beginning of the row of one of two: its cache line. Any index will
    do, one past the end too."""
    if not isinstance(array, types.Array) or array.ndim > 2:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = context.make_array(signature.args[0])(context, builder, arguments[0])
        word, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        shift = builder.mul(arguments[1], builder.extract_value(parts.strides, 0))
        at = builder.inttoptr(builder.add(builder.ptrtoint(parts.data, shift.type), shift), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(fetch, [at, word(_TO_READ), word(_KEPT_CLOSE), word(_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
