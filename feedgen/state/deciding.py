"""Compiled: what toggles.py does, for many events at once."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled
from feedgen.state.moments import code_of, time_of
from feedgen.state.returning import HANDLE, RETURNED
from feedgen.state.rooms import FULL, SMALLEST, carry, wider
from feedgen.state.searching import ABSENT

ID_UNIT: Final = 4
"""Event ids begin at multiples of so many bytes, so that 31 bits can point at 8 GiB of them."""


class Rows(NamedTuple):
    """By left: `ons` entries that are on and `offs` that are off, each ascending by `right`, one behind the other.

    `event`: the handle of an id, and a bit of returning's.
    """

    starts: NDArray[np.int64]
    ons: NDArray[np.int32]
    offs: NDArray[np.int32]
    both: NDArray[np.int32]
    rooms: NDArray[np.int32]
    right: NDArray[np.int32]
    time: NDArray[np.uint32]
    event: NDArray[np.uint32]


class Events(NamedTuple):
    """Parallel; event number n has the id `data[bounds[n]:bounds[n + 1]]`."""

    left: NDArray[np.int64]
    right: NDArray[np.int32]
    on: NDArray[np.bool_]
    ts: NDArray[np.float64]
    bounds: NDArray[np.int64]
    data: NDArray[np.uint8]


class Decided(NamedTuple):
    """By event: whether it is the latest of its pair so far, whether it is the first, and how the switch stood before:
    `was_on` since `was_ts` (False and 0 before the first)."""

    won: NDArray[np.bool_]
    first: NDArray[np.bool_]
    was_on: NDArray[np.bool_]
    was_ts: NDArray[np.float64]


class Used(NamedTuple):
    """How much of the arena, of the exact times and of the ids (in ID_UNITs) is used, and how many events are done."""

    entries: int
    exact: int
    ids: int
    done: int


@compiled
def place_of(right: NDArray[np.int32], first: int, end: int, wanted: int) -> int:
    """Where `wanted` stands, or belongs, between `first` and `end`, ascending. O(log n)."""
    while first < end:
        middle = (first + end) >> 1
        if right[middle] < wanted:
            first = middle + 1
        else:
            end = middle
    return first


@compiled
def _id_before(ids: NDArray[np.uint8], handle: int, data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the id behind the handle sorts before `data[start:end]`."""
    at = np.int64(handle & np.uint32(HANDLE)) * ID_UNIT
    length, wanted = np.int64(ids[at]), end - start
    for place in range(length if length < wanted else wanted):
        mine, theirs = ids[at + 1 + place], data[start + place]
        if mine != theirs:
            return mine < theirs
    return length < wanted


@compiled
def keep_id(ids: NDArray[np.uint8], used: int, data: NDArray[np.uint8], start: int, end: int, before: int) -> int:
    """Put an id into the place of another if it fits, else behind what is used; its handle. The empty one is 0."""
    if start == end:
        return 0
    units = (end - start) // ID_UNIT + 1  # one byte for the length
    fits = before and units <= np.int64(ids[np.int64(before) * ID_UNIT]) // ID_UNIT + 1
    handle = before if fits else used
    at = np.int64(handle) * ID_UNIT
    ids[at] = end - start
    for place in range(end - start):
        ids[at + 1 + place] = data[start + place]
    return handle


@compiled
def _push(rows: Rows, first: int, last: int) -> None:
    """Entries `first` … `last − 1` one to the right."""
    right, time, event = rows.right, rows.time, rows.event
    for at in range(last, first, -1):
        right[at], time[at], event[at] = right[at - 1], time[at - 1], event[at - 1]


@compiled
def _pull(rows: Rows, first: int, last: int) -> None:
    """Entries `first + 1` … `last` one to the left."""
    right, time, event = rows.right, rows.time, rows.event
    for at in range(first, last):
        right[at], time[at], event[at] = right[at + 1], time[at + 1], event[at + 1]


@compiled
def _insert(rows: Rows, left: int, wanted: int, on: bool) -> int:
    """Open a place for a new entry; the row has room for it. O(row)."""
    start = rows.starts[left]
    middle = start + rows.ons[left]
    end = middle + rows.offs[left]
    if on:
        at = place_of(rows.right, start, middle, wanted)
        rows.ons[left] += 1
    else:
        at = place_of(rows.right, middle, end, wanted)
        rows.offs[left] += 1
    rows.both[left] += 1
    _push(rows, at, end)
    rows.right[at] = wanted
    return at


