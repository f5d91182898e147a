"""Who comes and goes, as the events tell it: by logins where they are reported, else by what viewers do."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Composite, Part
from feedgen.state.habits import SILENT_S, Floats, Habits, Ints
from feedgen.state.journal import Journal, Kept

_LATEST: Final = float(2**32 - 1)
"""Times are kept in 32 bits of seconds; what lies outside (before 1970, after 2106) is no visit."""
VISITS: Final = {"logout": 0, "login": 1}
DEED: Final = 2
_NONE: Final = Kept(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), np.zeros(0, np.bool_))


class Presence(Composite):
    """Visits out of events: into habits, into the journal, and to whoever takes what is new.

    A viewer of whom no login was ever reported comes with the first deed after half an hour without any, and is there
    until half an hour after the last. What comes late counts by the rules of `Habits`, so unlike the rest of the state
    it depends, a little, on the order of events; no feed depends on it.
    """

    def __init__(self) -> None:
        self.habits = Habits()
        self.journal = Journal()
        self._new: list[Kept] = []
        self.followed = False
        """Whether somebody takes what is new; else nothing is held for it."""
        self.heeded = True
        """Whether visits are made out at all: two thirds of a millisecond a fold, of no use to who only makes feeds."""

    def _parts(self) -> Mapping[str, Part]:
        return {"habits": self.habits, "journal": self.journal}

    def add(self, viewers: Ints, ts: Floats, kinds: NDArray[np.int8]) -> None:
        """Logouts (0), logins (1) and deeds (2), in log order. O(n log n)."""
        if not self.heeded:
            return
        within = (ts > 0) & (ts < _LATEST)
        viewers, ts, kinds = viewers[within], ts[within], kinds[within]
        told = kinds != DEED
        reported = Kept(viewers[told], ts[told], kinds[told] == 1, np.ones(int(told.sum()), np.bool_))
        deeds = self._untold(viewers[~told], ts[~told], reported.viewers[reported.came])
        both = _together(reported, deeds)
        if len(both.ts):
            self.habits.absorb(*both)
            self.journal.add(*both)
            if self.followed:
                self._new.append(both)

    def take(self) -> Kept:
        """The visits since this was last called, in the order they came."""
        new, self._new = self._new, []
        if not new:
            return _NONE
        viewers, ts, came, told = (np.concatenate(each) for each in zip(*new, strict=True))
        return Kept(viewers, ts, came, told)

    def _untold(self, viewers: Ints, ts: Floats, reported: Ints) -> Kept:
        """Visits made out of deeds of viewers of whom no login was ever reported; a late deed makes none."""
        rows = self.habits.rows
        known = viewers < len(rows)
        told = np.isin(viewers, reported)
        told[known] |= rows["told"][viewers[known]]
        order = np.lexsort((ts, viewers))
        order = order[~told[order]]
        of, at = viewers[order], ts[order]
        first = np.concatenate(([True], of[1:] != of[:-1])) if len(of) else np.zeros(0, np.bool_)
        seen = np.zeros(len(of))
        before = np.flatnonzero(of < len(rows))
        seen[before] = np.maximum(rows["came"][of[before]], rows["left"][of[before]])
        previous = np.where(first, seen, np.maximum(seen, np.concatenate(([0.0], at[:-1])) if len(of) else at))
        opens = (at - previous > SILENT_S) | (previous == 0)
        late = at <= seen
        lasts = np.append(first[1:] | opens[1:], True) if len(of) else opens
        leaves = lasts & ~late & ~opens
        coming, leaving = np.flatnonzero(opens), np.flatnonzero(leaves)
        which = np.concatenate([coming, leaving])
        came = np.concatenate([np.ones(len(coming), np.bool_), np.zeros(len(leaving), np.bool_)])
        return Kept(of[which], at[which], came, np.zeros(len(which), np.bool_))


def _together(one: Kept, other: Kept) -> Kept:
    viewers, ts, came, told = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    return Kept(viewers, ts, came, told)
