"""Stage one: the scoring heads over all candidates of a viewer, and the best of them.

Stage two, where there is one, puts its own scores into `Picked.scores` before mixing.mix makes feeds of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.exact import squash
from feedgen.kernels.features import ROWS
from feedgen.kernels.picking import Keys, arranged
from feedgen.state.symbols import Names


class Scoring(NamedTuple):
    """The parts of ranking.heads.Heads, what a post beyond its author's rate loses, and how many are picked."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    values: NDArray[np.float64]
    squashed: bool
    penalty: float
    items: int


class Picked(NamedTuple):
    """The best candidates by viewer and rank, `counts[v]` of them, best first; shape (viewers, items).

    `origin`: place in SOURCES; `scores`: before what `damped` ones lose. `features`: shape (viewers, items, FEATURES),
    or empty where no second stage needs them.
    """

    counts: NDArray[np.int64]
    posts: NDArray[np.int32]
    origin: NDArray[np.uint8]
    damped: NDArray[np.bool_]
    scores: NDArray[np.float64]
    features: NDArray[np.float64]


@compiled
def score(rows: NDArray[np.float64], scoring: Scoring, scores: NDArray[np.float64]) -> None:
    """Heads.score of the candidates whose features stand in the columns of `rows`, then `finite_or_last`."""
    sums = np.empty(len(scores))
    scores[:] = 0.0
    for head in range(len(scoring.values)):
        _sum(rows, scoring.weights[head], scoring.bias[head], sums)
        if scoring.squashed:
            squash(sums)
        value = scoring.values[head]
        for at in range(len(scores)):
            scores[at] += sums[at] * value
    _finite_or_last(scores)


@inner
def _sum(rows: NDArray[np.float64], weights: NDArray[np.float64], bias: float, sums: NDArray[np.float64]) -> None:
    """Of eight candidates at a time, as the number of features is known to the compiler."""
    for at in range(len(sums)):
        total = bias
        for row in range(ROWS):
            total += rows[row, at] * weights[row]
        sums[at] = total


@inner
def _finite_or_last(scores: NDArray[np.float64]) -> None:
    """A score that is not finite counts less than every other."""
    whole = True
    for total in scores:
        whole &= np.isfinite(total)
    if whole:
        return
    lowest = np.inf
    for total in scores:
        if np.isfinite(total):
            lowest = min(lowest, total)
    last = lowest - 1.0 if np.isfinite(lowest) else 0.0
    for at in range(len(scores)):
        if not np.isfinite(scores[at]):
            scores[at] = last


@inner
def by_rank(
    scores: NDArray[np.float64], damped: NDArray[np.bool_], penalty: float, posts: NDArray[np.int32], names: Names
) -> Keys:
    """What orders candidates: their scores, less what the damped ones lose, best first; ties by outside id."""
    first = np.empty(len(scores))
    for at in range(len(scores)):
        first[at] = -(scores[at] - penalty * damped[at])
    return Keys(first, np.zeros(len(scores)), posts, names)


@inner
def pick(
    names: Names,
    scoring: Scoring,
    posts: NDArray[np.int32],
    origin: NDArray[np.uint8],
    damped: NDArray[np.bool_],
    rows: NDArray[np.float64],
    into: Picked,
    place: int,
) -> None:
    """The best of one viewer's candidates, `rows` being their features. O(candidates × features × heads)."""
    scores = np.empty(len(posts))
    score(rows, scoring, scores)
    keys = by_rank(scores, damped, scoring.penalty, posts, names)
    best = arranged(keys, np.arange(len(posts)).astype(np.int32))[: scoring.items]
    into.counts[place] = len(best)
    into_posts, into_origin = into.posts[place], into.origin[place]
    into_damped, into_scores = into.damped[place], into.scores[place]
    for rank in range(len(best)):
        at = best[rank]
        into_posts[rank], into_origin[rank] = posts[at], origin[at]
        into_damped[rank], into_scores[rank] = damped[at], scores[at]
    if len(into.features):
        for rank in range(len(best)):
            into.features[place, rank] = rows[:, best[rank]]
