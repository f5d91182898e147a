"""What was done with the post, kind by kind: by everyone, and by those whom the viewer follows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.prefetch import prefetch
from feedgen.ranking.groups.columns import Signal, is_near
from feedgen.ranking.groups.compiled import inner
from feedgen.state.engagement import BACK, HOUR_MASK, KIND, KIND_MASK, POST_SHIFT, WINDOWS
from feedgen.state.lists import Spans, list_of

_INF: Final = float("inf")
COST: Final = "O(engagements with a candidate)"
READ: Final = ("like", "comment", "share", "save", "click")
"""The first of KINDS, in their order."""
assert all(KIND[kind] == place for place, kind in enumerate(READ))
_READ: Final = len(READ)
_DAY: Final = 0
_WEEK: Final = _READ
_EVER: Final = 2 * _READ
_NEAR: Final = 3 * _READ
EVERYONE: Final = _NEAR
"""So many of the columns say what everyone did."""
_NEAR_DAY: Final = 4 * _READ
_NEAR_WEEK: Final = _NEAR_DAY + 1
"""Columns: of each kind its own from the first four on."""


def _count(name: str, says: str) -> Signal:
    return Signal(name, "engagements", -_INF, _INF, "never", says)


SIGNALS: Final = (
    *(_count(f"{kind}_1d", f"{kind}s within a day, by anyone") for kind in READ),
    *(_count(f"{kind}_7d", "the same within 7 days") for kind in READ),
    *(_count(f"{kind}_ever", "the same, ever") for kind in READ),
    *(_count(f"{kind}_near", f"{kind}s by users whom the viewer follows, ever") for kind in READ),
    _count("near_1d", "of all these kinds, by users whom the viewer follows, within a day"),
    _count("near_7d", "the same within 7 days"),
)
_COUNT: Final = len(SIGNALS)
_DAY_HOURS: Final = WINDOWS["1d"]
_WEEK_HOURS: Final = WINDOWS["7d"]
_AHEAD: Final = 8
"""Rows after the one that is counted, whose engagements are fetched meanwhile; where they stand, twice as many."""


@inner
def fill_everyone(by_post: Spans, now_hour: int, post: int, out: NDArray[np.float32], row: int, first: int) -> None:
    """The first EVERYONE of SIGNALS of a row, from column `first` on. O(engagements with the post)."""
    for column in range(first, first + EVERYONE):
        out[row, column] = 0.0
    for value in list_of(by_post, post):
        kind = value >> 1 & KIND_MASK
        if kind >= _READ:
            continue
        sign, age = 1 - 2 * (value & BACK), now_hour - (value >> 5 & HOUR_MASK)
        out[row, first + _EVER + kind] += sign
        if age <= _WEEK_HOURS:
            out[row, first + _WEEK + kind] += sign
        if age <= _DAY_HOURS:
            out[row, first + _DAY + kind] += sign


@inner
def fill_near(
    by_post: Spans,
    near: NDArray[np.uint32],
    now_hour: int,
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """The others, of every row, in columns of `out`. O(engagements with `posts`)."""
    out[first + EVERYONE : first + _COUNT] = 0.0
    starts, counts, values, last = by_post.starts, by_post.counts, by_post.values, len(posts) - 1
    for row in range(len(posts)):
        coming, later = posts[min(row + _AHEAD, last)], posts[min(row + 2 * _AHEAD, last)]
        prefetch(starts, later)
        prefetch(counts, later)
        prefetch(values, starts[coming] if coming < len(starts) else 0)
        if posts[row] >= len(starts):
            continue
        start = starts[posts[row]]
        for at in range(start, start + counts[posts[row]]):
            value = values[at]
            kind = value >> 1 & KIND_MASK
            if is_near(near, value >> POST_SHIFT) == 0 or kind >= _READ:
                continue
            sign, age = 1 - 2 * (value & BACK), now_hour - (value >> 5 & HOUR_MASK)
            out[first + _NEAR + kind, row] += sign
            out[first + _NEAR_WEEK, row] += sign * (age <= _WEEK_HOURS)
            out[first + _NEAR_DAY, row] += sign * (age <= _DAY_HOURS)
