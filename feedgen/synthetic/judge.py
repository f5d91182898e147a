"""How good an order is, judged by what is known of a synthetic network alone: every true engagement probability."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.pipeline import Pipeline, Ranked
from feedgen.synthetic.ragged import Floats
from feedgen.synthetic.truth import Truth

DEPTH: Final = 20


def ndcg(gains: Floats, order: NDArray[np.intp], depth: int = DEPTH) -> float:
    """Σ gain / log2(1 + place) over the first `depth` of `order`, as a share of the most that any order can have.

    Järvelin and Kekäläinen 2002, gains taken as they are. 1 where nothing can be gained. O(n log n).
    """
    discount = 1.0 / np.log2(np.arange(2, 2 + depth))

    def dcg(sorted_gains: Floats) -> float:
        first = sorted_gains[:depth]
        return float((first * discount[: len(first)]).sum())

    best = dcg(np.sort(gains)[::-1])
    return dcg(gains[order]) / best if best > 0 else 1.0


class Judge:
    """Judges feeds of one pipeline against the oracle: the order by true expected worth."""

    def __init__(self, pipeline: Pipeline, truth: Truth, weights: Mapping[str, float]) -> None:
        """`weights`: what each kind of engagement is worth, negative for what should not happen; absent: nothing."""
        self._pipeline = pipeline
        self._truth = truth
        self._weights = weights

    def judge(self, viewers: Sequence[str], now: float) -> dict[str, float]:
        """Mean NDCG@20 of the served order, of the ranking before diversity, and of the plain orders beside them.

        All over the same posts: every candidate that may be shown. Viewers with nothing to choose from (20 candidates
        or fewer) are left out; `viewers` says how many were judged. Two generations' work a viewer.
        """
        judged = []
        for viewer in viewers:
            ranked = self._pipeline.rank_by_id(viewer, now)
            if ranked is not None and len(ranked.considered) > DEPTH:
                judged.append(self._one(viewer, ranked, now))
        names = ("served", "ranked", "newest", "popularity")
        means = np.mean(judged, axis=0).tolist() if judged else [1.0] * len(names)
        return {"viewers": len(judged), **{name: round(mean, 4) for name, mean in zip(names, means, strict=True)}}

    def _one(self, viewer: str, ranked: Ranked, now: float) -> list[float]:
        posts, state = ranked.considered, ranked.context.state
        gains = self.gains(viewer, [state.post_ids.name(post) for post in posts.tolist()], now)
        by_index = np.argsort(posts)
        served = by_index[np.searchsorted(posts, ranked.posts, sorter=by_index)]
        orders = (
            served,
            np.argsort(-ranked.all_scores, kind="stable"),
            np.argsort(-state.posts.created[posts], kind="stable"),
            np.argsort(-ranked.context.epoch.popularity[posts], kind="stable"),
        )
        return [ndcg(gains, order) for order in orders]

    def gains(self, viewer: str, posts: Sequence[str], now: float) -> Floats:
        """float64[posts]: Σ weight × true probability if each were seen at `now`; what would harm gains nothing."""
        return np.maximum(self._truth.worth(self._weights, viewer, posts, now), 0.0)
