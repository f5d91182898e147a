"""Compiled: which follows are returned, kept in one bit of each."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled, inner
from feedgen.state.searching import ABSENT, places_of

RETURNED: Final = 1 << 31
"""In the column of events: whether the other one follows back. Of an entry that is off it says nothing."""
HANDLE: Final = RETURNED - 1
_AT_ONCE: Final = 512


@inner
def _places(rows: Any, lefts: Any, rights: Any) -> NDArray[np.int64]:
    """Where each pair stands among the entries that are on."""
    starts, counts = np.zeros(len(lefts), np.int64), np.zeros(len(lefts), np.int32)
    for at in range(len(lefts)):
        if lefts[at] < len(rows.starts):
            starts[at], counts[at] = rows.starts[lefts[at]], rows.ons[lefts[at]]
    found = np.empty(len(lefts), np.int64)
    places_of(rows.right, starts, counts, rights, found)
    return found


@compiled
def mark_returned(rows: Any, lefts: Any, rights: Any) -> None:
    """After pairs were switched, bring the bits of them and of those the other way round up to date. `rows`: see
    deciding.Rows. O(log row) a pair."""
    event, bit, rest = rows.event, np.uint32(RETURNED), np.uint32(HANDLE)
    for first in range(0, len(lefts), _AT_ONCE):
        left, right = lefts[first : first + _AT_ONCE], rights[first : first + _AT_ONCE]
        there, back = _places(rows, left, right), _places(rows, right, left)
        for at in range(len(left)):
            both = there[at] != ABSENT and back[at] != ABSENT
            for place in (there[at], back[at]):
                if place != ABSENT:
                    event[place] = event[place] & rest | (bit if both else np.uint32(0))
