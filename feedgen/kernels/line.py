"""Lines over many inputs: which values they read, and what they add up to."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columnwise import columns_of
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.exact import ln_32
from feedgen.kernels.lanes import ROWS


class Scale(NamedTuple):
    """On what scale inputs are: `missing`, float32 by column, stands for NaN, ±`most` for infinities; columns from
    `first` on are ±ln(1 + |value|)."""

    missing: NDArray[np.float32]
    most: float
    first: int


@inner
def _level(
    column: NDArray[np.float32], scale: Scale, missing: np.float32, signal: bool, into: NDArray[np.float32]
) -> None:
    edge, one = np.float32(scale.most), np.float32(1.0)
    count = len(column)
    for at in range(count):
        value = column[at]
        value = missing if np.isnan(value) else value
        into[at] = np.copysign(edge, value) if np.isinf(value) else value
    if signal:
        for at in range(count):
            into[at] = np.copysign(ln_32(one + abs(into[at])), into[at])


@inner
def follow_block(
    columns: NDArray[np.float32],
    first: int,
    count: int,
    scale: Scale,
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Σ weight × input, of rows `first` to `first + count`, ROWS at most. `columns`: of rows as they are made.

    Four sums of every fourth input are added up at last, as add_up has them. O(ROWS × inputs).
    """
    parts, level, inputs = np.zeros((4, ROWS)), np.empty(ROWS, np.float32), len(weights)
    whole = inputs - inputs % 4
    for column in range(inputs):
        values = columns[column, first : first + count]
        _level(values, scale, scale.missing[column], column >= scale.first, level)
        part, weight = parts[column % 4 if column < whole else 0], weights[column]
        for at in range(count):
            part[at] += weight * level[at]
    for at in range(count):
        sums[at] = (parts[0, at] + parts[1, at]) + (parts[2, at] + parts[3, at])


@compiled
def follow(rows: NDArray[np.float32], scale: Scale, weights: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    """The same of any rows, shape (rows, inputs); no weights give sums of 0. O(rows × inputs)."""
    values, found = np.empty((rows.shape[1], ROWS), np.float32), np.empty(ROWS)
    for first in range(0, len(rows), ROWS):
        here = min(ROWS, len(rows) - first)
        columns_of(rows, first, here, values)
        follow_block(values, 0, here, scale, weights, found)
        sums[first : first + here] = found[:here]


@compiled
def level_out(rows: NDArray[np.float32], scale: Scale, into: NDArray[np.float32]) -> None:
    """Rows as they are made on that scale. Shapes (rows, inputs)."""
    values, level = np.empty((rows.shape[1], ROWS), np.float32), np.empty(ROWS, np.float32)
    for first in range(0, len(rows), ROWS):
        here = min(ROWS, len(rows) - first)
        columns_of(rows, first, here, values)
        for column in range(len(values)):
            _level(values[column], scale, scale.missing[column], column >= scale.first, level)
            into[first : first + here, column] = level[:here]


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
