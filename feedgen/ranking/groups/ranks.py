"""Where a candidate stands among the viewer's: a model that reads one row at a time cannot compare otherwise."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.compiled import inner

COST: Final = "O(1) a candidate"
RANKED: Final = (("age", 1), ("topic_share", -1), ("share_365d", -1), ("viewer_topic", -1), ("author_hazard", -1))
"""What candidates are ranked by, and whether ascending; those for whom it is missing come last."""
SIGNALS: Final = tuple(
    Signal(f"rank_{name}", "candidates", 0, float("inf"), "never", f"with a {'lower' if sign > 0 else 'higher'} {name}")
    for name, sign in RANKED
)


_BITS: Final = 8
_STEPS: Final = 32 // _BITS
_CELLS: Final = 1 << _BITS


@inner
def _key(value: float) -> int:
    """A number that ascends as the value does."""
    bits = np.float32(value).view(np.int32)
    return int(np.uint32(bits ^ (bits >> 31 | np.int64(-2147483648))))


@inner
def fill(out: NDArray[np.float32], column: int, sign: int, into: int) -> None:
    """How many rows are lower in `column`, times `sign`, NaN last; into column `into`. O(n)."""
    count = len(out)
    keys, line, other = np.empty(count, np.uint32), np.arange(count), np.empty(count, np.int64)
    for at in range(count):
        value = sign * out[at, column]
        keys[at] = _key(np.inf if np.isnan(value) else value + 0.0)  # there is but one zero
    cells = np.empty(_CELLS + 1, np.int64)
    for step in range(_STEPS):
        shift = np.uint32(_BITS * step)
        cells[:] = 0
        for at in range(count):
            cells[(keys[at] >> shift & np.uint32(_CELLS - 1)) + 1] += 1
        for cell in range(_CELLS):
            cells[cell + 1] += cells[cell]
        for place in range(count):
            at = line[place]
            cell = keys[at] >> shift & np.uint32(_CELLS - 1)
            other[cells[cell]] = at
            cells[cell] += 1
        line, other = other, line
    lower = 0
    for place in range(count):
        if place and keys[line[place]] != keys[line[place - 1]]:
            lower = place
        out[line[place], into] = lower
