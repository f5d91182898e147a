"""How good foreseen probabilities are: order, surprise, and whether the sums are right."""

import numpy as np
from numpy.typing import NDArray

from feedgen.models.logistic import Floats

Flags = NDArray[np.bool_]


def auc(odds: Floats, happened: Flags, counts: Floats) -> float | None:
    """Chance that what happened was held likelier than what did not; None where one of them is missing. O(n log n)."""
    yes, no = counts * happened, counts * ~happened
    if not yes.sum() or not no.sum():
        return None
    values, place = np.unique(odds, return_inverse=True)
    below = np.bincount(place, no, len(values))
    wins = np.cumsum(below) - below / 2  # a tie is half a win
    return float(np.bincount(place, yes, len(values)) @ wins / (yes.sum() * no.sum()))


def cross_entropy(odds: Floats, happened: Flags, counts: Floats) -> float | None:
    """Mean log loss over that of always saying the mean (He et al., 2014); less than 1 is better. O(n)."""
    mean = float(counts @ happened / counts.sum()) if len(counts) else 0.0
    if not 0 < mean < 1:
        return None
    safe = np.clip(odds, 1e-12, 1 - 1e-12)
    loss = -float(counts @ np.where(happened, np.log(safe), np.log1p(-safe)) / counts.sum())
    return float(loss / -(mean * np.log(mean) + (1 - mean) * np.log1p(-mean)))


def calibration(odds: Floats, happened: Flags, counts: Floats) -> float | None:
    """Foreseen over happened, in all; 1 is right. None where nothing happened. O(n)."""
    there = float(counts @ happened)
    return float(counts @ odds) / there if there else None


def measured(odds: Floats, happened: Flags, counts: Floats) -> dict[str, float | None]:
    """All three."""
    found = {
        "auc": auc(odds, happened, counts),
        "cross_entropy": cross_entropy(odds, happened, counts),
        "calibration": calibration(odds, happened, counts),
    }
    return {name: None if value is None else round(value, 6) for name, value in found.items()}
