"""Where candidates come from. A source yields posts, never scores."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.context import ViewerContext
from feedgen.selection.ordering import best
from feedgen.selection.taste import match
from feedgen.state.engagement import UNIT

_DAY_S: Final = 86_400.0
MORE: Final = 1.01
"""How well an interest match must fit the viewer's taste, 1 being the average post."""


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
    """Followees' posts the viewer has not seen, most popular first; leaves room for `leave` more."""

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


class NewFollowees:
    """Posts of the last `days` by authors followed since the last login: older than it, and new to the viewer."""

    name = "new_followee"

    def __init__(self, days: float, cap: int) -> None:
        self._span_s = days * _DAY_S
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(network), O(n log n) over the cap."""
        network = context.network
        since = context.state.graph.followed_at(context.viewer) > context.last_login
        wanted = since[network.owner] & (network.created <= context.last_login)
        wanted &= (network.created >= context.now - self._span_s) & ~context.seen[network.posts]
        posts, created, recency = network.posts[wanted], network.created[wanted], network.recency[wanted]
        cap = min(self._cap, room)
        if len(posts) <= cap:
            return posts
        return posts[best(context.state.post_ids.names, posts, cap, recency, -created)]


class Grown:
    """Posts of followees that were seen, and are much more talked about since; the most popular `cap`."""

    name = "grown"

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(engagements with seen posts of the network)."""
        network = context.network
        posts = network.posts[context.grown[network.posts]]
        created = context.state.posts.created[posts]
        cap = min(self._cap, room)
        if not len(posts):
            return posts
        return posts[best(context.state.post_ids.names, posts, cap, -context.epoch.popularity[posts], -created)]


class Interest:
    """Of what is popular beyond the network, the posts that match the viewer's taste best, at most `cap`.

    None for whom taste says nothing: who follows nobody and engaged with nothing.
    """

    name = "interest"

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(pool)."""
        posts = beyond(context, context.epoch.pool)
        liking = match(context.state, context.taste, posts)
        posts, liking = posts[liking > MORE], liking[liking > MORE]
        cap = min(self._cap, room)
        worth = -liking * np.maximum(context.epoch.popularity[posts] + UNIT, 0)
        return posts[best(context.state.post_ids.names, posts, cap, worth, -context.state.posts.created[posts])]


class Trending:
    """The most popular posts from beyond the viewer's network that the viewer has not seen, at most `cap`."""

    name = "trending"

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def candidates(self, context: ViewerContext, room: int) -> NDArray[np.int32]:
        """O(kept trending posts)."""
        return beyond(context, context.epoch.trending)[: min(self._cap, room)]


def beyond(context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Those that exist by now, by authors outside the network, unseen; in the order given. O(n)."""
    posts = posts[context.state.posts.created[posts] <= context.now]
    return posts[~context.seen[posts] & ~context.near[context.state.posts.author[posts]]]


class Gathered(NamedTuple):
    """Candidates, each once, with the position of the source that named it first.

    `named`: how many posts each source named; `twice`: how many of them an earlier source had named.
    """

    posts: NDArray[np.int32]
    origin: NDArray[np.uint8]
    named: dict[str, int]
    twice: int


def gather(sources: Sequence[Source], context: ViewerContext, fetch_cap: int) -> Gathered:
    """Candidates of all sources; at most `fetch_cap`."""
    taken = np.zeros(len(context.state.post_ids), np.bool_)
    posts = np.empty(0, np.int32)
    origin = np.empty(0, np.uint8)
    named: dict[str, int] = {}
    for number, source in enumerate(sources):
        found = source.candidates(context, fetch_cap - len(posts))
        named[source.name] = len(found)
        found = found[~taken[found]]
        taken[found] = True
        posts = np.concatenate((posts, found))
        origin = np.concatenate((origin, np.full(len(found), number, np.uint8)))
    return Gathered(posts, origin, named, sum(named.values()) - len(posts))
