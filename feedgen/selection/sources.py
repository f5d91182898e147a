"""Where candidates come from. A source yields posts, never scores."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.context import ViewerContext
from feedgen.selection.ordering import best


class Source(Protocol):
    """Posts to consider for one viewer."""

    name: str
    """The reason a feed item gives for being there."""

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """At most `room` posts, each once, in no order of meaning."""
        ...


class NewFromFollowees:
    """Posts by followees since the viewer's last login (ever, if there was none), capped at `cap`.

    Over the cap: newest first per author in turns, so that one author cannot use it up, and without those seen since
    the login, so that a reader who has seen a cap's worth gets the rest.
    """

    name = "followed"

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(network), O(n log n) over the cap."""
        network = context.network
        new = network.created > context.last_login
        cap = min(self._cap, room)
        if np.count_nonzero(new) > cap:
            new &= ~context.seen[network.posts]
        posts = network.posts[new]
        if len(posts) <= cap:
            return posts
        return posts[best(context.state.post_ids.names, posts, cap, network.recency[new], -network.created[new])]


class PopularUnseen:
    """Followees' retained posts the viewer has not seen, most popular first; leaves room for `leave` more."""

    name = "popular"

    def __init__(self, leave: int) -> None:
        self._leave = leave

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(network), O(n log n) over the room."""
        room = max(0, room - self._leave)
        network = context.network
        old = network.created <= context.last_login
        posts, created = network.posts[old], network.created[old]
        unseen = ~context.seen[posts]
        posts, created = posts[unseen], created[unseen]
        if len(posts) <= room:
            return posts
        return posts[best(context.state.post_ids.names, posts, room, -context.epoch.popularity[posts], -created)]


class Trending:
    """The most popular posts from beyond the viewer's network that the viewer has not seen, at most `cap`."""

    name = "trending"

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(kept trending posts)."""
        posts = context.epoch.trending
        posts = posts[context.state.posts.created[posts] <= context.now]
        beyond = ~context.seen[posts] & ~context.near[context.state.posts.author[posts]]
        return posts[beyond][: min(self._cap, room)]


def gather(
    sources: Sequence[Source], context: ViewerContext, fetch_cap: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Candidates of all sources, each once, and the position of the source that named it first; at most `fetch_cap`."""
    taken = np.zeros(len(context.state.post_ids), np.bool_)
    posts = np.empty(0, np.int32)
    origin = np.empty(0, np.uint8)
    for number, source in enumerate(sources):
        found = source.candidates(context, fetch_cap - len(posts))
        found = found[~taken[found]]
        taken[found] = True
        posts = np.concatenate((posts, found))
        origin = np.concatenate((origin, np.full(len(found), number, np.uint8)))
    return posts, origin
