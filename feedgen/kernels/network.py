"""Retained posts of a viewer's followees."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.state.lists import list_of


class Network(NamedTuple):
    """In parallel arrays, followee after followee, each author's oldest first. `recency`: 0 is the author's newest;
    `owner`: position of the author among the followees."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    recency: NDArray[np.int32]
    owner: NDArray[np.int32]


@inner
def network_of(columns: Columns, rules: Rules, viewer: int) -> Network:
    """O(recent posts of followees)."""
    followees, recent = list_of(columns.people.followees, viewer), columns.people.recent
    most = 0
    for author in followees:
        most += len(list_of(recent, author))
    posts, created = np.empty(most, np.int32), np.empty(most, np.float64)
    recency, owner = np.empty(most, np.int32), np.empty(most, np.int32)
    count, every_created, oldest, now = 0, columns.posts.created, rules.oldest, rules.now
    for position in range(len(followees)):
        first = count
        for post in list_of(recent, followees[position]):
            at = every_created[post]
            if oldest <= at <= now:
                posts[count], created[count], owner[count] = post, at, position
                count += 1
        for at in range(first, count):
            recency[at] = count - 1 - at
    return Network(posts[:count], created[:count], recency[:count], owner[:count])
