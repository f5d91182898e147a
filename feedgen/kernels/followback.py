"""Whether authors follow a viewer who does not follow them: a search in the row of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import inner
from feedgen.state.searching import ABSENT, places_of


@inner
def follow_back(columns: Columns, viewer: int, authors: NDArray[np.int32], which: NDArray[np.int32], into: Any) -> None:
    """1 for those of the authors, by their places, who follow the viewer, else 0. O(log followees) each."""
    users, found = columns.cards.users, np.empty(len(which), np.int64)
    starts, counts = np.empty(len(which), np.int64), np.empty(len(which), np.int32)
    for at in range(len(which)):
        card = users[authors[which[at]]]
        starts[at], counts[at] = card.followees_at, card.followees
    places_of(columns.people.followees, starts, counts, np.full(len(which), viewer), found)
    for at in range(len(which)):
        into[which[at]] = found[at] != ABSENT
