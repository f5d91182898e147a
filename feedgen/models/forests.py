"""Tree ensembles as arrays: made from LightGBM's, evaluated by a kernel, equal to what LightGBM itself predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.forest import Trees, grow

Rows = NDArray[np.float32]
_MISSING: Final = -1e30
_MOST: Final = 1e30
_LEAST: Final = 1e-30
"""LightGBM takes what is nearer to 0 than 1e-35 for 0, and float32 has numbers there."""


def tidy(rows: Rows) -> Rows:
    """The rows as trees see them: what is missing (NaN) below everything else, nothing infinite. O(n); copies."""
    clean = np.clip(np.nan_to_num(rows, nan=_MISSING, posinf=_MOST, neginf=_MISSING), _MISSING, _MOST)
    clean[np.abs(clean) < _LEAST] = 0.0
    return np.ascontiguousarray(clean, np.float32)


@dataclass(frozen=True)
class Forests:
    """One ensemble for each of `heads`; the first is the shared one, whose probability the others may look at."""

    heads: tuple[str, ...]
    trees: Trees

    def __post_init__(self) -> None:
        """Refuse arrays that a kernel must not be let near: it checks no index. Raises ModelError."""
        feature, threshold, leaf, bounds = self.trees
        count, inner = feature.shape if feature.ndim == 2 else (-1, -1)
        fits = threshold.shape == (count, inner) and leaf.shape == (count, inner + 1)
        ordered = bounds.shape == (len(self.heads) + 1,) and bounds[0] == 0 and bounds[-1] == count
        if not (fits and ordered and (np.diff(bounds) >= 0).all()) or inner & (inner + 1) or inner < 1:
            raise ModelError("the trees' arrays do not belong together")

    @property
    def width(self) -> int:
        """Leaves of a tree."""
        return int(self.trees.leaf.shape[1])

    def check(self, inputs: int) -> None:
        """Raise ModelError unless the trees look at no more than so many inputs (and the shared probability)."""
        if len(self.trees.feature) and int(self.trees.feature.max()) > inputs:
            raise ModelError("the trees look at inputs that there are not")

    def logits(self, rows: Rows) -> NDArray[np.float64]:
        """Log-odds by row and head, of tidy rows. See the kernel for the cost."""
        logits = np.empty((len(rows), len(self.heads)))
        grow(rows, self.trees, logits, np.empty((0, 0), np.uint16))
        return logits

    def leaves(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """The same, and the leaf of each tree that each row comes to."""
        logits = np.empty((len(rows), len(self.heads)))
        leaves = np.empty((len(rows), len(self.trees.leaf)), np.uint16)
        grow(rows, self.trees, logits, leaves)
        return logits, leaves


def forests_of(dumps: Mapping[str, Mapping[str, Any]], depth: int) -> Forests:
    """From LightGBM's `dump_model()` of each head, its trees no deeper than `depth`. Raises ModelError."""
    every = [_grown(tree["tree_structure"], depth) for dump in dumps.values() for tree in dump["tree_info"]]
    ends = np.cumsum([0, *(len(dump["tree_info"]) for dump in dumps.values())])
    inner = (1 << depth) - 1
    trees = Trees(
        np.array([tree[0] for tree in every], np.uint32).reshape(len(every), inner),
        np.array([tree[1] for tree in every], np.float32).reshape(len(every), inner),
        np.array([tree[2] for tree in every], np.float64).reshape(len(every), inner + 1),
        ends.astype(np.int64),
    )
    return Forests(tuple(dumps), trees)


def _grown(root: Mapping[str, Any], depth: int) -> tuple[Sequence[int], Sequence[np.float32], Sequence[float]]:
    """A tree made complete: where it ends early, all leaves below are that one."""
    inner = (1 << depth) - 1
    feature, threshold, leaf = [0] * inner, [np.float32(0.0)] * inner, [0.0] * (inner + 1)
    open_nodes = [(0, root)]
    while open_nodes:
        at, node = open_nodes.pop()
        ends = "leaf_value" in node
        if at >= inner:
            if not ends:
                raise ModelError(f"a tree is deeper than {depth}")
            leaf[at - inner] = node["leaf_value"]
            continue
        if ends:
            open_nodes += [(2 * at + 1, node), (2 * at + 2, node)]
            continue
        if node["decision_type"] != "<=":
            raise ModelError(f"a tree decides by {node['decision_type']!r}, which nothing here can")
        feature[at], threshold[at] = node["split_feature"], _at_most(node["threshold"])
        open_nodes += [(2 * at + 1, node["left_child"]), (2 * at + 2, node["right_child"])]
    return feature, threshold, leaf


def _at_most(threshold: float) -> np.float32:
    """The greatest float32 that is not more: a float32 value compares to it as it does to `threshold`."""
    nearest = np.float32(threshold)
    return np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > threshold else nearest
