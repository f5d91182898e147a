"""Stage one: the scoring heads over all candidates of a batch, and the best of each viewer.

Stage two, where there is one, puts its own scores into `Picked.scores` before mixing.mix makes feeds of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import compiled
from feedgen.kernels.picking import Keys, arranged, picked
from feedgen.kernels.selecting import Selected
from feedgen.ranking.heads import EXP_TERMS, LN2_HIGH, LN2_LOW, LOG2_E, ROUNDER, STEEPEST


class Scoring(NamedTuple):
    """The parts of ranking.heads.Heads, what a post beyond its author's rate loses, and how many are picked."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    values: NDArray[np.float64]
    squashed: bool
    penalty: float
    items: int


class Picked(NamedTuple):
    """The best candidates by viewer, `counts[v]` of them, best first: `candidate` (position in Selected), and `scores`
    before what `damped` ones lose; shape (viewers, items)."""

    counts: NDArray[np.int64]
    candidate: NDArray[np.int64]
    scores: NDArray[np.float64]


@compiled
def squash(sums: NDArray[np.float64]) -> None:
    """ranking.heads.sigmoid, in place; eight at a time, as nothing in it branches."""
    for at in range(len(sums)):
        exponent = np.minimum(np.maximum(-sums[at], -STEEPEST), STEEPEST)
        twos = (exponent * LOG2_E + ROUNDER) - ROUNDER
        rest = (exponent - twos * LN2_HIGH) - twos * LN2_LOW
        power = EXP_TERMS[12] * rest + EXP_TERMS[11]
        power = power * rest + EXP_TERMS[10]
        power = power * rest + EXP_TERMS[9]
        power = power * rest + EXP_TERMS[8]
        power = power * rest + EXP_TERMS[7]
        power = power * rest + EXP_TERMS[6]
        power = power * rest + EXP_TERMS[5]
        power = power * rest + EXP_TERMS[4]
        power = power * rest + EXP_TERMS[3]
        power = power * rest + EXP_TERMS[2]
        power = power * rest + EXP_TERMS[1]
        power = power * rest + EXP_TERMS[0]
        two = np.int64((np.int64(twos) + 1023) << 52).view(np.float64)  # 2^twos by its bits
        sums[at] = 1.0 / (1.0 + power * two)


@compiled
def score(rows: NDArray[np.float64], scoring: Scoring, scores: NDArray[np.float64]) -> None:
    """Heads.score of the candidates whose features stand in the columns of `rows`, then `finite_or_last`."""
    weights, sums = scoring.weights, np.empty(len(scores))
    scores[:] = 0.0
    for head in range(len(scoring.values)):
        sums[:] = scoring.bias[head]
        for row in range(weights.shape[1]):
            weight = weights[head, row]
            for at in range(len(scores)):
                sums[at] += rows[row, at] * weight
        if scoring.squashed:
            squash(sums)
        value = scoring.values[head]
        for at in range(len(scores)):
            scores[at] += sums[at] * value
    _finite_or_last(scores)


@compiled
def _finite_or_last(scores: NDArray[np.float64]) -> None:
    """A score that is not finite counts less than every other."""
    lowest, broken = np.inf, False
    for total in scores:
        if np.isfinite(total):
            lowest = min(lowest, total)
        else:
            broken = True
    if broken:
        last = lowest - 1.0 if np.isfinite(lowest) else 0.0
        for at in range(len(scores)):
            if not np.isfinite(scores[at]):
                scores[at] = last


@compiled
def by_rank(
    columns: Columns, scores: NDArray[np.float64], damped: NDArray[np.bool_], penalty: float, posts: NDArray[np.int32]
) -> Keys:
    """What orders candidates: their scores, less what the damped ones lose, best first; ties by outside id."""
    first = np.empty(len(scores))
    for at in range(len(scores)):
        first[at] = -(scores[at] - penalty * damped[at])
    return Keys(first, np.zeros(len(scores)), posts, columns.posts.names)


@compiled
def pick(columns: Columns, scoring: Scoring, selected: Selected, into: Picked) -> None:
    """Fill `into`; `selected.rows` hold the features (features.logs). O(candidates × features × heads)."""
    for row in range(len(into.counts)):
        first, end = selected.bounds[row], selected.bounds[row + 1]
        scores = np.empty(end - first)
        score(selected.rows[:, first:end], scoring, scores)
        keys = by_rank(columns, scores, selected.damped[first:end], scoring.penalty, selected.posts[first:end])
        best = arranged(keys, picked(keys, scoring.items))
        into.counts[row] = len(best)
        for place in range(len(best)):
            into.candidate[row, place] = first + best[place]
            into.scores[row, place] = scores[best[place]]
