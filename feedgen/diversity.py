"""Diversity re-orders a ranked list; it loses nothing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Diverse(NamedTuple):
    """`adjusted`: float32, what the list is to be ordered by now. `repeats`: earlier posts by the same author."""

    adjusted: NDArray[np.float32]
    repeats: NDArray[np.int64]


def penalise_repeats(scores: NDArray[np.float64], authors: NDArray[np.int32], penalty: float) -> Diverse:
    """Each earlier post by the same author costs `penalty` of the min-max normalised score.

    `scores` descending, `authors` beside it. Taking the best next item at every place under this rule gives the same
    order as sorting by the adjusted score, because an author's own posts keep their order. O(n log n).
    """
    if not len(scores):
        return Diverse(np.empty(0, np.float32), np.empty(0, np.int64))
    spread = float(scores[0] - scores[-1])
    normalised = (scores - scores[-1]) / spread if spread > 0 else np.zeros(len(scores))
    by_author = np.argsort(authors, kind="stable")
    grouped = authors[by_author]
    starts = np.flatnonzero(np.concatenate(([True], grouped[1:] != grouped[:-1])))
    within = np.arange(len(scores)) - np.repeat(starts, np.diff(np.append(starts, len(scores))))
    repeats = np.empty(len(scores), np.int64)
    repeats[by_author] = within
    return Diverse((normalised - penalty * repeats).astype(np.float32), repeats)
