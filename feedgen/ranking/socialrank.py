"""Social rank: PageRank over who follows whom, as of the last midnight (UTC)."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.taste import GRID
from feedgen.state.columns import ragged
from feedgen.state.graph import Graph
from feedgen.state.moments import times_of

DAMPING: Final = 0.85
"""Brin and Page, The anatomy of a large-scale hypertextual web search engine, 1998."""
ROUNDS: Final = 12
"""What is left of a difference after these is 0.85¹² = 14 %: enough to tell who is followed by whom that counts."""
FOLLOWS_MAX: Final = 2_000_000
"""Of more follows none is computed: a round over them would hold up an epoch by a tenth of a second."""
_DAY_S: Final = 86_400.0


class _Edges(NamedTuple):
    follower: NDArray[np.int64]
    followed: NDArray[np.int32]


class SocialRank:
    """Of all users at once; found again only when a follow dated before the last midnight came, went or was taken back.

    Several threads may ask at once, as long as nobody folds: they may find the same twice.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: tuple[_Edges, NDArray[np.float64]] | None = None
        self._asked: tuple[int, int] | None = None

    def of_all(self, users: int, watermark: int, now: float) -> NDArray[np.float64] | None:
        """float64 by user, mean 1; None of too many follows. O(1), O(follows) in a new epoch, × ROUNDS in a new one of
        theirs."""
        if self._graph.follow_count > FOLLOWS_MAX:
            return None
        day = int(now // _DAY_S)
        if self._known is None or self._asked != (watermark, day) or len(self._known[1]) != users:
            edges = self._edges_before(day * _DAY_S)
            if self._known is None or not _same(self._known, edges, users):
                self._known = edges, ranks(edges.follower, edges.followed, users)
            self._asked = watermark, day
        return self._known[1]

    def _edges_before(self, ts: float) -> _Edges:
        """In the order of the graph's rows, which ascend, so that the same edges are known for the same."""
        followees, since, _ = self._graph.spans
        flat, follower = ragged(followees.starts, followees.counts)
        old = times_of(since.codes[flat], since.exact) < ts
        return _Edges(follower[old], followees.values[flat][old])


def _same(known: tuple[_Edges, NDArray[np.float64]], edges: _Edges, users: int) -> bool:
    before, ranked = known
    alike = np.array_equal(before.follower, edges.follower) and np.array_equal(before.followed, edges.followed)
    return alike and len(ranked) == users


def ranks(follower: NDArray[np.int64], followed: NDArray[np.int32], users: int) -> NDArray[np.float64]:
    """float64 by user, mean 1 to about 2⁻²². Who follows nobody shares with everyone alike. O(follows × ROUNDS)."""
    out = np.bincount(follower, minlength=users)
    share = 1.0 / out[follower]
    nobody = out == 0
    rank = np.ones(users)
    for _ in range(ROUNDS):
        given = np.bincount(followed, weights=_on_grid(rank[follower] * share), minlength=users)
        rank = _on_grid(1.0 - DAMPING + DAMPING * (given + rank[nobody].sum() / max(users, 1)))
    return rank


def _on_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiples of 2⁻²²: their sums are exact, so that they do not depend on how users are numbered."""
    on_grid: NDArray[np.float64] = np.rint(values * GRID) / GRID
    return on_grid
