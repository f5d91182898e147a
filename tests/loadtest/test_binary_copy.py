"""Binary COPY made by numpy is, to the byte, what packing field by field makes."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadtest.binary_copy import rows

INTS = st.integers(-(2**31), 2**31 - 1)
ROWS = st.lists(st.tuples(INTS, st.floats(allow_nan=False), INTS), max_size=40)


def packed(values: tuple[int, float, int]) -> bytes:
    """One row of int, float8 and int."""
    one, two, three = values
    return struct.pack("!hiiidii", 3, 4, one, 8, two, 4, three)


@given(ROWS)
def test_rows_are_what_packing_each_field_makes(table: list[tuple[int, float, int]]) -> None:
    one, two, three = zip(*table, strict=True) if table else ((), (), ())
    columns = np.array(one, np.int32), np.array(two, np.float64), np.array(three, np.int32)
    assert rows(*columns) == b"".join(packed(values) for values in table)
