"""What the wide lines read: every input, on a scale on which a straight line is of use."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.models.logistic import Floats
from feedgen.ranking.features import FEATURES
from feedgen.ranking.signals import SIGNALS

_NEVER_H: Final = 87_600.0
"""Hours (ten years) that stand for what never was: a time that is missing is long ago, not an average one."""
_TIMES: Final = np.array([len(FEATURES) + at for at, signal in enumerate(SIGNALS) if signal.unit == "h"])


def levelled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signals as ±ln(1 + |value|), times that are missing as ten years, other things that are missing as 0.

    Features are logarithms already. Shape (rows, INPUTS), finite; O(n), copies.
    """
    level: NDArray[np.float32] = rows.copy()
    times = level[:, _TIMES]
    level[:, _TIMES] = np.where(np.isnan(times), np.float32(_NEVER_H), times)
    level = np.nan_to_num(level, copy=False, nan=0.0, posinf=_NEVER_H, neginf=-_NEVER_H)
    signals = level[:, len(FEATURES) :]
    level[:, len(FEATURES) :] = np.copysign(np.log1p(np.abs(signals)), signals)
    return level


def along(line: Floats, rows: NDArray[np.float32]) -> Floats:
    """Σ weight × input by row, from the inputs as they are made. O(rows × inputs)."""
    return logits_of(levelled(rows), line[None, :], np.zeros(1))[:, 0]


def logits_of(level: NDArray[np.float32], weights: Floats, bias: Floats) -> Floats:
    """Log-odds, shape (rows, heads). Column by column: a BLAS product may round differently for another batch shape.

    `weights`: shape (heads, INPUTS). O(rows × inputs × heads).
    """
    sums: Floats = np.tile(bias[:, None], (1, len(level)))
    columns = np.ascontiguousarray(level.T, np.float64)
    for column, weight in zip(columns, weights.T, strict=True):
        sums += weight[:, None] * column
    return np.ascontiguousarray(sums.T)
