"""From log-odds to one score."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.binding import Bound
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.exact import squash
from feedgen.kernels.forest import Trees, Walk, grow_block, room_to_work
from feedgen.kernels.lanes import ROWS
from feedgen.kernels.line import Scale, follow_block


@inner
def _root(total: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
    for at in range(len(total)):
        scores[at] = np.copysign(np.sqrt(abs(total[at])), total[at])


@compiled
def score(logits: NDArray[np.float64], worths: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
    """The root of Σ worth × σ(log-odds), with its sign. `logits`: shape (rows, heads). O(rows × heads)."""
    odds, total = np.empty(len(logits)), np.zeros(len(logits))
    for head in range(len(worths)):
        odds[:] = logits[:, head]
        squash(odds)
        for at in range(len(odds)):
            total[at] += odds[at] * worths[head]
    _root(total, scores)


class Grown(NamedTuple):
    """The parts of models.forests.Forests, and the scale of its line."""

    trees: Trees
    walk: Walk
    start: NDArray[np.float64]
    line: NDArray[np.float64]
    scale: Scale


@compiled
def score_by_trees(
    columns: NDArray[np.float32],
    grown: Bound,
    worths: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """The same of what Forests.logits says of rows as they are made. `columns`: shape (inputs, rows); `grown`: of
    Grown. See forest.grow for the cost."""
    trees, walk, start, line, scale = grown.parts
    rows, work = columns.shape[1], room_to_work(trees, walk)
    lined, odds, nowhere, sums = np.zeros(ROWS), np.empty(ROWS), np.empty((0, 0), np.uint16), work.sums
    for first in range(0, rows, ROWS):
        here = min(ROWS, rows - first)
        if len(line):
            follow_block(columns, first, here, scale, line, lined)
        grow_block(columns, first, here, trees, walk, work, nowhere)
        total = np.zeros(ROWS)
        for head in range(len(worths)):
            bias, of_shared, of_line = start[head, 0], start[head, 1], start[head, 2]
            for at in range(ROWS):
                odds[at] = bias + of_shared * sums[0, at] + sums[head, at] + of_line * lined[at]
            squash(odds)
            for at in range(ROWS):
                total[at] += odds[at] * worths[head]
        _root(total[:here], scores[first : first + here])
