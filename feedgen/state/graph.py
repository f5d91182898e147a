"""Who follows, blocks and mutes whom."""

from array import array

import numpy as np
from numpy.typing import NDArray

from feedgen.state.lists import Lists, Spans
from feedgen.state.toggles import Toggles


class Graph:
    """Directed edges between dense user indices."""

    def __init__(self) -> None:
        self._follows = Toggles()
        self._blocks = Toggles()
        self._mutes = Toggles()
        self._followees = Lists(np.int32)
        self._followed_at = Lists(np.float64)
        self._followers = array("q")
        self._barred = Lists(np.int32)
        self.follow_count = 0

    def follow(self, viewer: int, author: int, on: bool, ts: float, event_id: str) -> None:
        """Follow or unfollow. Amortised O(1); a follow given again, or an unfollow, O(followees)."""
        before = self._follows.decide(viewer, author, on, ts, event_id)
        if before is None or not (before.on or on):
            return
        if not before.on:
            self._followees.append(viewer, author)
            self._followed_at.append(viewer, ts)
        elif on:
            self._followed_at.of(viewer)[self._followees.of(viewer) == author] = ts
        else:
            self._followed_at.drop_at(viewer, self._followees.drop(viewer, author))
        self._count(author, int(on) - int(before.on))

    def _count(self, author: int, change: int) -> None:
        if author >= len(self._followers):
            self._followers.extend([0] * (author + 1 - len(self._followers)))
        self._followers[author] += change
        self.follow_count += change

    def block(self, actor: int, target: int, on: bool, ts: float, event_id: str) -> None:
        """Block or unblock; a block hides either from the other. O(barred)."""
        if self._blocks.decide(actor, target, on, ts, event_id) is not None:
            self._rebar(actor, target)
            self._rebar(target, actor)

    def mute(self, actor: int, target: int, on: bool, ts: float, event_id: str) -> None:
        """Mute or unmute; a mute hides the target from the actor. O(barred)."""
        if self._mutes.decide(actor, target, on, ts, event_id) is not None:
            self._rebar(actor, target)

    def _rebar(self, viewer: int, author: int) -> None:
        either_way = self._blocks.is_on(viewer, author) or self._blocks.is_on(author, viewer)
        self._barred.drop(viewer, author)
        if either_way or self._mutes.is_on(viewer, author):
            self._barred.append(viewer, author)

    def followees(self, viewer: int) -> NDArray[np.int32]:
        """Authors the viewer follows, in no order of meaning; int32, a copy. O(followees)."""
        return self._followees.of(viewer).copy()

    def followed_at(self, viewer: int) -> NDArray[np.float64]:
        """When each of `followees` was followed, the last time (s); a copy. O(followees)."""
        return self._followed_at.of(viewer).copy()

    def follows(self, viewer: int, author: int) -> bool:
        """Whether the viewer follows the author. O(1)."""
        return self._follows.is_on(viewer, author)

    def followers(self, users: int) -> NDArray[np.int64]:
        """How many follow each user; a copy of `users` entries. O(users)."""
        counts = np.zeros(users, np.int64)
        counts[: len(self._followers)] = self._followers
        return counts

    def barred(self, viewer: int) -> NDArray[np.int32]:
        """Authors blocked either way or muted by the viewer, ascending; int32, a copy."""
        return np.sort(self._barred.of(viewer))

    @property
    def columns(self) -> tuple[Spans, Spans, Spans]:
        """Of all viewers: followees, when each was followed, and who is barred; views until the next fold."""
        return self._followees.spans, self._followed_at.spans, self._barred.spans
