"""Features of a viewer's candidates: one definition for whoever needs them.

Each feature is a column of a float64 matrix; logarithms, so that a weighted sum is a product of powers.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.selection.context import ViewerContext
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.engagement import UNIT, Decay
from feedgen.state.state import kind_weights

FEATURES: Final = ("recency", "affinity", "engagement", "topic")
_FLOOR: Final = 0.1
"""What a viewer without history has of affinity and of topic match, so that their logarithms are finite."""


class FeatureMaker:
    """recency     −ln(1 + age / scale), age in hours; 0 for a post of this moment
    affinity    ln(0.1 + Σ weight × 2^(−age / half-life)) over the viewer's engagements with the author; −2.3 for none
    engagement  ln(1 + Σ weight × 2^(−age / half-life)) over everyone's engagements with the post; 0 for none
    topic       ln(0.1 + Σ ln(1 + the viewer's engagements with the topic) / (1 + topics of the post)); −2.3 for none
    """

    def __init__(self, settings: Ranking) -> None:
        self._scale_s = settings.recency_scale_hours * SECONDS_PER_HOUR
        self._affinity = Decay(kind_weights(settings), settings.affinity_half_life_days * 24)

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float64]:
        """Shape (posts, FEATURES). O(posts + engagements of the viewer)."""
        age_s = np.maximum(context.now - context.state.posts.created[posts], 0.0)
        return np.column_stack(
            (
                -np.log1p(age_s / self._scale_s),
                np.log(_FLOOR + self._author_affinity(context, posts)),
                np.log1p(np.maximum(context.epoch.popularity[posts], 0) / UNIT),
                np.log(_FLOOR + self._topic_match(context, posts)),
            )
        )

    def _author_affinity(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float64]:
        engaged = context.engaged
        author = context.state.posts.author
        if not len(engaged.post):
            return np.zeros(len(posts))
        units = self._affinity.units(engaged, context.epoch.hour)
        known, position = np.unique(author[engaged.post], return_inverse=True)
        total = np.bincount(position, weights=units)  # integers below 2⁵³: exact in any order
        return _look_up(known, np.maximum(total, 0.0) / UNIT, author[posts])

    def _topic_match(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float64]:
        starts, counts, topics = context.state.about_posts.topics
        engaged = context.engaged
        if not len(engaged.post):
            return np.zeros(len(posts))
        flat, row = _ragged(starts[engaged.post], counts[engaged.post])
        known, position = np.unique(topics[flat], return_inverse=True)
        taste = np.log1p(np.maximum(np.bincount(position, weights=engaged.sign[row]), 0.0))
        flat, row = _ragged(starts[posts], counts[posts])
        match = np.bincount(row, weights=_look_up(known, taste, topics[flat]), minlength=len(posts))
        return match / (1.0 + counts[posts])


def _ragged(starts: NDArray[np.int64], counts: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions start … start + count − 1 of every row, one after the other, and the row of each."""
    row = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts, dtype=np.int64) - counts
    return starts[row] + np.arange(len(row)) - before[row], row


def _look_up(keys: NDArray[np.int32], values: NDArray[np.float64], wanted: NDArray[np.int32]) -> NDArray[np.float64]:
    """`values` at the wanted ones of the ascending `keys`; 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: NDArray[np.float64] = np.where(keys[at] == wanted, values[at], 0.0)
    return found


def weights_of(settings: Ranking) -> NDArray[np.float64]:
    """The configured weight of each feature, in the order of FEATURES."""
    return np.array([getattr(settings, f"{name}_weight") for name in FEATURES])


def describe(row: Sequence[float], weights: Sequence[float]) -> dict[str, dict[str, float]]:
    """Values, weights and score parts of one candidate, by feature name."""
    return {
        name: {"value": value, "weight": weight, "part": value * weight}
        for name, value, weight in zip(FEATURES, row, weights, strict=True)
    }
