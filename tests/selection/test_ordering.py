"""One order for everything that is cut or ranked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedgen.selection.ordering import best, ordered

small = st.integers(-2, 2)


@given(st.permutations([f"p{n}" for n in range(12)]), st.lists(st.tuples(small, small), max_size=12))
def test_keys_then_names(names: list[str], keys: list[tuple[int, int]]) -> None:
    ids = np.arange(len(keys), dtype=np.int32)[::-1].copy()
    first = np.array([key[0] for key in keys], np.int64)
    second = np.array([key[1] / 2 for key in keys], np.float64)
    expected = sorted(range(len(keys)), key=lambda at: (keys[at], names[ids[at]]))
    assert ordered(names, ids, first, second).tolist() == expected
    assert ordered(names, ids, first).tolist() == sorted(range(len(keys)), key=lambda at: (keys[at][0], names[ids[at]]))


@given(
    st.permutations([f"p{n}" for n in range(12)]),
    st.lists(st.tuples(small, small), max_size=12),
    st.integers(0, 13),
)
def test_the_best_are_the_first_of_all(names: list[str], keys: list[tuple[int, int]], count: int) -> None:
    ids = np.arange(len(keys), dtype=np.int32)
    first, second = (np.array([key[n] for key in keys], np.float64) for n in (0, 1))
    assert best(names, ids, count, first, second).tolist() == ordered(names, ids, first, second)[:count].tolist()
