"""How a feed is made where nothing is precomputed: Redis sorted sets, merged on read.

It gets what a team would have: one pipelined round trip, the C parser, and posts named by numbers, so that a viewer's
set of those seen is an array of integers. Whom a viewer follows it is told for nothing. It answers what ours does by
`yardstick.yaml`: followees' posts since the viewer's last login, without those seen or blocked, the newest 500. It has
no score, features, heads or diversity, and keeps nothing of what it found.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from loadtest.caller import ITEMS, LOGIN, Caller, ServerGone, cpu_s
from loadtest.crowd import Crowd, Extent
from loadtest.peers import bare_redis
from loadtest.progress import Progress
from loadtest.room import Room

_AT_ONCE: Final = 1_000
"""Commands in a pipeline."""
_BYTES_A_KEY: Final = 150
_BYTES_A_MEMBER: Final = 6
"""At most, of both kinds of sets."""

Followees = Callable[[int], list[int]]


def room(extent: Extent) -> Room:
    """What it takes at most."""
    keys, members = 2 * extent.viewers, extent.posts + extent.seen + extent.likes
    return Room((50 << 20) + _BYTES_A_KEY * keys + _BYTES_A_MEMBER * members)


@contextmanager
def redis(crowd: Crowd, followees: Followees, tell: Callable[[str], None]) -> Iterator[Caller]:
    """A sorted set of posts by time for each author, a set of those seen for each viewer, and one of who is blocked.

    Raises NotHere, ServerGone, or ModuleNotFoundError without the client.
    """
    with bare_redis() as (client, peer):
        pipe = client.pipeline(transaction=False)
        with _answering():
            _fill_posts(pipe, crowd, tell)
            _fill_seen(pipe, crowd, tell)
        del crowd  # this frame stays, and a million viewers' crowd is 2.5 GB

        def feeds(some: Sequence[int]) -> int:
            with _answering():
                return sum(len(_merged(pipe, viewer, followees(viewer))) for viewer in some)

        def posts(viewer: int) -> list[int]:
            with _answering():
                return [int(post) for _, post in _merged(pipe, viewer, followees(viewer))]

        yield Caller(feeds, posts, lambda: cpu_s(peer.pid))


@contextmanager
def _answering() -> Iterator[None]:
    """Raises ServerGone where the client gives up."""
    from redis import RedisError

    try:
        yield
    except RedisError as error:
        raise ServerGone(f"Redis stopped answering: {error}") from error


def _merged(pipe: Any, viewer: int, authors: list[int]) -> list[tuple[float, bytes]]:
    """One feed: everything asked for in one round trip, then merged, newest first."""
    pipe.smembers(f"b{viewer}")
    pipe.smembers(f"s{viewer}")
    for author in authors:
        pipe.zrevrange(f"a{author}", 0, ITEMS - 1, withscores=True)
    barred, seen, *lines = pipe.execute()
    blocked = {int(author) for author in barred}
    found = [
        (created, post)
        for author, line in zip(authors, lines, strict=True)
        if author not in blocked
        for post, created in line
        if created > LOGIN and post not in seen
    ]
    return heapq.nlargest(ITEMS, found)


def _fill_posts(pipe: Any, crowd: Crowd, tell: Callable[[str], None]) -> None:
    progress = Progress(tell, "redis: posts", len(crowd.author))
    order, bounds = _by_owner(crowd.author, len(crowd.followees))
    for author in np.flatnonzero(np.diff(bounds)).tolist():
        posts = order[bounds[author] : bounds[author + 1]]
        pipe.zadd(f"a{author}", dict(zip(posts.tolist(), crowd.created[posts].tolist(), strict=True)))
        progress.add(len(posts))
        if len(pipe) >= _AT_ONCE:
            pipe.execute()
    pipe.execute()


def _fill_seen(pipe: Any, crowd: Crowd, tell: Callable[[str], None]) -> None:
    """What each viewer has seen, and with it what they liked: who liked a post has seen it."""
    progress = Progress(tell, "redis: seen", crowd.seen.size + crowd.likes.size)
    order, bounds = _by_owner(crowd.likes.ravel(), len(crowd.seen))
    liked = order // crowd.likes.shape[1]
    for viewer, seen in enumerate(crowd.seen):
        posts = [*seen.tolist(), *liked[bounds[viewer] : bounds[viewer + 1]].tolist()]
        if posts:
            pipe.sadd(f"s{viewer}", *posts)
        progress.add(len(posts))
        if len(pipe) >= _AT_ONCE:
            pipe.execute()
    pipe.execute()


def _by_owner(owner: NDArray[np.int32], owners: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in `owner`, ordered by it, and where those of each begin: shape (owners + 1). O(n log n)."""
    order = np.argsort(owner, kind="stable")
    return order, np.searchsorted(owner[order], np.arange(owners + 1))
