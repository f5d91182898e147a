"""Who follows, blocks and mutes whom."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.lists import Lists, Spans
from feedgen.state.toggles import Toggles

BLOCK: Final = 0
MUTE: Final = 1
_WAYS: Final = 2


class Since(NamedTuple):
    """When each followee was followed, parallel to the values of `followees`; see moments.time_of."""

    codes: NDArray[np.uint32]
    exact: NDArray[np.float64]


class Graph(Composite):
    """Directed edges between dense user indices: those of a viewer are a row, ascending by author.

    A follow takes 12 bytes when loaded in bulk; folded event by event at most 24, and its event's id: see Toggles.
    """

    def __init__(self) -> None:
        self._follows = Toggles()
        self._bars = Toggles()  # right: target × _WAYS + way
        self._followers = Column(np.int32)
        self._barred = Lists(np.int32)
        self.follow_count = 0
        self.version = 0
        """Another number after each change of who follows whom."""

    def _parts(self) -> Mapping[str, Part]:
        return {"follows": self._follows, "bars": self._bars, "followers": self._followers, "barred": self._barred}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See columns.Part."""
        super().restore(columns)
        self.version += 1
        self.follow_count = int(self._followers.values.sum(dtype=np.int64))

    def follow_many(
        self,
        viewers: NDArray[np.integer[Any]],
        authors: NDArray[np.integer[Any]],
        on: NDArray[np.bool_],
        ts: NDArray[np.float64],
        ids: Sequence[str] | None,
    ) -> None:
        """Follow, or unfollow where not `on`; `ids` None for a bulk. 0.3 µs an event."""
        if not len(viewers):
            return
        self.version += 1
        decided = self._follows.decide_many(viewers, authors, on, ts, ids)
        change = np.where(decided.won, on.astype(np.int32) - decided.was_on, 0)
        self._followers.reach(int(authors.max()) + 1)
        np.add.at(self._followers.values, authors, change)
        self.follow_count += int(change.sum())
        self._follows.mark_returned(viewers[change != 0], authors[change != 0])

    def bar_many(
        self,
        actors: NDArray[np.integer[Any]],
        targets: NDArray[np.integer[Any]],
        way: NDArray[np.integer[Any]],
        on: NDArray[np.bool_],
        ts: NDArray[np.float64],
        ids: Sequence[str] | None,
    ) -> None:
        """Block or mute (`way`), or take it back. A block hides either from the other, a mute the target. O(barred)."""
        decided = self._bars.decide_many(actors, targets * _WAYS + way, on, ts, ids)
        for at in np.flatnonzero(decided.won).tolist():
            actor, target = int(actors[at]), int(targets[at])
            self._rebar(actor, target)
            if way[at] == BLOCK:
                self._rebar(target, actor)

    def _rebar(self, viewer: int, author: int) -> None:
        blocked = (self._bars.is_on(one, other * _WAYS + BLOCK) for one, other in ((viewer, author), (author, viewer)))
        self._barred.drop(viewer, author)
        if any(blocked) or self._bars.is_on(viewer, author * _WAYS + MUTE):
            self._barred.append(viewer, author)

    def followees(self, viewer: int) -> NDArray[np.int32]:
        """Authors the viewer follows, ascending; int32, a copy. O(followees)."""
        return self._follows.ons(viewer).copy()

    def followed_at(self, viewer: int) -> NDArray[np.float64]:
        """When each of `followees` was followed, the last time (s); a copy. O(followees)."""
        return self._follows.since(viewer)

    def follows(self, viewer: int, author: int) -> bool:
        """Whether the viewer follows the author. O(log followees)."""
        return self._follows.is_on(viewer, author)

    def followers(self, users: int) -> NDArray[np.int64]:
        """How many follow each user; a copy of `users` entries. O(users)."""
        counts = np.zeros(users, np.int64)
        counts[: self._followers.count] = self._followers.values
        return counts

    def barred(self, viewer: int) -> NDArray[np.int32]:
        """Authors blocked either way or muted by the viewer, ascending; int32, a copy."""
        return np.sort(self._barred.of(viewer))

    @property
    def returned(self) -> NDArray[np.uint32]:
        """Parallel to the followees of `spans`: the bit returning.RETURNED says who follows back."""
        return self._follows.returned

    @property
    def spans(self) -> tuple[Spans, Since, Spans]:
        """Of all viewers: followees, when each was followed, and who is barred; views until the next fold."""
        return self._follows.spans, Since(*self._follows.times), self._barred.spans
