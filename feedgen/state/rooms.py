"""Compiled: rooms in an arena, one for each owner. Several columns may share one arrangement of rooms.

Owner o has `counts[o]` entries from `starts[o]` on, and room for `rooms[o]`. What lies behind `used` is free.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled

SMALLEST: Final = 4
FULL: Final = -1


@compiled
def carry(values: Any, source: int, target: int, count: int) -> None:
    """Copy a stretch to the left, or to where nothing is."""
    for at in range(count):
        values[target + at] = values[source + at]


@compiled
def wider(
    starts: NDArray[np.int64], rooms: NDArray[np.int32], owner: int, wanted: int, used: int, capacity: int
) -> tuple[int, int]:
    """Give the owner a room for `wanted`; where it is, and what is used then. (FULL, used) if there is none.

    The last room of all grows where it stands.
    """
    start = starts[owner] if rooms[owner] and starts[owner] + rooms[owner] == used else used
    if start + wanted > capacity:
        return FULL, used
    rooms[owner] = wanted
    return start, start + wanted


@compiled
def append_all(
    starts: NDArray[np.int64],
    counts: NDArray[np.int32],
    rooms: NDArray[np.int32],
    values: Any,
    used: int,
    owners: Any,
    new: Any,
    done: int,
) -> tuple[int, int]:
    """Append each new value from number `done` on to its owner's list; how many are done, and what is used then."""
    for at in range(done, len(owners)):
        owner = owners[at]
        count = counts[owner]
        if count == rooms[owner]:
            source = starts[owner]
            start, used = wider(starts, rooms, owner, max(SMALLEST, count + (count >> 1)), used, len(values))
            if start == FULL:
                return at, used
            if start != source:
                carry(values, source, start, count)
                starts[owner] = start
        values[starts[owner] + count] = new[at]
        counts[owner] = count + 1
    return len(owners), used


@compiled
def lay_out(
    starts: NDArray[np.int64], rooms: NDArray[np.int32], wanted: Any, used: int, moves: NDArray[np.int64]
) -> tuple[int, int]:
    """Rooms of at least `wanted` for every owner, behind what is used; (moves made, what is used then).

    A row of `moves` is an owner whose entries are to be carried, and from where.
    """
    count = 0
    for owner in range(len(wanted)):
        if wanted[owner] > rooms[owner]:
            moves[count, 0], moves[count, 1] = owner, starts[owner]
            count += 1
            starts[owner], rooms[owner] = used, wanted[owner]
            used += wanted[owner]
    return count, used


@compiled
def carry_out(values: Any, starts: NDArray[np.int64], counts: Any, moves: NDArray[np.int64]) -> None:
    """Carry what `lay_out` moved, in one column."""
    for at in range(len(moves)):
        owner = moves[at, 0]
        carry(values, moves[at, 1], starts[owner], counts[owner])


@compiled
def close_up(starts: NDArray[np.int64], counts: Any, rooms: NDArray[np.int32], order: NDArray[np.int64]) -> int:
    """Rooms as wide as their lists, without a gap, in the order of their starts; what is used then."""
    used = 0
    for owner in order:
        starts[owner], rooms[owner] = used, counts[owner]
        used += counts[owner]
    return used


@compiled
def carry_up(
    values: Any, before: NDArray[np.int64], starts: NDArray[np.int64], counts: Any, order: NDArray[np.int64]
) -> None:
    """Carry what `close_up` moved, in one column; every stretch to the left."""
    for owner in order:
        carry(values, before[owner], starts[owner], counts[owner])
