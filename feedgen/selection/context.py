"""What the stages may know of one viewer at one moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.epoch import Epoch
from feedgen.selection.taste import Offered, taste
from feedgen.state.engagement import AGAINST, Engagements
from feedgen.state.state import State


def marked(indices: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """True at the indices, False at the other ones of `count`.

    A look-up in it takes a tenth of the time of np.isin, and fresh zeros cost nothing until they are touched.
    """
    mask = np.zeros(count, np.bool_)
    mask[indices] = True
    return mask


@dataclass(frozen=True)
class Network:
    """Posts of a viewer's followees that may be candidates, in parallel arrays; `recency` 0 is an author's newest.

    None that is deleted or withheld: it neither votes for a topic nor takes a place among its author's.

    `owner`: position of the author among the followees.
    """

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    recency: NDArray[np.int64]
    owner: NDArray[np.int64]


@dataclass(frozen=True)
class ViewerContext:
    """One viewer, one `now` (s), one state. Everything else is derived once, when first asked for.

    `window_s`: how old a post may be to be considered.
    """

    state: State
    viewer: int
    now: float
    window_s: float
    grown_min: int
    grown_times: float
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
        kept = self._standing(posts)
        owner = np.repeat(np.arange(len(followees)), counts)[kept]
        posts = posts[kept]
        ends = np.cumsum(np.bincount(owner, minlength=len(followees)))
        return Network(posts, self.state.posts.created[posts], ends[owner] - 1 - np.arange(len(posts)), owner)

    @cached_property
    def written(self) -> NDArray[np.int32]:
        """The viewer's own posts that stand and are no older than candidates. O(n)."""
        posts = self.state.posts.recent_of_all(np.array([self.viewer], np.int32))[0]
        return posts[self._standing(posts)]

    def _standing(self, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which are of the window, and neither deleted nor withheld. O(n)."""
        columns = self.state.posts
        created = columns.created[posts]
        of_window: NDArray[np.bool_] = (created <= self.now) & (created >= self.now - self.window_s)
        return of_window & ~(columns.deleted[posts] | columns.withheld[posts])

    @cached_property
    def engaged(self) -> Engagements:
        """Everything this viewer did in favour of posts. O(n)."""
        return self.state.engagement.of_viewer(self.viewer)

    @cached_property
    def favoured(self) -> NDArray[np.int64]:
        """Posts this viewer engaged with and did not take it back, each once. O(n log n)."""
        posts, position = np.unique(self.engaged.post, return_inverse=True)
        return posts[np.bincount(position, weights=self.engaged.sign, minlength=len(posts)) > 0]

    @cached_property
    def viewed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Posts the viewer has seen, and the last UTC day of each. O(n log n)."""
        return self.state.impressions.seen.of(self.viewer, self.now)

    @cached_property
    def exposed(self) -> NDArray[np.int64]:
        """What the viewer had to choose from: the posts seen, or where no views are reported, the network's."""
        posts = self.viewed[0]
        return posts if len(posts) else self.network.posts.astype(np.int64)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """By post: whether the viewer has seen it, or engaged with it (who engaged has seen). O(seen)."""
        mask = marked(self.engaged.post, len(self.state.post_ids))
        mask[self.viewed[0]] = True
        return mask

    @cached_property
    def grown(self) -> NDArray[np.bool_]:
        """By post: whether it was seen, but engagement has grown so much since that it is worth another look.

        At least `grown_min` others engaged with it on days after the one it was last seen on, and `grown_times` as many
        as up to that day; and the viewer did nothing with it. O(engagements with seen posts of the network).
        """
        posts, day = self.viewed
        author = self.state.posts.author[posts]
        open_to = (author >= 0) & ~marked(self.engaged.post, len(self.state.post_ids))[posts]
        open_to &= self.near[author] & (author != self.viewer)
        posts, day = posts[open_to], day[open_to]
        popular = self.epoch.engaged[posts] >= self.grown_min
        posts, day = posts[popular], day[popular]
        place, found = self.state.engagement.of_posts(posts)
        sign = np.where(found.kind < AGAINST, found.sign, 0)
        later = found.hour // 24 > day[place]
        after = np.bincount(place, weights=np.where(later, sign, 0), minlength=len(posts))
        before = np.bincount(place, weights=np.where(later, 0, sign), minlength=len(posts))
        return marked(posts[(after >= self.grown_min) & (after >= self.grown_times * before)], len(self.state.post_ids))

    @cached_property
    def taste(self) -> NDArray[np.float64]:
        """By topic, mean 1: how much more than the average one this viewer cares for it."""
        offered = Offered(self.network.posts, self.network.owner, len(self.followees))
        return taste(self.state, offered, self.written, self.exposed, self.favoured)

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
