"""Where a candidate stands among the viewer's: a model that reads one row at a time cannot compare otherwise."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.compiled import inner

COST: Final = "O(candidates / 16) a candidate"
RANKED: Final = (("age", 1), ("topic_share", -1), ("share_365d", -1), ("viewer_topic", -1), ("author_hazard", -1))
"""What candidates are ranked by, and whether ascending; those for whom it is missing come last."""
SIGNALS: Final = tuple(
    Signal(f"rank_{name}", "candidates", 0, float("inf"), "never", f"with a {'lower' if sign > 0 else 'higher'} {name}")
    for name, sign in RANKED
)


@inner
def _key(value: float) -> int:
    """A number that ascends as the value does."""
    bits = np.float32(value).view(np.int32)
    return int(np.uint32(bits ^ (bits >> 31 | np.int64(-2147483648))))


@inner
def fill(out: NDArray[np.float32], column: int, sign: int, into: int) -> None:
    """How many rows are lower in `column`, times `sign`, NaN last; into column `into`.

    O(n² / 16): each is compared with all the others, vector by vector, which up to a thousand rows is quicker than to
    sort them.
    """
    keys = np.empty(len(out), np.uint32)
    for at in range(len(out)):
        value = sign * out[at, column]
        keys[at] = _key(np.inf if np.isnan(value) else value + 0.0)  # there is but one zero
    for at in range(len(out)):
        key, lower = keys[at], np.uint32(0)
        for other in range(len(keys)):
            lower += np.uint32(keys[other] < key)
        out[at, into] = lower
