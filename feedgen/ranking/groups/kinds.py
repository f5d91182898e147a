"""What was done with the post, kind by kind: by everyone, and by those whom the viewer follows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.compiled import compiled
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


@compiled
def count(
    by_post: Spans,
    near: NDArray[np.bool_],
    now_hour: int,
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """SIGNALS of each post, a row of `out`, from column `first` on. O(engagements with `posts`).

    `near`: by user, whether the viewer follows them; it is False for the viewer.
    """
    for at in range(len(posts)):
        for column in range(first, first + _COUNT):
            out[at, column] = 0.0
        for value in list_of(by_post, posts[at]):
            kind = value >> 1 & KIND_MASK
            if kind >= _READ:
                continue
            sign, who, age = 1 - 2 * (value & BACK), value >> POST_SHIFT, now_hour - (value >> 5 & HOUR_MASK)
            by_followee = near[who]
            out[at, first + _EVER + kind] += sign
            if by_followee:
                out[at, first + _NEAR + kind] += sign
            if age <= _WEEK_HOURS:
                out[at, first + _WEEK + kind] += sign
                out[at, first + _NEAR_WEEK] += sign * by_followee
            if age <= _DAY_HOURS:
                out[at, first + _DAY + kind] += sign
                out[at, first + _NEAR_DAY] += sign * by_followee
