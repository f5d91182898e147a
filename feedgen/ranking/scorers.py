"""Scorers: features → one score each."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """Scores the candidates of one viewer."""

    def score(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (candidates,), higher is better, from shape (candidates, features)."""
        ...


def finite_or_last(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """A score that is not finite counts as less than every other. O(n); copies where needed."""
    broken = ~np.isfinite(scores)
    if not broken.any():
        return scores
    finite = scores[~broken]
    lowest = float(finite.min()) - 1.0 if len(finite) else 0.0
    fixed: NDArray[np.float64] = np.where(broken, lowest, scores)
    return fixed
