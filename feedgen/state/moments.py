"""Compiled: times in four bytes. A whole second before 2038 is its own code; another time has a place in a side array.

A code of EXACT or more is that plus the place, which is used again when the time behind a code changes.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled

EXACT: Final = 1 << 31


@compiled
def time_of(code: int, exact: NDArray[np.float64]) -> float:
    """Seconds since the epoch. O(1)."""
    return np.float64(code) if code < EXACT else exact[code - EXACT]


def times_of(codes: NDArray[np.uint32], exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """`time_of` each, by numpy. O(codes)."""
    times, aside = codes.astype(np.float64), np.flatnonzero(codes >= EXACT)
    times[aside] = exact[codes[aside].astype(np.int64) - EXACT]
    return times


@compiled
def code_of(time: float, exact: NDArray[np.float64], used: int, before: int) -> tuple[int, int]:
    """The code of a time, and how much of `exact` is used then. `before`: the code it replaces, 0 for none. O(1)."""
    if 0.0 <= time < EXACT and np.floor(time) == time:
        return np.int64(time), used
    if before >= EXACT:
        exact[before - EXACT] = time
        return before, used
    exact[used] = time
    return EXACT + used, used + 1
