"""Tree ensembles as arrays: made from LightGBM's, evaluated by a kernel, equal to what LightGBM itself predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.forest import LEAVES, Trees, grow

Rows = NDArray[np.float32]
TYPES: Final = (np.uint32, np.float32, np.uint32, np.int64, np.float64, np.int64)
"""Of the parts of Trees."""
_ALL: Final = (1 << LEAVES) - 1
_MISSING: Final = -1e30
_MOST: Final = 1e30
_LEAST: Final = 1e-30
"""LightGBM takes what is nearer to 0 than 1e-35 for 0, and float32 has numbers there."""
_NO_LINE: Final[NDArray[np.float64]] = np.zeros(1)


def tidy(rows: Rows) -> Rows:
    """The rows as trees see them: what is missing (NaN) below everything else, nothing infinite. O(n); copies."""
    clean = np.clip(np.nan_to_num(rows, nan=_MISSING, posinf=_MOST, neginf=_MISSING), _MISSING, _MOST)
    clean[np.abs(clean) < _LEAST] = 0.0
    return np.ascontiguousarray(clean, np.float32)


@dataclass(frozen=True)
class Forests:
    """One ensemble for each of `heads`; the first is the shared one, whose probability the others may look at.

    `start`: float64 (heads, 2): a head's log-odds = start[h, 0] + start[h, 1] × the shared head's sum + the sum of its
    own trees. Not given, it is 0: the sum of its trees. `line`: what the shared head's trees correct, weights of the
    first inputs and then a bias: a part of its sum. Not given, there is none.
    """

    heads: tuple[str, ...]
    trees: Trees
    start: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    line: NDArray[np.float64] = field(default_factory=lambda: _NO_LINE)

    def __post_init__(self) -> None:
        """Refuse arrays that a kernel must not be let near: it checks no index. Raises ModelError."""
        if not len(self.start):
            object.__setattr__(self, "start", np.zeros((len(self.heads), 2)))
        if self.start.shape != (len(self.heads), 2) or not np.isfinite(self.start).all():
            raise ModelError("the heads of the trees have no finite start each")
        if self.line.ndim != 1 or not len(self.line) or not np.isfinite(self.line).all():
            raise ModelError("the line under the trees is none")
        _, _, keep, first, leaf, bounds = self.trees
        nodes, trees = len(keep), len(leaf)
        shapes = ((nodes,), (nodes,), (nodes,), (trees + 1,), (trees, LEAVES), (len(self.heads) + 1,))
        fits = tuple(part.shape for part in self.trees) == shapes
        if not (fits and _cuts(first, nodes) and _cuts(bounds, trees) and bool(keep.all())):
            raise ModelError("the trees' arrays do not belong together")
        if trees and (np.bitwise_and.reduceat(np.append(keep, _ALL), first[:-1])[np.diff(first) > 0] == 0).any():
            raise ModelError("a tree's nodes leave no leaf")

    def check(self, inputs: int) -> None:
        """Raise ModelError unless the trees look at no more than so many inputs (and the shared probability)."""
        most = int(self.trees.feature.max()) if len(self.trees.feature) else 0
        if most > inputs or len(self.line) > inputs + 1:
            raise ModelError("the trees look at inputs that there are not")

    def logits(self, rows: Rows) -> NDArray[np.float64]:
        """Log-odds by row and head, of tidy rows. See the kernel for the cost."""
        return self._started(self.sums(rows))

    def sums(self, rows: Rows) -> NDArray[np.float64]:
        """Sums of the trees by row and head, the shared one's with its line, without their start."""
        sums = self._blank(rows)
        grow(rows, self.trees, sums, np.empty((0, 0), np.uint16))
        return sums

    def leaves(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """The same, and the leaf of each tree that each row comes to."""
        sums = self._blank(rows)
        leaves = np.empty((len(rows), len(self.trees.leaf)), np.uint16)
        grow(rows, self.trees, sums, leaves)
        return self._started(sums), leaves

    def under(self, rows: Rows) -> NDArray[np.float64]:
        """What the line says of tidy rows. Column by column, as in wide.logits_of; what is missing counts as 0."""
        total = np.full(len(rows), self.line[-1])
        for column, weight in enumerate(self.line[:-1].tolist()):
            values = rows[:, column].astype(np.float64)
            total += np.where(values > _MISSING, values, 0.0) * weight
        return total

    def _blank(self, rows: Rows) -> NDArray[np.float64]:
        sums = np.zeros((len(rows), len(self.heads)))
        sums[:, 0] = self.under(rows)
        return sums

    def _started(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = self.start[:, 0] + self.start[:, 1] * sums[:, :1] + sums
        return logits


def _cuts(edges: NDArray[np.int64], of: int) -> bool:
    return bool(edges[0] == 0 and edges[-1] == of and (np.diff(edges) >= 0).all())


def forests_of(
    dumps: Mapping[str, Mapping[str, Any]],
    start: Sequence[tuple[float, float]] = (),
    line: NDArray[np.float64] = _NO_LINE,
) -> Forests:
    """From LightGBM's `dump_model()` of each head. Raises ModelError, as for trees of more leaves than LEAVES."""
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
    return Forests(tuple(dumps), trees, np.array(start, np.float64).reshape(-1, 2), line)


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
