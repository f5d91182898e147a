"""What a new feed would bring a viewer: something, if a followee posted since the last one; else nothing."""

from typing import Final

import numpy as np

from feedgen.state.columns import ragged
from feedgen.state.habits import Floats, Ints
from feedgen.state.state import State

_ROWS_AT_ONCE: Final = 4_096
"""Viewers whose followees are in memory at a time: a million for 300 followees each."""


class NewPosts:
    """Gains of viewers by what is new from whom they follow. Reads state; so inside the gate."""

    def __init__(self, state: State, kept_s: float) -> None:
        """A feed older than `kept_s` is no feed to its reader: anything is a gain."""
        self._state = state
        self._kept_s = kept_s
        self.now = 0.0

    def __call__(self, viewers: Ints, made: Floats) -> Floats:
        """1 for each viewer with a post newer than what was `made` then (s), or with no feed to speak of; else 0.

        Where nobody ever posted there is nothing to go by: 1. O(followees).
        """
        if not self._state.posts.live_count:
            return np.ones(len(viewers))
        gain: Floats = (made < self.now - self._kept_s).astype(np.float64)
        asked = np.flatnonzero(gain == 0)
        latest = self._latest_by_author()
        for at in range(0, len(asked), _ROWS_AT_ONCE):
            part = asked[at : at + _ROWS_AT_ONCE]
            gain[part] = self._newest(viewers[part], latest) > made[part]
        return gain

    def _latest_by_author(self) -> Floats:
        """When each author posted last (s), by user; −inf for never. O(authors)."""
        posts = self._state.posts
        starts, counts, values = posts.recent
        latest = np.full(len(starts), -np.inf)
        wrote = np.flatnonzero(counts)
        latest[wrote] = posts.created[values[starts[wrote] + counts[wrote] - 1]]
        return latest

    def _newest(self, viewers: Ints, latest: Floats) -> Floats:
        """When the last of the viewers' followees posted (s); −inf for none."""
        starts, counts, values = self._state.graph.spans[0]
        newest = np.full(len(viewers), -np.inf)
        within = np.flatnonzero(viewers < len(starts))
        flat, row = ragged(starts[viewers[within]], counts[viewers[within]])
        authors = values[flat]
        posted = authors < len(latest)
        np.maximum.at(newest, within[row[posted]], latest[authors[posted]])
        return newest
