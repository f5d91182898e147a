"""The best of many by two keys, ties by outside id: which they are, and in which order."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled
from feedgen.state.symbols import Names

_FEW: Final = 48
"""So many are merged at once; more are dealt into cells by their keys first."""
_DIGIT: Final = 9
_DIGITS: Final = 1 << _DIGIT
_LOW_BITS: Final = (1 << 63) - 1


class Keys(NamedTuple):
    """What is compared, by position: `first`, then `second`, both float64 and ascending, then the names of `ids`."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    ids: NDArray[np.int32]
    names: Names


@compiled
def name_before(bounds: NDArray[np.int64], data: NDArray[np.uint8], one: int, other: int) -> bool:
    """Whether the id numbered `one` sorts before `other`: by bytes, which is by code points. O(length)."""
    at, end = bounds[one], bounds[one + 1]
    shift = bounds[other] - at
    last = min(end, bounds[other + 1] - shift)
    while at < last:
        mine, theirs = data[at], data[at + shift]
        if mine != theirs:
            return mine < theirs
        at += 1
    return end - bounds[one] < bounds[other + 1] - bounds[other]


@compiled
def _tie_before(keys: Keys, one: int, other: int) -> bool:
    """Whether position `one` sorts before `other`, their first keys being equal. Total where ids differ."""
    mine, theirs = keys.second[one], keys.second[other]
    if mine != theirs:
        return mine < theirs
    return name_before(keys.names.bounds, keys.names.data, keys.ids[one], keys.ids[other])


@compiled
def _split(keys: Keys, line: NDArray[np.int32], low: int, high: int) -> int:
    """Positions before the pivot to the left of those after it, from `low` to `high`; where the pivot stands then."""
    first = keys.first
    pivot = line[(low + high) >> 1]
    line[(low + high) >> 1], line[high] = line[high], pivot
    edge = first[pivot]
    put = low
    for at in range(low, high):
        one = line[at]
        key = first[one]
        if key < edge or (key == edge and _tie_before(keys, one, pivot)):
            line[at], line[put] = line[put], one
            put += 1
    line[put], line[high] = pivot, line[put]
    return put


@compiled
def picked(keys: Keys, count: int) -> NDArray[np.int32]:
    """The first `count` positions, in no order. Expected O(n)."""
    line = np.arange(len(keys.ids)).astype(np.int32)
    if count >= len(line):
        return line
    if count < 1:
        return line[:0]
    low, high = 0, len(line) - 1
    while low < high:
        at = _split(keys, line, low, high)
        if at < count:
            low = at + 1
        elif at > count:
            high = at - 1
        else:
            break
    return line[:count]


@compiled
def arranged(keys: Keys, line: NDArray[np.int32]) -> NDArray[np.int32]:
    """The positions in `line` in order; stable. O(n) if few keys are nearly equal or all stand in order already.

    Comparing costs a wrong guess of the processor every second time, so keys are dealt, not compared: into 2¹⁸ cells by
    the highest bits that differ, in two rounds; then only those of one cell are merged. O(n log n) if all share one.
    """
    if _in_order(keys, line):
        return line.copy()
    return _merged(keys, line) if len(line) <= _FEW else _dealt(keys, line)


@compiled
def _in_order(keys: Keys, line: NDArray[np.int32]) -> bool:
    first = keys.first
    for at in range(1, len(line)):
        before, after = first[line[at - 1]], first[line[at]]
        if after < before or (after == before and _tie_before(keys, line[at], line[at - 1])):
            return False
    return True


@compiled
def _cells(first: NDArray[np.float64], line: NDArray[np.int32]) -> NDArray[np.int64]:
    """By place in `line`, a cell below 2¹⁸ that never falls while the key rises."""
    bits, low, high = np.empty(len(line), np.int64), np.int64(_LOW_BITS), np.int64(-_LOW_BITS - 1)
    for at in range(len(line)):
        whole = np.float64(first[line[at]] + 0.0).view(np.int64)  # −0 + 0 is 0: they are equal
        whole ^= (whole >> 63) & _LOW_BITS
        bits[at] = whole
        low, high = min(low, whole), max(high, whole)
    spread, shift = np.uint64(high) - np.uint64(low), np.uint64(0)
    while spread >> shift >= np.uint64(_DIGITS * _DIGITS):
        shift += np.uint64(1)
    for at in range(len(line)):
        bits[at] = np.int64((np.uint64(bits[at]) - np.uint64(low)) >> shift)
    return bits


@compiled
def _dealt(keys: Keys, line: NDArray[np.int32]) -> NDArray[np.int32]:
    cells, count = _cells(keys.first, line), len(line)
    places, turned = np.empty(count, np.int32), np.empty(count, np.int32)
    starts = np.zeros((2, _DIGITS), np.int32)
    for cell in cells:
        starts[0, cell & (_DIGITS - 1)] += 1
        starts[1, cell >> _DIGIT] += 1
    before, above = 0, 0
    for digit in range(_DIGITS):
        starts[0, digit], before = before, before + starts[0, digit]
        starts[1, digit], above = above, above + starts[1, digit]
    for at in range(count):
        digit = cells[at] & (_DIGITS - 1)
        places[starts[0, digit]] = at
        starts[0, digit] += 1
    for at in places:
        digit = cells[at] >> _DIGIT
        turned[starts[1, digit]] = at
        starts[1, digit] += 1
    for at in range(count):
        places[at] = line[turned[at]]
    first = 0
    for at in range(1, count + 1):
        if at == count or cells[turned[at]] != cells[turned[first]]:
            if at - first > 1:
                places[first:at] = _merged(keys, places[first:at])
            first = at
    return places


@compiled
def _merged(keys: Keys, line: NDArray[np.int32]) -> NDArray[np.int32]:
    """O(n log n)."""
    count, width = len(line), 1
    source, target = line.copy(), np.empty(len(line), np.int32)
    while width < count:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            _merge(keys, source, target, low, middle, high)
        source, target = target, source
        width *= 2
    return source


@compiled
def _merge(keys: Keys, source: Any, target: Any, low: int, middle: int, high: int) -> None:
    first = keys.first
    left, right = low, middle
    for at in range(low, high):
        turn = left >= middle
        if not turn and right < high:
            mine, theirs = first[source[right]], first[source[left]]
            turn = mine < theirs or (mine == theirs and _tie_before(keys, source[right], source[left]))
        if turn:
            target[at] = source[right]
            right += 1
        else:
            target[at] = source[left]
            left += 1
