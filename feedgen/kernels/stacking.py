"""FTRL-proximal over rows of weights that are shared by all heads, one example after the other."""

from typing import NamedTuple

import numpy as np
from numba import float32
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled
from feedgen.kernels.exact import squash
from feedgen.kernels.forest import LEAVES


class Rates(NamedTuple):
    """Of FTRL; see feedgen.models.stacking.Pace. float32 each."""

    alpha: np.float32
    beta: np.float32
    l1: np.float32
    l2: np.float32


@compiled
def _weight(z: float, n: float, rates: Rates) -> float:
    if abs(z) <= rates.l1:
        return float32(0.0)
    signed = rates.l1 if z > 0 else -rates.l1
    return (signed - z) / ((rates.beta + np.sqrt(n)) / rates.alpha + rates.l2)


@compiled
def weigh(z: NDArray[np.float32], n: NDArray[np.float32], rates: Rates, into: NDArray[np.float32]) -> None:
    """The weights that the sums `z` and `n` stand for; shapes (rows, heads). O(rows × heads)."""
    for row in range(z.shape[0]):
        for head in range(z.shape[1]):
            into[row, head] = _weight(z[row, head], n[row, head], rates)


@compiled
def learn(
    leaves: NDArray[np.uint16],
    hashed: NDArray[np.uint32],
    start: NDArray[np.float64],
    happened: NDArray[np.bool_],
    counts: NDArray[np.float64],
    z: NDArray[np.float32],
    n: NDArray[np.float32],
    rates: Rates,
    foreseen: NDArray[np.float64],
) -> None:
    """For each row in turn: `foreseen` from the weights as they are, then the sums follow its gradient."""
    trees, ids = leaves.shape[1], hashed.shape[1]
    active = np.empty(trees + ids, np.int64)
    for at in range(leaves.shape[0]):
        for tree in range(trees):
            active[tree] = tree * LEAVES + np.int64(leaves[at, tree])
        for number in range(ids):
            active[trees + number] = trees * LEAVES + np.int64(hashed[at, number])
        odds = foreseen[at]
        for head in range(start.shape[1]):
            logit = start[at, head]
            for row in active:
                logit += _weight(z[row, head], n[row, head], rates)
            odds[head] = logit
        squash(odds)
        for head in range(start.shape[1]):
            slope = float32((odds[head] - happened[at, head]) * counts[at])
            for row in active:
                before = n[row, head]
                after = before + slope * slope
                weight = _weight(z[row, head], before, rates)
                z[row, head] += slope - (np.sqrt(after) - np.sqrt(before)) / rates.alpha * weight
                n[row, head] = after
