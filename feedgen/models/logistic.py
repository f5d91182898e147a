"""Logistic regression by Newton's method, from data that comes in chunks: a dozen passes, no rows kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Chunk = tuple[NDArray[np.float32], NDArray[np.bool_], Floats]
"""Inputs, shape (n, inputs); whether it happened; what each row counts."""
Chunks = Callable[[], Iterator[Chunk]]
"""The data from its beginning, each time it is called."""

_STEPS: Final = 25
_CLOSE: Final = 1e-8
"""Newton's method has arrived when what a step promises is less than so much a row."""

_FARTHEST: Final = 30.0
"""Log-odds that no shift goes beyond."""


@dataclass(frozen=True)
class Line:
    """log-odds = weights · inputs + bias, inputs as they come; a missing one (NaN) counts as the mean."""

    weights: Floats
    bias: float


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + e^−x), without overflow. O(n).

    For training and judging, by numpy's exp in half the time of ranking.exact's, which feeds are made by: its last bits
    are the processor's, as are those of the products and the trees around it.
    """
    small = np.exp(-np.abs(logits))
    odds: Floats = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return odds


def shift(logits: Floats, happened: NDArray[np.bool_], counts: Floats) -> float:
    """What to add to the log-odds so that as much is foreseen as happened. O(n) for each of some 33 halvings.

    0 where nothing happened, or everything: no shift is enough.
    """
    there, low, high = float(counts @ happened), -_FARTHEST, _FARTHEST
    if not 0.0 < there < counts.sum():
        return 0.0
    while high - low > _CLOSE:
        middle = (low + high) / 2
        if counts @ sigmoid(logits + middle) < there:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def logistic(chunks: Chunks, inputs: int, ridge: float, prior: Line | None = None) -> Line:
    """The line of the greatest likelihood, less `ridge` / 2 × the sum of squared weights (of standardised inputs).

    `prior`: a line from which weights are counted, so that it is what there is without any rows.
    O(rows × inputs²) a step. The same chunks give the same line. Without a row of each kind, and a prior, it is flat.
    """
    mean, spread = _standard(chunks, inputs)
    centre: Floats = np.zeros(inputs + 1)
    if prior is not None:
        centre = np.append(prior.weights * spread, prior.bias + prior.weights @ mean)
    solution = centre
    best = np.inf
    step: Floats = np.zeros(inputs + 1)
    for _ in range(_STEPS):
        loss, gradient, hessian, count = _slopes(chunks, solution + step, centre, mean, spread, ridge)
        if not loss <= best:  # too far: half the way, from where it was better
            step = step / 2
            continue
        best, solution = loss, solution + step
        step = np.linalg.solve(hessian, -gradient).astype(np.float64)
        if -gradient @ step < _CLOSE * max(count, 1.0):
            break
    weights: Floats = solution[:-1] / spread
    return Line(weights, float(solution[-1] - weights @ mean))


def _standard(chunks: Chunks, inputs: int) -> tuple[Floats, Floats]:
    """Mean and spread of each input, 0 and 1 where there is nothing to tell."""
    count, total, squares = np.zeros(inputs), np.zeros(inputs), np.zeros(inputs)
    for rows, _, counts in chunks():
        there = np.isfinite(rows)
        values = np.where(there, rows, 0.0).astype(np.float64)
        weight = there * counts[:, None]
        count += weight.sum(0)
        total += (weight * values).sum(0)
        squares += (weight * values**2).sum(0)
    mean: Floats = total / np.maximum(count, 1e-12)
    spread = np.sqrt(np.maximum(squares / np.maximum(count, 1e-12) - mean**2, 0.0))
    flat = spread <= 1e-9 * np.maximum(np.abs(mean), 1.0)
    return mean, np.where(flat, 1.0, spread)


def _slopes(
    chunks: Chunks, solution: Floats, centre: Floats, mean: Floats, spread: Floats, ridge: float
) -> tuple[float, Floats, Floats, float]:
    """Loss, its gradient and Hessian, and what all rows count together."""
    penalty = np.append(np.full(len(mean), ridge), 1e-9)
    loss, count = float(penalty @ (solution - centre) ** 2) / 2, 0.0
    gradient, hessian = penalty * (solution - centre), np.diag(penalty)
    for rows, happened, counts in chunks():
        values = np.nan_to_num((rows - mean) / spread, nan=0.0, posinf=0.0, neginf=0.0)
        values = np.column_stack((values, np.ones(len(rows))))
        logits = values @ solution
        odds = sigmoid(logits)
        loss += float(counts @ (np.logaddexp(0.0, logits) - happened * logits))
        gradient += values.T @ (counts * (odds - happened))
        hessian += (values * (counts * odds * (1 - odds))[:, None]).T @ values
        count += float(counts.sum())
    return loss, gradient, hessian, count
