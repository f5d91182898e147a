"""What is asked of a post, and of a user, side by side: a card of each is one line of the cache.

The columns of a network of a million do not fit into the caches, and each feed asks hundreds of posts and users, at
random places, for a dozen of them.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from feedgen.kernels.codes import code_of
from feedgen.kernels.compiled import compiled, inner
from feedgen.state.lists import Spans
from feedgen.state.symbols import Names

DELETED, WITHHELD, SENSITIVE = 1, 2, 4
TOPICS: Final = 3
"""Topics of a post on its card; whoever wants those of a post with more reads its column."""
_LINE: Final = 64

POST: Final = np.dtype(
    [
        ("created", np.float64),
        ("code", np.uint64),
        ("engaged_at", np.int64),
        ("author", np.int32),
        ("engagements", np.int32),
        ("favour", np.int32),
        ("viewed", np.int32),
        ("language", np.int32),
        ("first_topic", np.int32),
        ("second_topic", np.int32),
        ("third_topic", np.int32),
        ("topics", np.uint8),
        ("media", np.uint8),
        ("min_age", np.uint8),
        ("doubts", np.uint8),
        ("form", np.uint8),
    ],
    align=True,
)
"""`created` (s), `author`, `language`, `min_age`, `media`: as state has them. `code`, `form`: the id, see codes.
`engaged_at`, `engagements`: where those with the post begin in engagement.Engagement.by_post, and how many there are;
`favour`: Posts.engaged; `viewed`: Posts.viewed. `topics`: how many it has, of which the first TOPICS are here.
`doubts`: bits for DELETED, WITHHELD, SENSITIVE."""

USER: Final = np.dtype(
    [
        ("recent_at", np.int64),
        ("followees_at", np.int64),
        ("code", np.uint64),
        ("rate", np.float64),
        ("log_rate", np.float64),
        ("log_followers", np.float64),
        ("recent", np.int32),
        ("followees", np.int32),
        ("newest", np.int32),
        ("form", np.uint8),
    ],
    align=True,
)
"""`recent_at`, `recent`: where the user's posts begin in Posts.recent, and how many there are; `newest`: the last of
them, or −1, so that nothing need be read of the lists of those, the most, who have one or none. `followees_at`,
`followees`: the same of whom the user follows. `rate`: Epoch.author_rate, and its logarithm; `log_followers`: the
logarithm of 1 + followers. `code`, `form`: the id, see codes."""


class Cards(NamedTuple):
    """By post, of POST; by user, of USER."""

    posts: NDArray[Any]
    users: NDArray[Any]


def blank(count: int, kind: DTypeLike) -> NDArray[Any]:
    """So many cards, each in a line of its own; not set. What is not written to yet takes no memory."""
    raw = np.empty((count + 1) * _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + count * _LINE].view(kind)


class PostParts(NamedTuple):
    """Columns of state that the cards of posts are written from, by post."""

    created: NDArray[np.float64]
    author: NDArray[np.int32]
    favour: NDArray[np.int32]
    viewed: NDArray[np.int32]
    language: NDArray[np.int32]
    media: NDArray[np.uint8]
    min_age: NDArray[np.uint8]
    deleted: NDArray[np.bool_]
    withheld: NDArray[np.bool_]
    sensitive: NDArray[np.bool_]
    topics: Spans
    engagements: Spans
    names: Names


class UserParts(NamedTuple):
    """What the cards of users are written from, by user."""

    rate: NDArray[np.float64]
    log_rate: NDArray[np.float64]
    log_followers: NDArray[np.float64]
    recent: Spans
    followees: Spans
    names: Names


@inner
def _span(spans: Spans, owner: int) -> tuple[int, int]:
    if owner >= len(spans.starts):
        return np.int64(0), np.int32(0)
    return spans.starts[owner], np.int32(spans.counts[owner])


@inner
def _topic(topics: Spans, post: int, place: int) -> int:
    return topics.values[topics.starts[post] + place] if place < topics.counts[post] else np.int32(-1)


@compiled
def write_posts(parts: PostParts, which: NDArray[np.int32], cards: NDArray[Any]) -> None:
    """The cards of these posts anew. 30 ns each."""
    topics, names = parts.topics, parts.names
    for post in which:
        card = cards[post]
        card.created, card.author = parts.created[post], parts.author[post]
        card.favour, card.viewed = parts.favour[post], parts.viewed[post]
        card.language, card.media, card.min_age = parts.language[post], parts.media[post], parts.min_age[post]
        doubts = DELETED * parts.deleted[post] | WITHHELD * parts.withheld[post] | SENSITIVE * parts.sensitive[post]
        card.doubts = np.uint8(doubts)
        card.engaged_at, card.engagements = _span(parts.engagements, post)
        card.topics = topics.counts[post]
        card.first_topic = _topic(topics, post, 0)
        card.second_topic = _topic(topics, post, 1)
        card.third_topic = _topic(topics, post, 2)
        card.code, card.form = code_of(names.data, names.bounds[post], names.bounds[post + 1])


@compiled
def write_users(parts: UserParts, named: int, cards: NDArray[Any]) -> None:
    """The cards of all users anew; the ids of the first `named` of them stand there. 10 ns each."""
    names = parts.names
    for user in range(len(cards)):
        card = cards[user]
        card.rate, card.log_rate, card.log_followers = parts.rate[user], parts.log_rate[user], parts.log_followers[user]
        card.recent_at, card.recent = _span(parts.recent, user)
        card.newest = parts.recent.values[card.recent_at + card.recent - 1] if card.recent else np.int32(-1)
        card.followees_at, card.followees = _span(parts.followees, user)
        if user >= named:
            card.code, card.form = code_of(names.data, names.bounds[user], names.bounds[user + 1])


@inner
def topic_of(cards: NDArray[Any], topics: Spans, post: int, place: int) -> int:
    """A topic of the post by its place, of which there are `cards[post].topics`."""
    card = cards[post]
    if place == 0:
        return card.first_topic
    if place == 1:
        return card.second_topic
    if place == 2:
        return card.third_topic
    return topics.values[topics.starts[post] + place]
