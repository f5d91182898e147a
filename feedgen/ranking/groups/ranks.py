"""Where a candidate stands among the viewer's: a model that reads one row at a time cannot compare otherwise."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.compiled import inner

COST: Final = "O(log candidates) a candidate"
RANKED: Final = (("age", 1), ("topic_share", -1), ("share_365d", -1), ("viewer_topic", -1), ("author_hazard", -1))
"""What candidates are ranked by, and whether ascending; those for whom it is missing come last."""
SIGNALS: Final = tuple(
    Signal(f"rank_{name}", "candidates", 0, float("inf"), "never", f"with a {'lower' if sign > 0 else 'higher'} {name}")
    for name, sign in RANKED
)


@inner
def fill(values: NDArray[np.float64], row: NDArray[np.float32]) -> None:
    """`values`: what to rank by, ascending; NaN last. How many are lower, into `row`. O(n log n)."""
    for at in range(len(values)):
        if np.isnan(values[at]):
            values[at] = np.inf
    lower, line = 0, np.argsort(values)
    for place in range(len(line)):
        at = line[place]
        if place and values[at] > values[line[place - 1]]:
            lower = place
        row[at] = lower
