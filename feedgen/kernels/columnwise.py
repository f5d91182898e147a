"""Rows as columns, 512 of them at a time: so a loop over a column has as many numbers as vectors like."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner
from feedgen.turning import SIDE, turn


@inner
def columns_of(rows: NDArray[np.float32], first: int, count: int, into: NDArray[np.float32]) -> None:
    """Rows `first` to `first + count` as columns; what is left of a column is 0."""
    inputs = rows.shape[1]
    if count < SIDE or inputs < SIDE:
        for at in range(count):
            for column in range(inputs):
                into[column, at] = rows[first + at, column]
    else:  # the last block of a side may go over some of the one before it again
        begin, wide = np.int64(rows.ctypes.data), inputs * rows.itemsize
        starts = begin + wide * np.arange(first, first + count)
        for block in range(0, count, SIDE):
            at = min(block, count - SIDE)
            for left in range(0, inputs, SIDE):
                column = min(left, inputs - SIDE)
                turn(starts, at, column, into, column, at)
    into[:, count:] = 0.0
