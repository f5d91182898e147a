"""Retained posts of a viewer's followees, without those deleted or withheld."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import DELETED, WITHHELD
from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.ragged import flat
from feedgen.kernels.rows import followees_of

_GONE: Final = DELETED | WITHHELD


class Network(NamedTuple):
    """In parallel arrays, followee after followee, each author's oldest first. `owner`: position of the author among
    the followees."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    owner: NDArray[np.uint32]


@inner
def _when(card: Any) -> float:
    """When the post was created; of one that is deleted or withheld never, so that one comparison leaves out both."""
    return np.inf if card.doubts & _GONE else card.created


@inner
def network_of(columns: Columns, rules: Rules, viewer: int) -> Network:
    """O(followees + their recent posts)."""
    cards, users, followees = columns.cards.posts, columns.cards.users, followees_of(columns, viewer)
    starts, counts = np.empty(len(followees), np.int64), np.empty(len(followees), np.int32)
    for at in range(len(followees)):
        card = users[followees[at]]
        starts[at], counts[at] = card.recent_at, card.recent
    posts, owner = flat(starts, counts, columns.people.recent)
    created, oldest, now = np.empty(len(posts)), rules.oldest, rules.now
    for at in range(len(posts)):
        created[at] = _when(cards[posts[at]])
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
        created = _when(cards[post])
        count += (oldest <= created) & (created <= now)
    return posts[:count]


@inner
def recency(network: Network, which: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of some posts, the place among their author's, 0 being the newest."""
    owner, newer = network.owner, np.zeros(len(network.posts))
    for at in range(len(owner) - 2, -1, -1):
        newer[at] = newer[at + 1] + 1.0 if owner[at] == owner[at + 1] else 0.0
    return newer[which]
