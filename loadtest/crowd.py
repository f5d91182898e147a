"""The network that generation is measured on: everyone follows so many, whatever its size."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.attributes import NONE, Described
from feedgen.state.bulk import Bulk
from feedgen.state.engagement import KIND
from feedgen.state.state import State
from feedgen.synthetic.spec import TOPICS

NOW = 1_735_689_600.0
_DAY_S = 86_400.0
_ROWS = 1 << 20
"""Rows that are drawn or loaded at once."""


class Extent(NamedTuple):
    """How many rows there are of each."""

    viewers: int
    follows: int
    posts: int
    likes: int
    seen: int


class Crowd(NamedTuple):
    """Columns: `followees`, shape (viewers, each); by post its author, when it was made (s), and how popular it is."""

    followees: NDArray[np.int32]
    author: NDArray[np.int32]
    created: NDArray[np.float64]
    score: NDArray[np.float64]
    likes: NDArray[np.int32]
    seen: NDArray[np.int32]

    def extent(self) -> Extent:
        """How many rows there are of each."""
        return Extent(len(self.seen), self.followees.size, len(self.author), self.likes.size, self.seen.size)


def foreseen(viewers: int, followees: int, posts_each: float, likes_each: int, seen_each: int) -> Extent:
    """The extent of what `draw` gives."""
    posts = max(1, round(viewers * posts_each))
    return Extent(viewers, viewers * min(followees, viewers - 1), posts, posts * likes_each, viewers * seen_each)


def draw(viewers: int, followees: int, posts_each: float, likes_each: int, seen_each: int, seed: int) -> Crowd:
    """Follows drawn alike, so that a feed's work does not depend on the size. O(follows)."""
    rng = np.random.default_rng(seed)
    each = min(followees, viewers - 1)
    authors = np.empty((viewers, each), np.int32)
    for rows in _parts(viewers, each):
        who = np.arange(rows.start, rows.stop, dtype=np.int32)[:, None]
        apart = rng.integers(0, viewers - each, (len(who), each), dtype=np.int32)
        once = np.sort(apart, axis=1) + np.arange(1, each + 1, dtype=np.int32)  # each once
        authors[rows] = (once + who) % viewers
    posts = max(1, round(viewers * posts_each))
    author = rng.integers(0, viewers, posts, dtype=np.int32)
    created = NOW - _DAY_S * (0.01 + 2.9 * rng.random(posts))
    likes = rng.integers(0, viewers, (posts, likes_each), dtype=np.int32)
    score = rng.random(posts)
    seen = rng.integers(0, posts, (viewers, seen_each), dtype=np.int32)
    return Crowd(authors, author, np.floor(created), score, likes, seen)


def people_into(state: State, crowd: Crowd) -> None:
    """Names: viewers are u0, u1, …, posts p0, p1, …, numbered alike inside. For an empty state."""
    state.users.intern_numbered("u", len(crowd.followees))
    state.post_ids.intern_numbered("p", len(crowd.author))
    state.posts.reach()
    state.about_posts.reach(len(crowd.author))


def posts_into(state: State, crowd: Crowd) -> None:
    """Every post with its topics. O(posts)."""
    bulk, topics = Bulk(state), np.array([state.topic_names.intern(topic) for topic in TOPICS], np.int32)
    for rows in _parts(len(crowd.author), 1):
        posts, author = np.arange(rows.start, rows.stop, dtype=np.int32), crowd.author[rows]
        about = np.stack([author % len(TOPICS), posts % len(TOPICS)], axis=1)
        counts = 1 + (about[:, 0] != about[:, 1])
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        kept = np.stack([np.ones(len(posts), np.bool_), counts == 2], axis=1)
        nothing = np.zeros(len(posts), np.uint8)
        unsaid = np.full(len(posts), NONE, np.int32)
        fields = unsaid, nothing, nothing.astype(np.bool_), nothing, unsaid, unsaid
        said = Described(*fields, bounds, topics[about[kept]])
        bulk.posts(posts, author, crowd.created[rows], said)


def follows_into(state: State, crowd: Crowd) -> None:
    """Every follow, a month ago. O(follows)."""
    bulk, each = Bulk(state), crowd.followees.shape[1]
    for rows in _parts(len(crowd.followees), each):
        viewers = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int32), each)
        bulk.follows(viewers, np.sort(crowd.followees[rows], axis=1).ravel(), np.full(len(viewers), NOW - 30 * _DAY_S))


def deeds_into(state: State, crowd: Crowd) -> None:
    """A login of everyone three days ago, what they saw then, and all likes; needs no follows. O(seen + likes)."""
    bulk, then = Bulk(state), NOW - 3 * _DAY_S
    everyone = np.arange(len(crowd.seen), dtype=np.int32)
    bulk.logins(everyone, np.full(len(everyone), then))
    for rows in _parts(len(crowd.seen), crowd.seen.shape[1]):
        viewers = np.repeat(everyone[rows], crowd.seen.shape[1])
        bulk.views(viewers, crowd.seen[rows].ravel(), np.full(len(viewers), then))
    each = crowd.likes.shape[1]
    for rows in _parts(len(crowd.likes), each):
        posts = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int32), each)
        kinds = np.full(len(posts), KIND["like"])
        bulk.engagements(crowd.likes[rows].ravel(), posts, kinds, np.repeat(crowd.created[rows] + 300.0, each))


def _parts(count: int, each: int) -> Iterator[slice]:
    """Of so many owners with `each` rows, as many as have _ROWS together."""
    at_once = max(1, _ROWS // max(1, each))
    for low in range(0, count, at_once):
        yield slice(low, min(low + at_once, count))
