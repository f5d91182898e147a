"""Compiled: a hash table of names in a byte arena, by open addressing. A slot holds the number of a name, or EMPTY."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled

EMPTY: Final = -1
_PRIME: Final = np.uint64(0x100000001B3)
_MIX_1: Final = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2: Final = np.uint64(0xC4CEB9FE1A85EC53)
_HALF: Final = np.uint64(33)


@compiled
def hash_of(data: NDArray[np.uint8], start: int, end: int, seed: int) -> int:
    """FNV-1a from a seed, and MurmurHash3's last mixing, as the table takes the lower bits. O(length)."""
    found = np.uint64(seed)
    for at in range(start, end):
        found = (found ^ np.uint64(data[at])) * _PRIME
    found = (found ^ (found >> _HALF)) * _MIX_1
    found = (found ^ (found >> _HALF)) * _MIX_2
    return found ^ (found >> _HALF)


@compiled
def same(
    one: NDArray[np.uint8], start: int, end: int, other: NDArray[np.uint8], other_start: int, other_end: int
) -> bool:
    """Whether two stretches of bytes are equal."""
    if end - start != other_end - other_start:
        return False
    shift = other_start - start
    for at in range(start, end):  # noqa: SIM110 - what is compiled has no generators
        if one[at] != other[at + shift]:
            return False
    return True


@compiled
def slot_of(
    slots: NDArray[np.int32],
    bounds: NDArray[np.int64],
    data: NDArray[np.uint8],
    seed: int,
    keys: NDArray[np.uint8],
    start: int,
    end: int,
) -> int:
    """The slot that holds the name `keys[start:end]`, or the empty one where it belongs. Expected O(length)."""
    mask = len(slots) - 1
    at = np.int64(hash_of(keys, start, end, seed) & np.uint64(mask))
    while slots[at] != EMPTY:
        known = slots[at]
        if same(data, bounds[known], bounds[known + 1], keys, start, end):
            break
        at = (at + 1) & mask
    return at


@compiled
def number_all(
    slots: NDArray[np.int32],
    bounds: NDArray[np.int64],
    data: NDArray[np.uint8],
    count: int,
    seed: int,
    key_bounds: NDArray[np.int64],
    keys: NDArray[np.uint8],
    numbers: NDArray[np.int32],
) -> int:
    """The number of each key, a new one where it is new; how many names there are then. The arrays have room."""
    for key in range(len(numbers)):
        start, end = key_bounds[key], key_bounds[key + 1]
        slot = slot_of(slots, bounds, data, seed, keys, start, end)
        if slots[slot] == EMPTY:
            first = bounds[count]
            for at in range(start, end):
                data[first + at - start] = keys[at]
            bounds[count + 1] = first + end - start
            slots[slot] = count
            count += 1
        numbers[key] = slots[slot]
    return count


@compiled
def find_all(
    slots: NDArray[np.int32],
    bounds: NDArray[np.int64],
    data: NDArray[np.uint8],
    seed: int,
    key_bounds: NDArray[np.int64],
    keys: NDArray[np.uint8],
    numbers: NDArray[np.int32],
) -> None:
    """The number of each key, EMPTY where it is not known."""
    for key in range(len(numbers)):
        numbers[key] = slots[slot_of(slots, bounds, data, seed, keys, key_bounds[key], key_bounds[key + 1])]


@compiled
def enter_all(
    slots: NDArray[np.int32], bounds: NDArray[np.int64], data: NDArray[np.uint8], count: int, seed: int
) -> None:
    """Fill empty slots with names that are known to differ. O(bytes)."""
    mask = len(slots) - 1
    for number in range(count):
        at = np.int64(hash_of(data, bounds[number], bounds[number + 1], seed) & np.uint64(mask))
        while slots[at] != EMPTY:
            at = (at + 1) & mask
        slots[at] = number


@compiled
def write_numbers(first: int, prefix: NDArray[np.uint8], bounds: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
    """Names prefix + `first`, prefix + `first + 1`, … in decimal, as many as `bounds` has room for."""
    at = 0
    for place in range(len(bounds) - 1):
        for one in range(len(prefix)):
            data[at + one] = prefix[one]
        at += len(prefix)
        number, digits = first + place, 1
        while 10**digits <= number:
            digits += 1
        for digit in range(digits):
            data[at + digits - 1 - digit] = 48 + number % 10
            number //= 10
        at += digits
        bounds[place + 1] = at
