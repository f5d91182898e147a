"""Features of a viewer's candidates: one definition for whoever needs them.

Each feature is a column of a float64 matrix; logarithms, so that a weighted sum is a product of powers.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.ranking.exact import ln, ln1p, signed_ln1p
from feedgen.selection.context import ViewerContext
from feedgen.selection.taste import match
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.engagement import AGAINST, UNIT, WINDOWS, Decay, by_age, by_half_life, within
from feedgen.state.state import kind_weights

FEATURES: Final = (
    "freshness",
    "recency",
    "affinity_short",
    "affinity_mid",
    "affinity_long",
    "liked_share",
    "follows_back",
    "followed",
    "topic",
    "post_rate",
    "author_rate",
    "followers",
    "engagement",
    "momentum",
    "network",
)


class FeatureMaker:
    """freshness     −ln(1 + age / freshness_hours)
    recency       −ln(1 + age / recency_hours): what tells old posts from very old ones
    affinity_…    ln(1 + Σ weight × 2^(−age / half-life)) over the viewer's engagements with the author
    liked_share   ln((n + 1) / (expected + 1)): n posts by the author that the viewer engaged with; expected: what it
                  would be if the viewer engaged alike with everyone's posts that were there to choose from
    follows_back  1 if the author follows the viewer
    followed      1 if the viewer follows the author
    topic         ln(1 + the viewer's taste for the post's topics); ln 2 for the average post
    post_rate     ln(engagements per view of the post)
    author_rate   ln(engagements per view of all the author's posts)
    followers     ln(1 + followers of the author)
    engagement    ln(1 + Σ weight / (age in hours + 1)) over everyone's engagements with the post; −ln(1 − Σ) where more
                  stands against the post than for it
    momentum      ln((1 + w1) / (1 + w7 / 7)): w1, w7 the weighted engagements in its favour within 1 and 7 days
    network       as engagement, of those whom the viewer follows
    """

    def __init__(self, settings: Ranking) -> None:
        weights = kind_weights(settings)
        self._fresh_s = settings.freshness_hours * SECONDS_PER_HOUR
        self._recent_s = settings.recency_hours * SECONDS_PER_HOUR
        days = (settings.affinity_short_days, settings.affinity_mid_days, settings.affinity_long_days)
        self._affinities = [Decay(weights, by_half_life(span * 24)) for span in days]
        self._fading = Decay(weights, by_age)
        self._whole = Decay(weights, np.ones_like)

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float64]:
        """Shape (posts, FEATURES). O(posts + their engagements + engagements and views of the viewer)."""
        state, epoch = context.state, context.epoch
        author = state.posts.author[posts]
        age_s = np.maximum(context.now - state.posts.created[posts], 0.0)
        return np.column_stack(
            (
                -ln1p(age_s / self._fresh_s),
                -ln1p(age_s / self._recent_s),
                *self._author_affinities(context, author),
                _liked_share(context, author),
                _follows_back(context, author),
                context.near[author].astype(np.float64),
                ln1p(match(state, context.taste, posts)),
                ln(epoch.post_rates(posts, author)),
                ln(epoch.author_rate[author]),
                ln1p(epoch.followers[author]),
                *self._post_engagement(context, posts),
            )
        )

    def _author_affinities(self, context: ViewerContext, author: NDArray[np.int32]) -> list[NDArray[np.float64]]:
        engaged = context.engaged
        if not len(engaged.post):
            return [np.zeros(len(author)) for _ in self._affinities]
        known, position = np.unique(context.state.posts.author[engaged.post], return_inverse=True)
        columns = []
        for decay in self._affinities:
            units = decay.units(engaged, context.epoch.hour)
            total = np.bincount(position, weights=units)  # integers below 2⁵³: exact in any order
            columns.append(ln1p(_look_up(known, np.maximum(total, 0.0) / UNIT, author)))
        return columns

    def _post_engagement(self, context: ViewerContext, posts: NDArray[np.int32]) -> list[NDArray[np.float64]]:
        """engagement, momentum, network."""
        hour = context.epoch.hour
        place, found = context.state.engagement.of_posts(posts)
        fading, whole = self._fading.units(found, hour), self._whole.units(found, hour)

        def log_sum(units: NDArray[np.int64], which: NDArray[np.bool_], share: float = 1.0) -> NDArray[np.float64]:
            total = np.bincount(place, weights=np.where(which, units, 0), minlength=len(posts)) * share / UNIT
            return signed_ln1p(total)

        everyone, in_favour = np.ones(len(place), np.bool_), found.kind < AGAINST
        day, week = (in_favour & within(found, hour, WINDOWS[span]) for span in ("1d", "7d"))
        by_followees = context.near[found.viewer] & (found.viewer != context.viewer)
        return [
            log_sum(fading, everyone),
            log_sum(whole, day) - log_sum(whole, week, 1 / 7),
            log_sum(fading, by_followees),
        ]


def _liked_share(context: ViewerContext, author: NDArray[np.int32]) -> NDArray[np.float64]:
    of_post = context.state.posts.author
    engaged, exposed = of_post[context.favoured], of_post[context.exposed]
    engaged, exposed = engaged[engaged >= 0], exposed[exposed >= 0]
    met = _look_up(*np.unique(engaged, return_counts=True), author)
    there = _look_up(*np.unique(exposed, return_counts=True), author)
    rate = min(1.0, len(engaged) / max(len(exposed), 1))
    return ln((met + 1.0) / (rate * there + 1.0))


def _follows_back(context: ViewerContext, author: NDArray[np.int32]) -> NDArray[np.float64]:
    each, position = np.unique(author, return_inverse=True)
    follows = context.state.graph.follows
    return np.array([follows(one, context.viewer) for one in each.tolist()], np.float64)[position]


def _look_up(keys: NDArray[np.int32], values: NDArray[Any], wanted: NDArray[np.int32]) -> NDArray[np.float64]:
    """`values` at the wanted ones of the ascending `keys`; 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: NDArray[np.float64] = np.where(keys[at] == wanted, values[at], 0.0)
    return found
