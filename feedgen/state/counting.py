"""Compiled: sums over everyone's engagements."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled


@compiled
def units_of(table: NDArray[np.int64], value: int, now_hour: int) -> int:
    """What one engagement (engagement.py: `_pack`) counts; `table` by kind and age in hours, 0 past its end."""
    age = max(now_hour - (value >> 5 & 0x7FFFFFF), 0)
    if age >= table.shape[1]:
        return 0
    units = table[value >> 1 & 15, age]
    return -units if value & 1 else units


@compiled
def add_units(table: NDArray[np.int64], posts: Any, values: Any, now_hour: int, into: NDArray[np.int64]) -> None:
    """Add each engagement's units to its post's. O(n)."""
    for at in range(len(posts)):
        into[posts[at]] += units_of(table, np.int64(values[at]), now_hour)


@compiled
def sum_units(
    table: NDArray[np.int64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int32],
    values: NDArray[np.int64],
    now_hour: int,
    into: NDArray[np.int64],
) -> None:
    """The units of every post. O(posts + engagements)."""
    for post in range(len(starts)):
        total = 0
        for at in range(starts[post], starts[post] + counts[post]):
            total += units_of(table, values[at], now_hour)
        into[post] = total
