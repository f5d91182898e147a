"""The network that generation is measured on: everyone follows so many, whatever its size."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.events import Event
from feedgen.synthetic.spec import TOPICS

NOW = 1_735_689_600.0
_DAY_S = 86_400.0


class Crowd(NamedTuple):
    """Columns: `followees`, shape (viewers, each); by post its author, when it was made (s), and how popular it is."""

    followees: NDArray[np.int64]
    author: NDArray[np.int64]
    created: NDArray[np.float64]
    score: NDArray[np.float64]
    likes: NDArray[np.int64]
    seen: NDArray[np.int64]


def draw(viewers: int, followees: int, posts_each: float, likes_each: int, seen_each: int, seed: int) -> Crowd:
    """Follows drawn alike, so that a feed's work does not depend on the size. O(follows)."""
    rng = np.random.default_rng(seed)
    each = min(followees, viewers - 1)
    apart = np.sort(rng.integers(0, viewers - each, (viewers, each)), axis=1) + np.arange(each)  # each once
    authors = (apart + 1 + np.arange(viewers)[:, None]) % viewers
    posts = max(1, round(viewers * posts_each))
    author = rng.integers(0, viewers, posts)
    created = NOW - _DAY_S * (0.01 + 2.9 * rng.random(posts))
    likes = rng.integers(0, viewers, (posts, likes_each))
    score = rng.random(posts)
    seen = rng.integers(0, posts, (viewers, seen_each))
    return Crowd(authors, author, np.floor(created), score, likes, seen)


def follows_of(crowd: Crowd) -> Iterator[Event]:
    """Every follow, a month ago, as events; ids u0, u1, …"""
    for viewer, row in enumerate(crowd.followees):
        for author in row.tolist():
            yield Event(f"f{viewer}-{author}", "follow", NOW - 30 * _DAY_S, f"u{viewer}", f"u{author}", {})


def posts_of(crowd: Crowd) -> Iterator[Event]:
    """Every post with its topics, ids p0, p1, …"""
    for post, (author, created) in enumerate(zip(crowd.author.tolist(), crowd.created.tolist(), strict=True)):
        about: dict[str, Any] = {"topics": [TOPICS[author % len(TOPICS)], TOPICS[post % len(TOPICS)]]}
        yield Event(f"c{post}", "post", created, f"u{author}", f"p{post}", about)


def deeds_of(crowd: Crowd) -> Iterator[Event]:
    """A login of everyone three days ago, what they saw then, and all likes."""
    for viewer, seen in enumerate(crowd.seen):
        yield Event(f"l{viewer}", "login", NOW - 3 * _DAY_S, f"u{viewer}", None, {})
        posts = [f"p{post}" for post in seen.tolist()]
        if posts:
            yield Event(f"v{viewer}", "view", NOW - 3 * _DAY_S, f"u{viewer}", None, {"objects": posts})
    for post, fans in enumerate(crowd.likes):
        at = float(crowd.created[post]) + 300.0
        for fan in fans.tolist():
            yield Event(f"k{post}-{fan}", "like", at, f"u{fan}", f"p{post}", {})
