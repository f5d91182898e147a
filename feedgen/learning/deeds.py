"""What viewers did after a login: what a feed should have had first, and what there is to learn from."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from feedgen.learning.history import History


class Deed(NamedTuple):
    """Something a viewer did: `kind` is the type of the event, `posts` what it was about; of each, how likely it
    was to stand where it did, where the event says so.
    """

    place: int
    ts: float
    kind: str
    posts: Sequence[str]
    propensities: Sequence[float] = ()


class Deeds:
    """Events of some types by viewer, in the order they happened. O(events)."""

    def __init__(self, history: History, kinds: Sequence[str], until: float = float("inf")) -> None:
        """Those before `until` (s)."""
        self._of: defaultdict[str, list[Deed]] = defaultdict(list)
        for place in range(history.at(until)):
            event = history.events[place]
            if event.type in kinds:
                posts = event.attrs.get("objects", ()) if event.object is None else (event.object,)
                chances = event.attrs.get("propensities", ()) if event.object is None else ()
                self._of[event.actor].append(Deed(place, event.ts, event.type, posts, chances))

    def between(self, viewer: str, since: float, place: int) -> int:
        """How often at or after `since` (s) and no later in the history than `place`. O(log deeds)."""
        deeds = self._of.get(viewer, [])
        first = bisect_left(deeds, since, key=lambda deed: deed.ts)
        return bisect_right(deeds, place, key=lambda deed: deed.place) - first

    def after(self, viewer: str, place: int, until: float) -> list[Deed]:
        """What the viewer did later in the history than `place`, and before `until` (s). O(log deeds + found)."""
        deeds = self._of.get(viewer, [])
        first = bisect_right(deeds, place, key=lambda deed: deed.place)
        return deeds[first : bisect_left(deeds, until, first, key=lambda deed: deed.ts)]
