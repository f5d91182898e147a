"""Small hash tables of posts or users, one for a viewer: they stay near, where an array by post does not."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_FREE = -1


class Table(NamedTuple):
    """`entries`: int32 (a power of two, 2): a key, 0 or more, and its value; both −1 where it is free."""

    entries: NDArray[np.int32]


@inner
def table_for(count: int) -> Table:
    """Empty, with room for so many keys. At most a quarter is ever used, so that few ask twice. O(count)."""
    size = 16
    while size < 4 * count:
        size *= 2
    return Table(np.full((size, 2), _FREE, np.int32))


@inner
def place_of(table: Table, key: int) -> int:
    """Where the key stands, or the free place where it would. O(1)."""
    entries = table.entries
    last = np.uint64(len(entries) - 1)
    place = (np.uint64(key) * _FACTOR >> _SHIFT) & last
    while (entries[place, 0] != key) & (entries[place, 0] != _FREE):  # one branch, which is seldom taken
        place = (place + np.uint64(1)) & last
    return place


@inner
def value_of(table: Table, key: int, otherwise: int) -> int:
    """What stands with the key. O(1)."""
    entry = table.entries[place_of(table, key)]
    value = np.int64(entry[1])
    return value if entry[0] == key else otherwise


@inner
def numbered(keys: NDArray[np.int32], number_of: NDArray[np.int32]) -> tuple[NDArray[np.int32], Table]:
    """The distinct keys in the order in which they come, and their numbers in it; `number_of`: that of each. O(n)."""
    numbers, distinct, count = table_for(len(keys)), np.empty(len(keys) + 1, np.int32), 0
    entries = numbers.entries
    for at in range(len(keys)):  # no branch on whether it is new, which cannot be guessed
        key = keys[at]
        place = place_of(numbers, key)
        new = entries[place, 0] != key
        number = count if new else entries[place, 1]
        entries[place, 0], entries[place, 1] = key, number
        distinct[count], number_of[at] = key, number
        count += new
    return distinct[:count], numbers
