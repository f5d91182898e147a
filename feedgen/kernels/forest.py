"""Decision trees over many rows, a bit a row: 512 rows come down a tree together, without a branch.

Every question that a tree asks, whether a column is more than a threshold, is answered once for all trees that ask it;
the answers are 512 bits. All rows are in a tree's first leaf to begin with; each node moves those for which the answer
is yes to the first leaf on its right. What is left of 500 rows in 392 trees of 31 leaves takes 0.13 ms: a quarter of
it the questions, a third the sums. Striking out leaves by row (QuickScorer, Lucchese et al., SIGIR 2015) took 0.5.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columnwise import columns_of
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.exact import squash
from feedgen.kernels.lanes import ROWS, WORDS, above, part, settle

LEAVES: Final = 32
"""A tree has no more."""
MISSING: Final = -1e30
MOST: Final = 1e30
LEAST: Final = 1e-30
"""LightGBM takes what is nearer to 0 than 1e-35 for 0, and float32 has numbers there."""
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_AT_ONCE: Final = 4
"""Trees whose leaves are added up together."""


class Trees(NamedTuple):
    """Trees whose leaves are numbered from left to right.

    By node: `feature`, uint32, the column it looks at; `threshold`, float32; `keep`, uint32, the leaves that are left
    to a row whose value is more; a tree's nodes stand in the order of the leaves between which they decide. `first`,
    int64 (trees + 1): nodes first[t] to first[t + 1] are tree t's. `leaf`: float64 (trees, LEAVES). `bounds`: int64
    (heads + 1); head h sums trees bounds[h] to bounds[h + 1]. Heads after the first may look at one column more than
    the rows have: the probability that the first one gives.
    """

    feature: NDArray[np.uint32]
    threshold: NDArray[np.float32]
    keep: NDArray[np.uint32]
    first: NDArray[np.int64]
    leaf: NDArray[np.float64]
    bounds: NDArray[np.int64]


class Walk(NamedTuple):
    """How rows come down the same trees.

    `columns`, uint32: those that are looked at. Questions: whether column `asked` (a place in `columns`, int64,
    ascending) is more than `edge`, float32. By node, each after the one above it: `here` and `other`, uint8, the first
    leaf of the rows that come to it and of those for which the answer is yes; `question`, uint32.
    """

    columns: NDArray[np.uint32]
    asked: NDArray[np.int64]
    edge: NDArray[np.float32]
    here: NDArray[np.uint8]
    other: NDArray[np.uint8]
    question: NDArray[np.uint32]


@inner
def _tidy(values: NDArray[np.float32], into: NDArray[np.float32]) -> None:
    """As trees see them, which is what feedgen.models.forests.tidy says of rows."""
    for at in range(len(values)):
        value = values[at]
        value = np.float32(MISSING) if np.isnan(value) else value
        value = min(max(value, np.float32(MISSING)), np.float32(MOST))
        into[at] = np.float32(0.0) if abs(value) < np.float32(LEAST) else value


@inner
def _ask(values: NDArray[np.float32], walk: Walk, begin: int, end: int, answers: NDArray[np.uint64]) -> None:
    """Questions `begin` to `end`. `values`: see Work."""
    for which in range(begin, end):
        column, edge = values[walk.asked[which]], walk.edge[which]
        for word in range(WORDS):
            answers[which, word] = above(column, 64 * word, edge)


@inner
def _descend(
    walk: Walk, first: int, end: int, answers: NDArray[np.uint64], reach: NDArray[np.uint64], leaf: NDArray[np.uint8]
) -> None:
    """`leaf`: of each row the one it comes to in the tree of nodes `first` to `end`."""
    reach[0] = _ALL
    for node in range(first, end):
        part(reach, np.int64(walk.here[node]), np.int64(walk.other[node]), answers, np.int64(walk.question[node]))
    for unused in range(end - first + 1, LEAVES):
        reach[unused] = 0
    settle(reach, leaf)


@inner
def _add(values: NDArray[np.float64], leaf: NDArray[np.uint8], sums: NDArray[np.float64]) -> None:
    """Sums go on in the order of the trees. Four at a time, so that the sums are fetched once for all of them."""
    one, two, three, four = values[0], values[1], values[2], values[3]
    for at in range(ROWS):
        sums[at] = sums[at] + one[leaf[0, at]] + two[leaf[1, at]] + three[leaf[2, at]] + four[leaf[3, at]]


@inner
def _sum(
    trees: Trees,
    walk: Walk,
    head: int,
    answers: NDArray[np.uint64],
    sums: NDArray[np.float64],
    leaves: NDArray[np.uint16],
) -> None:
    """Sums of the leaves over the head's trees, in their order; which ones, if there is room for it in `leaves`."""
    reach, leaf = np.zeros((LEAVES, WORDS), np.uint64), np.zeros((_AT_ONCE, ROWS), np.uint8)
    tree, end, first = trees.bounds[head], trees.bounds[head + 1], trees.first
    sums[:] = 0.0
    while tree < end:
        now = min(_AT_ONCE, end - tree)
        for which in range(now):
            _descend(walk, first[tree + which], first[tree + which + 1], answers, reach, leaf[which])
            for at in range(len(leaves)):
                leaves[at, tree + which] = leaf[which, at]
        if now == _AT_ONCE:
            _add(trees.leaf[tree:end], leaf, sums)
        else:
            for which in range(now):
                values, found = trees.leaf[tree + which], leaf[which]
                for at in range(ROWS):
                    sums[at] += values[found[at]]
        tree += now