@compiled
def _turn(rows: Rows, left: int, at: int, on: bool) -> int:
    """Carry an entry to the other part of its row; where it is then. O(row)."""
    start = rows.starts[left]
    middle = start + rows.ons[left]
    end = middle + rows.offs[left]
    wanted = rows.right[at]
    if on:
        to = place_of(rows.right, start, middle, wanted)
        _push(rows, to, at)
        rows.ons[left] += 1
        rows.offs[left] -= 1
    else:
        to = place_of(rows.right, middle, end, wanted) - 1
        _pull(rows, at, to)
        rows.ons[left] -= 1
        rows.offs[left] += 1
    rows.right[to] = wanted
    return to


@compiled
def find(rows: Rows, left: int, wanted: int) -> int:
    """Where the entry of a pair stands, or ABSENT. O(log row)."""
    if left >= len(rows.starts):
        return ABSENT
    start = rows.starts[left]
    middle = start + rows.ons[left]
    at = place_of(rows.right, start, middle, wanted)
    if at < middle and rows.right[at] == wanted:
        return at
    end = middle + rows.offs[left]
    at = place_of(rows.right, middle, end, wanted)
    return at if at < end and rows.right[at] == wanted else ABSENT


@compiled
def _make_room(rows: Rows, left: int, used: int) -> int:
    """Room for one more in the row; what is used then, or FULL."""
    count, source = rows.both[left], rows.starts[left]
    if count < rows.rooms[left]:
        return used
    start, used = wider(rows.starts, rows.rooms, left, max(SMALLEST, count + (count >> 1)), used, len(rows.right))
    if start == FULL:
        return FULL
    if start != source:
        carry(rows.right, source, start, count)
        carry(rows.time, source, start, count)
        carry(rows.event, source, start, count)
        rows.starts[left] = start
    return used


@compiled
def _put(
    rows: Rows, at: int, events: Events, number: int, exact: Any, ids: Any, used: tuple[int, int]
) -> tuple[int, int]:
    """The event's time and id into an entry; what is used of `exact` and of `ids` then."""
    exact_used, ids_used = used
    start, end = events.bounds[number], events.bounds[number + 1]
    code, exact_used = code_of(events.ts[number], exact, exact_used, np.int64(rows.time[at]))
    before = rows.event[at]
    handle = keep_id(ids, ids_used, events.data, start, end, np.int64(before & np.uint32(HANDLE)))
    rows.time[at], rows.event[at] = code, np.uint32(handle) | before & np.uint32(RETURNED)
    return exact_used, ids_used + ((end - start) // ID_UNIT + 1 if handle == ids_used else 0)


@compiled
def decide_all(rows: Rows, exact: Any, ids: Any, events: Events, decided: Decided, used: Used) -> Used:
    """Take events in, from number `done` on, until the arena is full; `exact` and `ids` have room for all of them."""
    entries, exact_used, ids_used, first = used
    for number in range(first, len(events.left)):
        left, on, ts = events.left[number], events.on[number], events.ts[number]
        at = find(rows, left, events.right[number])
        if at == ABSENT:
            room = _make_room(rows, left, entries)
            if room == FULL:
                return Used(entries, exact_used, ids_used, number)
            entries = room
            at = _insert(rows, left, events.right[number], on)
            rows.time[at], rows.event[at] = 0, 0
            decided.won[number], decided.first[number] = True, True
            decided.was_on[number], decided.was_ts[number] = False, 0.0
        else:
            was_on, was_ts = at < rows.starts[left] + rows.ons[left], time_of(np.int64(rows.time[at]), exact)
            later = ts > was_ts or (
                ts == was_ts
                and _id_before(ids, rows.event[at], events.data, events.bounds[number], events.bounds[number + 1])
            )
            decided.won[number], decided.first[number] = later, False
            decided.was_on[number], decided.was_ts[number] = was_on, was_ts
            if not later:
                continue
            if was_on != on:
                time, event = rows.time[at], rows.event[at]
                at = _turn(rows, left, at, on)
                rows.time[at], rows.event[at] = time, event
        exact_used, ids_used = _put(rows, at, events, number, exact, ids, (exact_used, ids_used))
    return Used(entries, exact_used, ids_used, len(events.left))
