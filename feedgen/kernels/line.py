"""Lines over many inputs: which values they read, and what they add up to."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled


@compiled
def fill_in(rows: NDArray[np.float32], missing: NDArray[np.float32], most: float, into: NDArray[np.float32]) -> None:
    """The rows with what stands in `missing` by column for NaN, and ±`most` for infinities. Shapes (rows, inputs)."""
    edge = np.float32(most)
    for row in range(rows.shape[0]):
        for column in range(rows.shape[1]):
            value = rows[row, column]
            value = missing[column] if np.isnan(value) else value
            into[row, column] = np.copysign(edge, value) if np.isinf(value) else value


@compiled
def add_up(
    level: NDArray[np.float32], weights: NDArray[np.float64], bias: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    """`sums`, shape (rows, heads): Σ weight × input + bias. `weights`: shape (heads, inputs).

    Four sums go on beside each other, so that none waits for the one before; a row has the same alone and among others.
    """
    inputs = weights.shape[1]
    whole = inputs - inputs % 4
    for row in range(level.shape[0]):
        for head in range(weights.shape[0]):
            one, two, three, four = 0.0, 0.0, 0.0, 0.0
            for at in range(0, whole, 4):
                one += weights[head, at] * level[row, at]
                two += weights[head, at + 1] * level[row, at + 1]
                three += weights[head, at + 2] * level[row, at + 2]
                four += weights[head, at + 3] * level[row, at + 3]
            for at in range(whole, inputs):
                one += weights[head, at] * level[row, at]
            sums[row, head] = bias[head] + ((one + two) + (three + four))
