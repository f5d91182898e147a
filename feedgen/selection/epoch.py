"""What all viewers of one (watermark, hour) share: computed once, by the first who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.ordering import best
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.state import State

POOL: Final = 4_000
"""Most popular posts of everyone among which those that match a viewer's interests are looked for."""
_PRIOR_VIEWS: Final = 15.0
"""Views that a post, or an author, is thought to have had at the average rate before its own are counted."""


@dataclass(frozen=True)
class Epoch:
    """`popularity`: int64 by post, decayed weighted engagements of everyone (engagement.UNIT = 1.0), as of `hour`.
    `engaged`: int64 by post, engagements in its favour of whatever kind and time.
    `pool`: int32 posts that may be shown, most popular first; `trending`: the first of them.
    `post_rate` (by post), `author_rate` (by user): float64, engagements per view, drawn to the author's and everyone's
    average where views are few. `followers`: int64 by user.
    """

    watermark: int
    hour: int
    popularity: NDArray[np.int64]
    engaged: NDArray[np.int64]
    pool: NDArray[np.int32]
    trending: NDArray[np.int32]
    post_rate: NDArray[np.float64]
    author_rate: NDArray[np.float64]
    followers: NDArray[np.int64]


def epoch_of(state: State, hour: int, retention_s: float, items: int) -> Epoch:
    """The epoch of a state at an hour, `items` of it trending. O(posts + users)."""
    posts = state.posts
    popularity = state.engagement.popularity(hour, len(state.post_ids))
    end = (hour + 1) * SECONDS_PER_HOUR
    possible = (posts.author >= 0) & ~posts.deleted & ~posts.withheld & (posts.created < end)
    possible &= posts.created >= end - retention_s
    shown = np.flatnonzero(possible).astype(np.int32)
    names: Sequence[str] = state.post_ids.names
    pool = shown[best(names, shown, max(POOL, items), -popularity[shown], -posts.created[shown])]
    engaged = state.engagement.counts(len(state.post_ids))
    post_rate, author_rate = _rates(state, engaged)
    followers = state.graph.followers(len(state.users))
    return Epoch(state.watermark, hour, popularity, engaged, pool, pool[:items], post_rate, author_rate, followers)


def _rates(state: State, engaged: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(posts + views): where no views are reported, a post counts as seen once, and rates are engagements per post."""
    author = state.posts.author
    own = author >= 0
    shown = state.impressions.views(len(engaged)) + 1
    everyone = (engaged[own].sum() + 1.0) / (shown[own].sum() + 1.0)
    engaged_by_author = np.bincount(author[own], weights=engaged[own], minlength=len(state.users))
    shown_by_author = np.bincount(author[own], weights=shown[own], minlength=len(state.users))
    by_author = (engaged_by_author + _PRIOR_VIEWS * everyone) / (shown_by_author + _PRIOR_VIEWS)
    prior = np.where(own, by_author[author], everyone)
    return (np.maximum(engaged, 0) + _PRIOR_VIEWS * prior) / (shown + _PRIOR_VIEWS), by_author
