"""Retained posts of a viewer's followees, without those deleted or withheld."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import DELETED, WITHHELD
from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.rows import followees_of
from feedgen.prefetch import prefetch

_GONE: Final = DELETED | WITHHELD


class Network(NamedTuple):
    """In parallel arrays, followee after followee, each author's oldest first. `owner`: position of the author among
    the followees."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    owner: NDArray[np.uint32]


@inner
def _when(created: float, doubts: int) -> float:
    """When a post was created; of one that is deleted or withheld never, so that one comparison leaves out both."""
    return np.inf if doubts & _GONE else created


@inner
def _recent_of(
    users: NDArray[Any], followees: NDArray[np.int32], recent: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """The posts of all followees, one after the other, and the position of each one's author among them.

    The newest of each stands on a card, so that only the lists of those with several are read. Who has how many cannot
    be guessed, so there is no branch on it.
    """
    ends, newest = np.empty(len(followees), np.int64), np.empty(len(followees), np.int32)
    several, more, count = np.empty(len(followees) + 1, np.int64), 0, 0
    for at in range(len(followees)):
        card = users[followees[at]]
        count += card.recent
        ends[at], newest[at], several[more] = count, card.newest, at
        more += card.recent > 1
    several = several[:more]
    for at in several:
        prefetch(recent, users[followees[at]].recent_at)
    posts, owner, before = np.empty(count + 1, np.int32), np.empty(count + 1, np.uint32), 0
    for at in range(len(followees)):  # where one has none, the next one's newest is written over it
        place = ends[at] - (ends[at] > before)
        posts[place], owner[place], before = newest[at], at, ends[at]
    for at in several:
        card = users[followees[at]]
        place, first = ends[at] - card.recent, card.recent_at
        for older in range(np.int64(card.recent) - 1):
            posts[place + older], owner[place + older] = recent[first + older], at
    return posts[:count], owner[:count]


@inner
def network_of(columns: Columns, rules: Rules, viewer: int) -> Network:
    """O(followees + their recent posts)."""
    cards, users, followees = columns.cards.posts, columns.cards.users, followees_of(columns, viewer)
    posts, owner = _recent_of(users, followees, columns.people.recent)
    created, oldest, now = np.empty(len(posts)), rules.oldest, rules.now
    for at in range(len(posts)):
        card = cards[posts[at]]
        created[at] = _when(card.created, card.doubts)
    count = 0
    for at in range(len(posts)):
        when = created[at]
        posts[count], created[count], owner[count] = posts[at], when, owner[at]
        count += (oldest <= when) & (when <= now)
    return Network(posts[:count], created[:count], owner[:count])


@inner
def written_by(columns: Columns, rules: Rules, viewer: int) -> NDArray[np.int32]:
    """The viewer's own posts that stand and are no older than candidates. O(n)."""
    cards, oldest, now, card = columns.cards.posts, rules.oldest, rules.now, columns.cards.users[viewer]
    recent = columns.people.recent[card.recent_at : card.recent_at + card.recent]
    posts, count = np.empty(len(recent), np.int32), 0
    for post in recent:
        posts[count] = post
        created = _when(cards[post].created, cards[post].doubts)
        count += (oldest <= created) & (created <= now)
    return posts[:count]


@inner
def recency(network: Network, which: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of some posts, the place among their author's, 0 being the newest."""
    owner, newer = network.owner, np.zeros(len(network.posts))
    for at in range(len(owner) - 2, -1, -1):
        newer[at] = newer[at + 1] + 1.0 if owner[at] == owner[at + 1] else 0.0
    return newer[which]
