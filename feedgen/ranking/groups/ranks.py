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
def _digit(key: int, step: int) -> int:
    return int(key >> np.uint32(_BITS * step) & np.uint32(_CELLS - 1))


@inner
def _sorted(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Positions in ascending order of their keys, digit by digit, but for those that are the same in all. O(n)."""
    count, cells = len(keys), np.zeros((_STEPS, _CELLS), np.int32)
    line, other = np.arange(count).astype(np.int32), np.empty(count, np.int32)
    for at in range(count):
        for step in range(_STEPS):
            cells[step, _digit(keys[at], step)] += 1
    for step in range(_STEPS):
        begins, total = cells[step], 0
        if count and begins[_digit(keys[0], step)] == count:
            continue
        for cell in range(_CELLS):
            begins[cell], total = total, total + begins[cell]
        for place in range(count):
            at = line[place]
            cell = _digit(keys[at], step)
            other[begins[cell]] = at
            begins[cell] += 1
        line, other = other, line
    return line


@inner
def fill(column: NDArray[np.float32], sign: int, into: NDArray[np.float32]) -> None:
    """Of each number how many are lower, times `sign`, NaN last. O(n)."""
    keys = np.empty(len(column), np.uint32)
    for at in range(len(column)):
        value = sign * column[at]
        keys[at] = _key(np.inf if np.isnan(value) else value + 0.0)  # there is but one zero
    line, lower = _sorted(keys), 0
    for place in range(len(line)):
        if place and keys[line[place]] != keys[line[place - 1]]:
            lower = place
        into[line[place]] = lower
