"""Who follows, blocks and mutes whom."""

from array import array
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import copied
from feedgen.state.toggles import Toggles


class Graph:
    """Directed edges between dense user indices."""

    def __init__(self) -> None:
        self._follows = Toggles()
        self._blocks = Toggles()
        self._mutes = Toggles()
        self._followees: defaultdict[int, array[int]] = defaultdict(lambda: array("i"))
        self._followed_at: defaultdict[int, array[float]] = defaultdict(lambda: array("d"))
        self._followers = array("q")
        self._barred: defaultdict[int, set[int]] = defaultdict(set)
        self.follow_count = 0

    def follow(self, viewer: int, author: int, on: bool, ts: float, event_id: str) -> None:
        """Follow or unfollow. Amortised O(1); a follow given again, or an unfollow, O(followees)."""
        before = self._follows.decide(viewer, author, on, ts, event_id)
        if before is None or not (before.on or on):
            return
        followees, followed_at = self._followees[viewer], self._followed_at[viewer]
        if not before.on:
            followees.append(author)
            followed_at.append(ts)
        elif on:
            followed_at[followees.index(author)] = ts
        else:
            at = followees.index(author)
            del followees[at], followed_at[at]
        self._count(author, int(on) - int(before.on))

    def _count(self, author: int, change: int) -> None:
        if author >= len(self._followers):
            self._followers.extend([0] * (author + 1 - len(self._followers)))
        self._followers[author] += change
        self.follow_count += change

    def block(self, actor: int, target: int, on: bool, ts: float, event_id: str) -> None:
        """Block or unblock; a block hides either from the other. O(1)."""
        if self._blocks.decide(actor, target, on, ts, event_id) is not None:
            self._rebar(actor, target)
            self._rebar(target, actor)

    def mute(self, actor: int, target: int, on: bool, ts: float, event_id: str) -> None:
        """Mute or unmute; a mute hides the target from the actor. O(1)."""
        if self._mutes.decide(actor, target, on, ts, event_id) is not None:
            self._rebar(actor, target)

    def _rebar(self, viewer: int, author: int) -> None:
        either_way = self._blocks.is_on(viewer, author) or self._blocks.is_on(author, viewer)
        if either_way or self._mutes.is_on(viewer, author):
            self._barred[viewer].add(author)
        elif viewer in self._barred:
            self._barred[viewer].discard(author)

    def followees(self, viewer: int) -> NDArray[np.int32]:
        """Authors the viewer follows, in no order of meaning; int32, a copy. O(followees)."""
        followed = self._followees.get(viewer)
        return copied(followed) if followed is not None else np.empty(0, np.int32)

    def followed_at(self, viewer: int) -> NDArray[np.float64]:
        """When each of `followees` was followed, the last time (s); a copy. O(followees)."""
        times = self._followed_at.get(viewer)
        return copied(times) if times is not None else np.empty(0, np.float64)

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
        return np.array(sorted(self._barred.get(viewer, ())), np.int32)
