"""What the wide lines read: every input, on a scale on which a straight line is of use."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.line import Scale, add_up, follow, level_out
from feedgen.models.logistic import Floats
from feedgen.ranking.features import FEATURES
from feedgen.ranking.signals import SIGNALS

_NEVER_H: Final = 87_600.0
"""Hours (ten years) that stand for what never was: a time that is missing is long ago, not an average one."""
_MISSING: Final = np.zeros(len(FEATURES) + len(SIGNALS), np.float32)
_MISSING[[len(FEATURES) + at for at, signal in enumerate(SIGNALS) if signal.unit == "h"]] = _NEVER_H
SCALE: Final = Scale(_MISSING, _NEVER_H, len(FEATURES))
"""Signals as ±ln(1 + |value|), times that are missing as ten years, other things that are missing as 0. Features are
logarithms already."""


def levelled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """On that scale. Shape (rows, INPUTS), finite; O(n), copies."""
    level = np.empty(rows.shape, np.float32)
    level_out(np.ascontiguousarray(rows, np.float32), SCALE, level)
    return level


def along(line: Floats, rows: NDArray[np.float32]) -> Floats:
    """Σ weight × input by row, from the inputs as they are made; 0 for no line. O(rows × inputs)."""
    sums: Floats = np.empty(len(rows))
    follow(np.ascontiguousarray(rows, np.float32), SCALE, line, sums)
    return sums


def logits_of(level: NDArray[np.float32], weights: Floats, bias: Floats) -> Floats:
    """Log-odds, shape (rows, heads); a BLAS product may round differently for another batch shape, this does not.

    `weights`: shape (heads, INPUTS). O(rows × inputs × heads).
    """
    sums: Floats = np.empty((len(level), len(weights)))
    add_up(np.ascontiguousarray(level, np.float32), np.ascontiguousarray(weights), bias, sums)
    return sums
