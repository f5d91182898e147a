"""The best of many by two keys, ties by outside id: which they are, and in which order."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled, inner
from feedgen.state.symbols import Names

_FEW: Final = 16
"""So many are merged at once; more are dealt. And steps that inserting may take for each, on average."""
_STEEP: Final = 1e300
_DIGIT: Final = 8
_CELLS: Final = 1 << _DIGIT
_GREATEST: Final = (1 << 63) - 1


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


@inner
def _tie_before(keys: Keys, one: int, other: int) -> bool:
    """Whether position `one` sorts before `other`, their first keys being equal. Total where ids differ."""
    mine, theirs = keys.second[one], keys.second[other]
    if mine != theirs:
        return mine < theirs
    return name_before(keys.names.bounds, keys.names.data, keys.ids[one], keys.ids[other])


@inner
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
    """The positions in `line` in order; stable. O(n) for keys that are spread, or in order already; O(n log n) for any.

    Every second comparison is a wrong guess of the processor, so keys are dealt by the digits of their size first; what
    shares all digits is inserted, or merged where there is much of it.
    """
    if _in_order(keys, line):
        return line.copy()
    value = keys.first[line]
    low, high = _bounds(value)
    scale = (_CELLS * _CELLS - 1) / (high - low)
    if len(line) <= _FEW or not 0.0 < scale < _STEEP:
        return _merged(keys, line)
    size = np.empty(len(line), np.uint32)
    for at in range(len(line)):
        size[at] = np.int32((value[at] - low) * scale)  # never falls while the key rises
    places, alike = _dealt(size), 0
    for at in range(1, len(line)):
        alike += size[places[at]] == size[places[at - 1]]
    if alike * alike > _FEW * len(line):
        return _merged(keys, line)
    places = line[places]
    _insert(keys, places)
    return places


@inner
def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """The least and the greatest, which are numbers. As integers of the same order, so that eight go at a time."""
    bits, least, greatest = values.view(np.int64), _GREATEST, -_GREATEST
    for at in range(len(bits)):
        one = bits[at] ^ (bits[at] >> 63 & _GREATEST)
        least, greatest = min(least, one), max(greatest, one)
    low, high = least ^ (least >> 63 & _GREATEST), greatest ^ (greatest >> 63 & _GREATEST)
    return np.int64(low).view(np.float64), np.int64(high).view(np.float64)


@inner
def _in_order(keys: Keys, line: NDArray[np.int32]) -> bool:
    first, rises = keys.first, True
    for at in range(1, len(line)):  # eight at a time, as nothing ends it early
        rises &= first[line[at - 1]] < first[line[at]]
    if rises:
        return True
    for at in range(1, len(line)):
        before, after = first[line[at - 1]], first[line[at]]
        if after < before or (after == before and _tie_before(keys, line[at], line[at - 1])):
            return False
    return True


@inner
def _dealt(size: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Positions by size, of two digits: by the lower one, then by the higher one. Stable."""
    count, starts, low, high = len(size), np.zeros((2, _CELLS), np.uint32), np.uint32(_CELLS - 1), np.uint32(_DIGIT)
    lower, places = np.empty(count, np.int32), np.empty(count, np.int32)
    for one in size:
        starts[0, one & low] += np.uint32(1)
        starts[1, one >> high] += np.uint32(1)
    before, above = np.uint32(0), np.uint32(0)
    for cell in range(_CELLS):
        starts[0, cell], before = before, before + starts[0, cell]
        starts[1, cell], above = above, above + starts[1, cell]
    for at in range(count):
        cell = size[at] & low
        lower[starts[0, cell]] = at
        starts[0, cell] += np.uint32(1)
    for at in lower:
        cell = size[at] >> high
        places[starts[1, cell]] = at
        starts[1, cell] += np.uint32(1)
    return places


@inner
def _insert(keys: Keys, line: NDArray[np.int32]) -> None:
    """What is in the order of its cells needs a few steps to the left at most."""
    first = keys.first
    above = first[line[0]]
    for at in range(1, len(line)):
        one, put = line[at], at
        mine = first[one]
        if mine > above:
            above = mine
            continue
        while put > 0:
            theirs = first[line[put - 1]]
            if mine > theirs or (mine == theirs and not _tie_before(keys, one, line[put - 1])):
                break
            line[put] = line[put - 1]
            put -= 1
        line[put] = one


@inner
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


@inner
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
