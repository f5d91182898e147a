"""Tree ensembles as arrays: made from LightGBM's, evaluated by a kernel, equal to what LightGBM itself predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.binding import Bound, bind
from feedgen.errors import ModelError
from feedgen.kernels.forest import LEAST, LEAVES, MISSING, MOST, Trees, Walk, grow
from feedgen.kernels.worth import Grown, score_by_trees
from feedgen.models.wide import SCALE, along

Rows = NDArray[np.float32]
TYPES: Final = (np.uint32, np.float32, np.uint32, np.int64, np.float64, np.int64)
"""Of the parts of Trees."""
_ALL: Final = (1 << LEAVES) - 1


def tidy(rows: Rows) -> Rows:
    """The rows as trees see them: what is missing (NaN) below everything else, nothing infinite. O(n); copies."""
    clean = np.clip(np.nan_to_num(rows, nan=MISSING, posinf=MOST, neginf=MISSING), MISSING, MOST)
    clean[np.abs(clean) < LEAST] = 0.0
    return np.ascontiguousarray(clean, np.float32)


@dataclass(frozen=True)
class Forests:
    """One ensemble for each of `heads`; the first is the shared one, whose probability the others may look at.

    `start`: float64 (heads, 3): a head's log-odds = start[h, 0] + start[h, 1] × the shared head's sum + start[h, 2] ×
    the line + the sum of its own trees. Not given, it is 0: the sum of its trees. `line`: float64 (inputs,), a weight
    for each input as wide.levelled gives it; empty: none.
    """

    heads: tuple[str, ...]
    trees: Trees
    start: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    line: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    walk: Walk = field(init=False)
    """How rows come down; made from the trees."""
    _grown: Bound = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse arrays that a kernel must not be let near: it checks no index. Raises ModelError."""
        if not len(self.start):
            object.__setattr__(self, "start", np.zeros((len(self.heads), 3)))
        if self.start.shape != (len(self.heads), 3) or not np.isfinite(self.start).all():
            raise ModelError("the heads of the trees have no finite start each")
        if self.line.ndim != 1 or not np.isfinite(self.line).all():
            raise ModelError("the trees stand on no finite line")
        _, _, keep, first, leaf, bounds = self.trees
        nodes, trees = len(keep), len(leaf)
        shapes = ((nodes,), (nodes,), (nodes,), (trees + 1,), (trees, LEAVES), (len(self.heads) + 1,))
        fits = tuple(part.shape for part in self.trees) == shapes
        if not (fits and _cuts(first, nodes) and _cuts(bounds, trees) and bool(keep.all())):
            raise ModelError("the trees' arrays do not belong together")
        if trees and (np.bitwise_and.reduceat(np.append(keep, _ALL), first[:-1])[np.diff(first) > 0] == 0).any():
            raise ModelError("a tree's nodes leave no leaf")
        object.__setattr__(self, "walk", _walk(self.trees))
        object.__setattr__(self, "_grown", bind(Grown(self.trees, self.walk, self.start, self.line, SCALE)))

    def __reduce__(self) -> tuple[Any, ...]:
        """What is bound for kernels is bound anew in another process."""
        return Forests, (self.heads, self.trees, self.start, self.line)

    def check(self, inputs: int) -> None:
        """Raise ModelError unless the trees look at no more than so many inputs (and the shared probability)."""
        first, bounds = self.trees.first, self.trees.bounds
        shared, others = self.trees.feature[: first[bounds[1]]], self.trees.feature[first[bounds[1]] :]
        if shared.max(initial=0) >= max(inputs, 1) or others.max(initial=0) > inputs:
            raise ModelError("the trees look at inputs that there are not")
        if len(self.line) not in (0, inputs):
            raise ModelError("the line that the trees stand on does not belong to the inputs")

    def logits(self, rows: Rows) -> NDArray[np.float64]:
        """Log-odds by row and head, of rows as they are made. See the kernel for the cost."""
        return self._started(rows, self.sums(rows))

    def sums(self, rows: Rows) -> NDArray[np.float64]:
        """Sums of the trees by row and head, without their start, of rows as they are made, or tidy."""
        sums = np.empty((len(rows), len(self.heads)))
        self._grow(rows, sums, None)
        return sums

    def leaves(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """The same as `logits`, and the leaf of each tree that each row comes to."""
        sums = np.empty((len(rows), len(self.heads)))
        leaves = np.empty((len(rows), len(self.trees.leaf)), np.uint16)
        self._grow(rows, sums, leaves)
        return self._started(rows, sums), leaves

    def _grow(self, rows: Rows, sums: NDArray[np.float64], leaves: NDArray[np.uint16] | None) -> None:
        nowhere = np.empty((0, 0), np.uint16)
        grow(np.ascontiguousarray(rows, np.float32), self.trees, self.walk, sums, nowhere if leaves is None else leaves)

    def _started(self, rows: Rows, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        bias, of_shared, of_line = self.start.T
        logits: NDArray[np.float64] = bias + of_shared * sums[:, :1] + sums
        logits += of_line * self.lined(rows)[:, None]
        return logits

    def lined(self, rows: Rows) -> NDArray[np.float64]:
        """What the line says of rows as they are made; 0 where there is none."""
        return along(self.line, rows)

    def scores(self, rows: Rows, worths: NDArray[np.float64]) -> NDArray[np.float64]:
        """worth.score of the logits, in one call. `worths`: by head. See the kernel for the cost; rows that do not
        stand in memory column by column are copied."""
        scores: NDArray[np.float64] = np.empty(len(rows))
        columns = np.ascontiguousarray(rows.T, np.float32)
        score_by_trees(columns, self._grown, worths, scores)
        return scores


def _cuts(edges: NDArray[np.int64], of: int) -> bool:
    return bool(edges[0] == 0 and edges[-1] == of and (np.diff(edges) >= 0).all())


def forests_of(
    dumps: Mapping[str, Mapping[str, Any]],
    start: Sequence[tuple[float, float, float]] = (),
    line: NDArray[np.float64] | None = None,
) -> Forests:
    """From LightGBM's `dump_model()` of each head; `start`, `line`: see Forests.

    Raises ModelError, as for trees of more leaves than LEAVES.
    """
    every = [_read(tree["tree_structure"]) for dump in dumps.values() for tree in dump["tree_info"]]
    nodes = [node for tree, _ in every for node in tree]
    leaf = np.zeros((len(every), LEAVES))
    for tree, (_, values) in enumerate(every):
        leaf[tree, : len(values)] = values
    trees = Trees(
        np.array([node.feature for node in nodes], np.uint32),
        np.array([node.threshold for node in nodes], np.float32),
        np.array([node.keep for node in nodes], np.uint32),
        np.cumsum([0, *(len(tree) for tree, _ in every)]).astype(np.int64),
        leaf,
        np.cumsum([0, *(len(dump["tree_info"]) for dump in dumps.values())]).astype(np.int64),
    )
    line = np.empty(0) if line is None else line
    return Forests(tuple(dumps), trees, np.array(start, np.float64).reshape(-1, 3), line)


class _Node(NamedTuple):
    feature: int
    threshold: np.float32
    keep: int


def _read(root: Mapping[str, Any]) -> tuple[list[_Node], list[float]]:
    """Nodes in any order, and the values of the leaves from left to right."""
    nodes: list[_Node] = []
    values: list[float] = []

    def visit(node: Mapping[str, Any]) -> None:
        if "leaf_value" in node:
            values.append(node["leaf_value"])
            if len(values) > LEAVES:
                raise ModelError(f"a tree has more than {LEAVES} leaves")
            return
        if node["decision_type"] != "<=":
            raise ModelError(f"a tree decides by {node['decision_type']!r}, which nothing here can")
        begin = len(values)
        visit(node["left_child"])
        to_the_left = (1 << len(values)) - (1 << begin)
        nodes.append(_Node(node["split_feature"], _at_most(node["threshold"]), _ALL & ~to_the_left))
        visit(node["right_child"])

    visit(root)
    return nodes, values


def _at_most(threshold: float) -> np.float32:
    """The greatest float32 that is not more: a float32 value compares to it as it does to `threshold`."""
    nearest = np.float32(threshold)
    return np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > threshold else nearest


def _walk(trees: Trees) -> Walk:
    """O(nodes log nodes). Raises ModelError for what are no trees."""
    columns, looked_at = np.unique(trees.feature, return_inverse=True)
    asked = np.empty(len(looked_at), [("column", np.int64), ("edge", np.float32)])
    asked["column"], asked["edge"] = looked_at, trees.threshold
    questions, question = np.unique(asked, return_inverse=True)
    place = np.arange(len(trees.keep)) - np.repeat(trees.first[:-1], np.diff(trees.first))
    begins, edges = _begins(trees.keep, place), trees.first.tolist()
    order = [first + node for first, end in pairwise(edges) for node in _downwards(begins[first:end])]
    downwards = np.array(order, np.int64)
    return Walk(
        columns.astype(np.uint32),
        questions["column"].copy(),
        questions["edge"].copy(),
        np.array(begins, np.uint8)[downwards],
        (place + 1).astype(np.uint8)[downwards],
        question.astype(np.uint32)[downwards],
    )


def _begins(keep: NDArray[np.uint32], place: NDArray[np.int64]) -> list[int]:
    """By node the first leaf on its left: those from there to its own place in its tree are what it strikes out."""
    struck = _ALL & ~keep.astype(np.int64)
    lowest = struck & -struck
    if (place >= LEAVES - 1).any() or (struck != (np.int64(2) << place) - lowest).any():
        raise ModelError("the trees' nodes do not belong together")
    return [one.bit_length() - 1 for one in lowest.tolist()]


def _downwards(begins: Sequence[int]) -> list[int]:
    """A tree's nodes, each after the one above it. Node n decides between the leaves from begins[n] to n and those from
    n + 1 to where those of the node above it end. Raises ModelError for what is no tree."""
    right, left, open_to_the_right = [-1] * len(begins), [-1] * len(begins), list[int]()

    def over(begin: int, leaf: int) -> int:
        """The node over the leaves from `begin` to `leaf`; −1 for a single one."""
        node, start = -1, leaf
        while open_to_the_right and begins[open_to_the_right[-1]] >= begin and start == open_to_the_right[-1] + 1:
            above = open_to_the_right.pop()
            right[above], node, start = node, above, begins[above]
        if start != begin:
            raise ModelError("the trees' nodes do not belong together")
        return node

    for node, begin in enumerate(begins):
        left[node] = over(begin, node)
        open_to_the_right.append(node)
    order, line = list[int](), [over(0, len(begins))]
    while line:
        node = line.pop()
        if node >= 0:
            order.append(node)
            line += (right[node], left[node])
    return order
