"""Rows as columns, 512 of them at a time: so a loop over a column has as many numbers as vectors like."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner
from feedgen.kernels.lanes import SIDE, turn


@inner
def columns_of(rows: NDArray[np.float32], first: int, count: int, into: NDArray[np.float32]) -> None:
    """Rows `first` to `first + count` as columns; what is left of a column is 0."""
    inputs = rows.shape[1]
    if count < SIDE or inputs < SIDE:
        for at in range(count):
            for column in range(inputs):
                into[column, at] = rows[first + at, column]
    else:  # the last block of a side may go over some of the one before it again
        for block in range(0, count, SIDE):
            at = min(block, count - SIDE)
            for left in range(0, inputs, SIDE):
                turn(rows, first + at, min(left, inputs - SIDE), into, at)
    into[:, count:] = 0.0
