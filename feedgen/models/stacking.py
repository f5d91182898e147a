"""Stacking: the leaves of the trees and hashed ids, in logistic regression that learns from one example at a time.

FTRL-proximal (McMahan et al., "Ad click prediction: a view from the trenches", 2013) on what the trees leave over: the
trees' log-odds are the point from which each example starts, so a model that has learnt nothing yet is the trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.forest import LEAVES
from feedgen.kernels.stacking import Rates, learn, weigh

Floats32 = NDArray[np.float32]
BUCKETS: Final = 1 << 17
"""Rows of weights that hashed ids share; a power of two."""
TOPICS: Final = 3
"""Topics of a post that count: the first ones."""
Keys = NDArray[np.uint64]
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Pace:
    """How fast weights follow: `alpha` / (`beta` + √Σ gradient²); `l1` keeps what is rare at 0, `l2` pulls to 0."""

    alpha: float = 0.02
    beta: float = 1.0
    l1: float = 0.5
    l2: float = 1.0


@dataclass
class Stacked:
    """Sums of FTRL by row and head: `z`, and `n` = Σ gradient²; rows are leaves first, then buckets.

    `offset`: log offset up to which it has learnt. One writer; `weights()` gives readers a copy of their own.
    """

    z: Floats32
    n: Floats32
    pace: Pace = field(default_factory=Pace)
    offset: int = 0

    def __post_init__(self) -> None:
        """Raise ModelError for sums that do not belong together."""
        if self.z.shape != self.n.shape or self.z.ndim != 2:
            raise ModelError("the sums of the stacked model do not belong together")

    @classmethod
    def blank(cls, trees: int, heads: int) -> "Stacked":
        """Nothing learnt yet."""
        shape = (trees * LEAVES + BUCKETS, heads)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def weights(self) -> Floats32:
        """The weight of each row and head. O(rows × heads); a copy."""
        weights = np.empty_like(self.z)
        weigh(self.z, self.n, self._pace, weights)
        return weights

    def learn(
        self,
        leaves: NDArray[np.uint16],
        hashed: NDArray[np.uint32],
        start: NDArray[np.float64],
        happened: NDArray[np.bool_],
        counts: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Learn from the rows in their order; what was foreseen of each before it was learnt from.

        `start`: log-odds of the trees, shape (rows, heads); `happened`: the same shape; `counts`: what a row counts.
        O(rows × (trees + ids) × heads).
        """
        foreseen = np.empty_like(start)
        learn(leaves, hashed, start, happened, counts, self.z, self.n, self._pace, foreseen)
        return foreseen

    @property
    def _pace(self) -> Rates:
        pace = self.pace
        return Rates(np.float32(pace.alpha), np.float32(pace.beta), np.float32(pace.l1), np.float32(pace.l2))


def key_of(name: str) -> int:
    """A number for an outside id, the same in every process; 64 bits."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def keys_of(names: Sequence[str]) -> Keys:
    """Of outside ids; 0 for an empty one. O(n)."""
    known: dict[str, int] = {"": 0}
    for name in names:
        if name not in known:
            known[name] = key_of(name)
    return np.array([known[name] for name in names], np.uint64)


def _crossed(left: Keys, right: Keys, kind: int) -> Keys:
    with np.errstate(over="ignore"):
        mixed = (left ^ (right * _MIX) ^ np.uint64(kind)) * _MIX
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
    return mixed >> np.uint64(32)


def hashed_ids(viewer: Keys, author: Keys, topics: Sequence[Keys]) -> NDArray[np.uint32]:
    """Buckets of each row's ids, shape (rows, 3 + 2 × TOPICS): viewer, author, both, each topic, the viewer and it.

    `topics`: TOPICS columns, 0 where there is no topic: all such rows share a bucket. O(rows).
    """
    nobody = np.zeros(len(viewer), np.uint64)
    columns = [_crossed(viewer, nobody, 1), _crossed(nobody, author, 2), _crossed(viewer, author, 3)]
    for topic in topics:
        columns += [_crossed(nobody, topic, 4), _crossed(viewer, topic, 5)]
    return np.column_stack([(column & np.uint64(BUCKETS - 1)).astype(np.uint32) for column in columns])
