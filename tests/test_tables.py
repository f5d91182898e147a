"""Small hash tables of the kernels, against a dict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from feedgen.kernels.tables import numbered, place_of, table_for, value_of

KEYS = st.lists(
    st.one_of(st.integers(0, 9), st.integers(0, 2**31 - 1), st.integers(0, 2**18).map(lambda at: at << 12)),
    max_size=200,
)
"""Few and many, and those whose lower bits are alike."""


@njit
def _kept(keys: NDArray[np.int32], asked: NDArray[np.int32]) -> NDArray[np.int64]:
    """Each key with the last of its places; what stands with those that are asked for."""
    table, found = table_for(len(keys)), np.empty(len(asked), np.int64)
    for at in range(len(keys)):
        place = place_of(table, keys[at])
        table.entries[place, 0], table.entries[place, 1] = keys[at], at
    for at in range(len(asked)):
        found[at] = value_of(table, asked[at], -7)
    return found


@njit
def _numbered(
    keys: NDArray[np.int32], asked: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    number_of, found = np.empty(len(keys), np.int32), np.empty(len(asked), np.int64)
    distinct, numbers = numbered(keys, number_of)
    for at in range(len(asked)):
        found[at] = value_of(numbers, asked[at], -1)
    return distinct, number_of, found


@given(KEYS, KEYS)
def test_a_table_keeps_what_a_dict_keeps(keys: list[int], others: list[int]) -> None:
    known, asked = {key: at for at, key in enumerate(keys)}, [*keys, *others, -1]
    found = _kept(np.array(keys, np.int32), np.array(asked, np.int32))
    assert found[:-1].tolist() == [known.get(key, -7) for key in asked[:-1]]


@given(KEYS, KEYS)
def test_keys_are_numbered_as_they_come(keys: list[int], others: list[int]) -> None:
    order, asked = list(dict.fromkeys(keys)), [*keys, *others, -1]
    known = {key: number for number, key in enumerate(order)}
    distinct, number_of, found = _numbered(np.array(keys, np.int32), np.array(asked, np.int32))
    assert distinct.tolist() == order
    assert number_of.tolist() == [known[key] for key in keys]
    assert found.tolist() == [known.get(key, -1) for key in asked]


@njit
def _over(keys: NDArray[np.int32]) -> NDArray[np.int32]:
    return numbered(keys, keys)[0]


def test_numbers_may_be_written_over_the_keys() -> None:
    keys = np.array([7, 3, 7, 7, 1, 3], np.int32)
    assert (_over(keys).tolist(), keys.tolist()) == ([7, 3, 1], [0, 1, 0, 0, 2, 1])
