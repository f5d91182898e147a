"""Retained posts of a viewer's followees."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.ragged import flat
from feedgen.state.lists import list_of


class Network(NamedTuple):
    """In parallel arrays, followee after followee, each author's oldest first. `owner`: position of the author among
    the followees."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    owner: NDArray[np.uint32]


@inner
def network_of(columns: Columns, rules: Rules, viewer: int) -> Network:
    """O(followees + their recent posts)."""
    posts, owner = flat(columns.people.recent, list_of(columns.people.followees, viewer))
    created, every_created, oldest, now = np.empty(len(posts)), columns.posts.created, rules.oldest, rules.now
    for at in range(len(posts)):
        created[at] = every_created[posts[at]]
    count = 0
    for at in range(len(posts)):
        when = created[at]
        posts[count], created[count], owner[count] = posts[at], when, owner[at]
        count += (oldest <= when) & (when <= now)
    return Network(posts[:count], created[:count], owner[:count])


@inner
def written_by(columns: Columns, rules: Rules, viewer: int) -> NDArray[np.int32]:
    """The viewer's own posts that are no older than candidates. O(n)."""
    every_created, oldest, now = columns.posts.created, rules.oldest, rules.now
    recent = list_of(columns.people.recent, viewer)
    posts, count = np.empty(len(recent), np.int32), 0
    for post in recent:
        posts[count] = post
        count += (oldest <= every_created[post]) & (every_created[post] <= now)
    return posts[:count]


@inner
def recency(network: Network, which: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of some posts, the place among their author's, 0 being the newest."""
    owner, newer = network.owner, np.zeros(len(network.posts))
    for at in range(len(owner) - 2, -1, -1):
        newer[at] = newer[at + 1] + 1.0 if owner[at] == owner[at + 1] else 0.0
    return newer[which]
