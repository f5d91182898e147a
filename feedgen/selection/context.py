"""What the stages may know of one viewer at one moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feedgen.state.engagement import Engagements
from feedgen.state.state import State


def marked(indices: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """True at the indices, False at the other ones of `count`.

    A look-up in it takes a tenth of the time of np.isin, and fresh zeros cost nothing until they are touched.
    """
    mask = np.zeros(count, np.bool_)
    mask[indices] = True
    return mask


@dataclass(frozen=True)
class Epoch:
    """What a batch shares: all viewers of one (watermark, hour) see the same.

    `popularity`: int64 by post, decayed weighted engagements of everyone (engagement.UNIT = 1.0), as of `hour`.
    `trending`: int32 posts, most popular first.
    """

    watermark: int
    hour: int
    popularity: NDArray[np.int64]
    trending: NDArray[np.int32]


@dataclass(frozen=True)
class Network:
    """Retained posts of a viewer's followees, in parallel arrays; `recency` 0 is an author's newest."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    recency: NDArray[np.int64]


@dataclass(frozen=True)
class ViewerContext:
    """One viewer, one `now` (s), one state. Everything else is derived once, when first asked for."""

    state: State
    viewer: int
    now: float
    retention_s: float
    epochs: Callable[[float], Epoch]

    @cached_property
    def epoch(self) -> Epoch:
        """The epoch of `now`: O(posts) for the first who asks, and then dear, so only scoring should."""
        return self.epochs(self.now)

    @cached_property
    def followees(self) -> NDArray[np.int32]:
        """Authors the viewer follows. O(followees)."""
        return self.state.graph.followees(self.viewer)

    @cached_property
    def near(self) -> NDArray[np.bool_]:
        """By user: whether the viewer follows them, or is them. O(followees)."""
        mask = marked(self.followees, len(self.state.users))
        mask[self.viewer] = True
        return mask

    @cached_property
    def network(self) -> Network:
        """O(retained posts of followees)."""
        followees = self.followees
        posts, counts = self.state.posts.recent_of_all(followees)
        created = self.state.posts.created[posts]
        kept = (created <= self.now) & (created >= self.now - self.retention_s)
        owner = np.repeat(np.arange(len(followees)), counts)[kept]
        posts, created = posts[kept], created[kept]
        ends = np.cumsum(np.bincount(owner, minlength=len(followees)))
        return Network(posts, created, ends[owner] - 1 - np.arange(len(posts)))

    @cached_property
    def engaged(self) -> Engagements:
        """Everything this viewer did. O(n)."""
        return self.state.engagement.of_viewer(self.viewer)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """By post: whether the viewer has seen it, or engaged with it (who engaged has seen). O(seen)."""
        mask = marked(self.engaged.post, len(self.state.post_ids))
        mask[self.state.impressions.seen_by(self.viewer, self.now)] = True
        return mask

    @cached_property
    def age_known(self) -> bool:
        """Whether the viewer said in which year they were born."""
        return self.state.about_users.birth_year(self.viewer) is not None

    @cached_property
    def age(self) -> int:
        """Years, by calendar year in UTC; 0 where it is not known."""
        born = self.state.about_users.birth_year(self.viewer)
        return 0 if born is None else max(0, datetime.fromtimestamp(self.now, UTC).year - born)

    @cached_property
    def last_login(self) -> float:
        """Seconds since the epoch; −inf for none."""
        return self.state.logins.last(self.viewer)
