"""Where the processor's time goes: one viewer of each batch is timed, stage by stage, at next to no cost."""

import time
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner

STAGES: Final = (
    *("marks", "network", "taste", "sources", "filters", "author_features", "post_features", "followee_engagement"),
    *("heads", "diversity", "packing"),
)
"""Of one viewer, in this order. `marks`: whom the viewer follows, and what was seen and done; `network`: retained posts
of followees; `filters`: and which posts are beyond their author's rate; `followee_engagement`: the feature `network`;
`heads`: scores, and picking the best."""
OF_MARKS, OF_NETWORK, OF_TASTE, OF_SOURCES, OF_FILTERS, OF_AUTHORS, OF_POSTS, OF_ENGAGEMENT = range(8)
OF_HEADS, OF_DIVERSITY, OF_PACKING = range(8, 11)
_intrinsic: Any = intrinsic  # numba has no annotations
_cgutils: Any = cgutils
_NS: Final = 1_000_000_000


@_intrinsic
def _thread_ns(typing: Any) -> Any:
    """time.thread_time_ns: what the thread has had of the processor, so that others' turns do not count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, long = ir.IntType(32), ir.IntType(64)
        moment = _cgutils.alloca_once(builder, ir.LiteralStructType([long, long]))
        kind = ir.FunctionType(word, [word, moment.type])
        clock = _cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(clock, [word(time.CLOCK_THREAD_CPUTIME_ID), moment])
        whole, rest = (builder.load(_cgutils.gep_inbounds(builder, moment, 0, part)) for part in range(2))
        return builder.add(builder.mul(whole, long(_NS)), rest)

    return types.int64(), generate


@inner
def timed(row: int, rows: int) -> bool:
    """Whether a viewer of the batch is the one who is: the one in the middle, when caches are as they mostly are."""
    return row == rows // 2


@inner
def begin(took: NDArray[np.int64], watched: bool) -> None:
    """`took`: int64 by stage, ns, and then when the last of them ended."""
    if watched:
        took[len(STAGES)] = _thread_ns()


@inner
def lap(took: NDArray[np.int64], watched: bool, stage: int) -> None:
    """What was taken since the last lap is the stage's. 0.2 µs for the one who is timed."""
    if watched:
        now = _thread_ns()
        took[stage] += now - took[len(STAGES)]
        took[len(STAGES)] = now
