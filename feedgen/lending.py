"""Arrays lent to compiled functions, which then do not count who holds them."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # numba has no annotations


@_intrinsic
def lent(typing: Any, value: Any) -> Any:
    """The same arrays, in tuples of any depth, without their counts."""

    def bare(context: Any, builder: Any, kind: Any, found: Any) -> Any:
        if isinstance(kind, types.Array):
            parts = context.make_array(kind)(context, builder, found)
            parts.meminfo, parts.parent = ir.Constant(parts.meminfo.type, None), ir.Constant(parts.parent.type, None)
            return parts._getvalue()
        if isinstance(kind, types.BaseTuple):
            inside: Any = kind
            for place, part in enumerate(inside):
                lent_part = bare(context, builder, part, builder.extract_value(found, place))
                found = builder.insert_value(found, lent_part, place)
        return found

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return bare(context, builder, signature.args[0], arguments[0])

    return value(value), generate
