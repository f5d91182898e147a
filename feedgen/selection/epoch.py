"""What all viewers of one (watermark, hour) share: computed once, by the first who asks."""

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.ordering import best
from feedgen.selection.talk import Talk
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.state import State

POOL: Final = 4_000
"""Most popular posts of everyone among which those that match a viewer's interests are looked for."""
PRIOR_VIEWS: Final = 15.0
"""Views that a post, or an author, is thought to have had at the average rate before its own are counted."""
_BENCH: Final = 4
"""Times the pool: how many of the most popular posts are kept to bring the pool forward from fold to fold."""


@dataclass(frozen=True)
class Epoch:
    """`popularity`: int64 by post, decayed weighted engagements of everyone (engagement.UNIT = 1.0), as of `hour`.
    `engaged`, `viewed`: int32 by post, engagements in its favour and views, of whatever kind and time.
    `pool`: int32 posts that may be shown, most popular first; `trending`: the first of them.
    `author_rate`: float64 by user, engagements per view of all their posts, drawn to the `everyone`'s average where
    views are few. `followers`: int64 by user. `talk`: see Talk.
    By post: views until the next fold.
    """

    watermark: int
    hour: int
    popularity: NDArray[np.int64]
    engaged: NDArray[np.int32]
    viewed: NDArray[np.int32]
    pool: NDArray[np.int32]
    trending: NDArray[np.int32]
    everyone: float
    author_rate: NDArray[np.float64]
    followers: NDArray[np.int64]
    talk: NDArray[np.float64]

    def post_rates(self, posts: NDArray[np.int32], author: NDArray[np.int32]) -> NDArray[np.float64]:
        """Engagements per view of posts, drawn to their author's rate where views are few, to `everyone`'s for a post
        whose author is not known. O(posts)."""
        prior = np.where(author >= 0, self.author_rate[author], self.everyone)
        shown = self.viewed[posts] + 1
        return (np.maximum(self.engaged[posts], 0) + PRIOR_VIEWS * prior) / (shown + PRIOR_VIEWS)


def epoch_of(state: State, hour: int, window_s: float, items: int) -> Epoch:
    """The epoch of a state at an hour, `items` of it trending. O(posts + users)."""
    return Epochs(state, window_s, items).at(hour)


@dataclass(frozen=True)
class _Bench:
    """Posts from which the pool is chosen. All others had a popularity of at most `floor` (None: there are none) and
    have not changed up to `position` of State.changes."""

    hour: int
    position: int
    posts: NDArray[np.int32]
    floor: int | None


class Epochs:
    """The epoch of a state at an hour, brought forward from fold to fold. Safe in several threads between folds."""

    def __init__(self, state: State, window_s: float, items: int) -> None:
        self._state = state
        self._window_s = window_s
        self._items = items
        self._most = max(POOL, items)
        self._lock = threading.Lock()
        self._epoch: Epoch | None = None
        self._bench: _Bench | None = None
        self._talk = Talk(state.changes)

    def at(self, hour: int) -> Epoch:
        """O(changes + users) after a fold; O(posts + engagements) where the hour is another, once."""
        with self._lock:
            epoch, state = self._epoch, self._state
            now = state.watermark, hour, len(state.users), len(state.post_ids)  # ids may be numbered between folds
            if epoch is None or (epoch.watermark, epoch.hour, len(epoch.followers), len(epoch.popularity)) != now:
                epoch = self._epoch = self._made(hour)
            return epoch

    def _made(self, hour: int) -> Epoch:
        state, users = self._state, len(self._state.users)
        popularity = state.engagement.popularity(hour, len(state.post_ids))
        pool = self._pool(hour, popularity)
        engaged, viewed = state.posts.engaged, state.posts.viewed
        # where no views are reported, a post counts as seen once, and rates are engagements per post
        everyone = (engaged.total + 1.0) / (viewed.total + 1.0)
        author_rate = (engaged.by_author(users) + PRIOR_VIEWS * everyone) / (viewed.by_author(users) + PRIOR_VIEWS)
        return Epoch(
            watermark=state.watermark,
            hour=hour,
            popularity=popularity,
            engaged=engaged.by_post,
            viewed=viewed.by_post,
            pool=pool,
            trending=pool[: self._items],
            everyone=everyone,
            author_rate=author_rate,
            followers=state.graph.followers(users),
            talk=self._talk.at(hour, len(state.post_ids)),
        )

    def _pool(self, hour: int, popularity: NDArray[np.int64]) -> NDArray[np.int32]:
        bench = self._bench
        changed = self._state.changes.since(bench.position) if bench is not None and bench.hour == hour else None
        if bench is not None and changed is not None:
            position = self._state.changes.end
            posts = self._possible(hour, np.union1d(bench.posts, changed))
            pool = self._best(posts, popularity, self._most)
            # what is not on the bench comes before none that is more popular than it was
            if bench.floor is None or (len(pool) == self._most and popularity[pool[-1]] > bench.floor):
                self._bench = self._seated(hour, position, posts, popularity, bench.floor)
                return pool
        posts = self._possible(hour, None)
        self._bench = self._seated(hour, self._state.changes.end, posts, popularity, None)
        return self._best(self._bench.posts, popularity, self._most)

    def _seated(
        self, hour: int, position: int, posts: NDArray[np.int32], popularity: NDArray[np.int64], floor: int | None
    ) -> _Bench:
        """A bench of these; where they are too many, of the most popular."""
        if len(posts) > 2 * _BENCH * self._most:
            posts = self._best(posts, popularity, _BENCH * self._most)
            floor = int(popularity[posts[-1]]) if floor is None else max(floor, int(popularity[posts[-1]]))
        return _Bench(hour, position, posts, floor)

    def _possible(self, hour: int, among: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Which of the posts (None: of all) may be shown at some time of the hour, ascending."""
        posts = self._state.posts
        which = slice(None) if among is None else among
        end = (hour + 1) * SECONDS_PER_HOUR
        created = posts.created[which]
        possible = (posts.author[which] >= 0) & ~posts.deleted[which] & ~posts.withheld[which]
        possible &= (created < end) & (created >= end - self._window_s)
        return np.flatnonzero(possible).astype(np.int32) if among is None else among[possible]

    def _best(self, posts: NDArray[np.int32], popularity: NDArray[np.int64], count: int) -> NDArray[np.int32]:
        created = self._state.posts.created
        return posts[best(self._state.post_ids.names, posts, count, -popularity[posts], -created[posts])]
