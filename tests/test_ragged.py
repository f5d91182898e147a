"""Lists of many owners by the kernel, against a loop over the owners."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from feedgen.kernels.ragged import flat


@njit
def _flat(
    starts: NDArray[np.int64], counts: NDArray[np.int32], values: NDArray[np.int32]
) -> tuple[NDArray[Any], NDArray[np.uint32]]:
    return flat(starts, counts, values)


@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.just(0), st.integers(0, 12))), max_size=30))
def test_all_lists_one_after_the_other(lists: list[tuple[int, int]]) -> None:
    values = np.arange(100, 160, dtype=np.int32)
    starts = np.array([start for start, _ in lists], np.int64)
    counts = np.array([count for _, count in lists], np.int32)
    found, owner = _flat(starts, counts, values)
    assert found.tolist() == [value for start, count in lists for value in values[start : start + count].tolist()]
    assert owner.tolist() == [at for at, (_, count) in enumerate(lists) for _ in range(count)]
