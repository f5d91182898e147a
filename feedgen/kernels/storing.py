"""Stores eight bytes at once, wherever they belong: ids are written one behind the other, whatever their lengths."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # numba has no annotations


@_intrinsic
def store_code(typing: Any, data: Any, at: Any, code: Any) -> Any:
    """The bytes of a uint64, the lowest first, into a uint8 array from `at` on, which must have room for all eight."""
    if not (
        isinstance(data, types.Array) and data.layout == "C" and data.dtype == types.uint8 and code == types.uint64
    ):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        builder.store(arguments[2], builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, code), generate