class Work(NamedTuple):
    """What one block of ROWS rows is worked with. `values`: Walk.columns, tidy; `answers`: by question; `sums`: by
    head, shape (heads, ROWS). Of rows that there are not they hold anything."""

    values: NDArray[np.float32]
    answers: NDArray[np.uint64]
    sums: NDArray[np.float64]


@inner
def room_to_work(trees: Trees, walk: Walk) -> Work:
    """For one block after the other."""
    values, sums = np.empty((len(walk.columns), ROWS), np.float32), np.empty((len(trees.bounds) - 1, ROWS))
    return Work(values, np.empty((len(walk.edge), WORDS), np.uint64), sums)


@inner
def grow_block(
    columns: NDArray[np.float32],
    first: int,
    count: int,
    trees: Trees,
    walk: Walk,
    work: Work,
    leaves: NDArray[np.uint16],
) -> None:
    """`work.sums` of rows `first` to `first + count`, ROWS at most. `columns`: of rows as they are made."""
    values, shared, sums = work.values, len(walk.columns), work.sums
    if shared and walk.columns[shared - 1] == len(columns):
        shared -= 1
    last = np.searchsorted(walk.asked, shared)
    for place in range(shared):
        _tidy(columns[walk.columns[place], first : first + count], values[place])
    _ask(values, walk, 0, last, work.answers)
    for head in range(len(sums)):
        _sum(trees, walk, head, work.answers, sums[head], leaves)
        if head == 0 and shared < len(walk.columns):
            odds = sums[head].copy()
            squash(odds)
            values[shared] = odds
            _ask(values, walk, last, len(walk.edge), work.answers)


@compiled
def grow(
    rows: NDArray[np.float32],
    trees: Trees,
    walk: Walk,
    logits: NDArray[np.float64],
    leaves: NDArray[np.uint16],
) -> None:
    """Fill `logits`, shape (rows, heads), with each head's sum over its trees, in their order.

    `rows`: shape (rows, inputs), as they are made. `leaves`: which leaf of each tree each row came to, shape (rows,
    trees); of no rows if that is not wanted. O(rows × (nodes / 512 + trees)), and O(512 rows) for fewer.
    """
    columns, work = np.empty((rows.shape[1], ROWS), np.float32), room_to_work(trees, walk)
    for first in range(0, len(rows), ROWS):
        here = min(ROWS, len(rows) - first)
        columns_of(rows, first, here, columns)
        grow_block(columns, 0, here, trees, walk, work, leaves[first : first + here])
        for head in range(len(work.sums)):
            for at in range(here):
                logits[first + at, head] = work.sums[head, at]


@compiled
def stack(
    leaves: NDArray[np.uint16],
    hashed: NDArray[np.uint32],
    weights: NDArray[np.float32],
    logits: NDArray[np.float64],
) -> None:
    """Add to `logits` the weights of the leaves and of the hashed ids of each row.

    `weights`: shape (trees × LEAVES + buckets, heads), a row for each leaf, then one for each bucket; `hashed`, shape
    (rows, ids), holds buckets. O(rows × (trees + ids) × heads).
    """
    count, trees = leaves.shape
    base = trees * LEAVES
    for at in range(count):
        for tree in range(trees):
            row = tree * LEAVES + np.int64(leaves[at, tree])
            for head in range(logits.shape[1]):
                logits[at, head] += weights[row, head]
        for number in range(hashed.shape[1]):
            row = base + np.int64(hashed[at, number])
            for head in range(logits.shape[1]):
                logits[at, head] += weights[row, head]
