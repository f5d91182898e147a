"""What must not be shown any more, by log offset, so that a feed made at one offset can be brought forward to another.

An event may come late, its `ts` old; removals go by the offset it was logged at and by nothing else. Undoing events
(unblock, unmute, a review that approves) bring nothing back: the next generation does.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from feedgen.events import FEEDBACK, Event
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.roles import Hidden

_OF_AUTHOR: Final = frozenset({"block", "mute", "unfollow"})
_by_offset = itemgetter(0)


class _Removal(NamedTuple):
    """`target` goes from `viewer`'s feed (None: from everyone's): a post, or all posts of an author."""

    offset: int
    viewer: str | None
    is_author: bool
    target: str


class Kept(NamedTuple):
    """Removals as they were remembered: (offset, viewer or None, is_author, target), by offset."""

    head: int
    floor: int
    removals: Sequence[tuple[int, str | None, bool, str]]


class _Trail:
    """Removals in log order; the oldest can be forgotten. Both amortised O(1)."""

    __slots__ = ("_entries", "_start")

    def __init__(self) -> None:
        self._entries: list[_Removal] = []
        self._start = 0

    def __len__(self) -> int:
        return len(self._entries) - self._start

    def append(self, removal: _Removal) -> None:
        self._entries.append(removal)

    def forget_oldest(self) -> None:
        self._start += 1
        if 2 * self._start >= len(self._entries):
            del self._entries[: self._start]
            self._start = 0

    def first_after(self, offset: int) -> int:
        """Position of the first one above `offset`. O(1) when there is none, else O(log n)."""
        if not self._entries or self._entries[-1].offset <= offset:
            return len(self._entries)
        return bisect_right(self._entries, offset, lo=self._start, key=_by_offset)

    def count_from(self, position: int) -> int:
        return len(self._entries) - position

    def walk(self, position: int) -> Iterator[_Removal]:
        for at in range(position, len(self._entries)):
            yield self._entries[at]


class RemovalIndex:
    """Implements roles.Removals over the latest `kept` removals. One event loop or thread owns it."""

    def __init__(self, kept: int) -> None:
        """`kept`: removals remembered, all viewers together; a block counts twice."""
        if kept < 1:
            raise ValueError("at least one removal must be kept")
        self._kept = kept
        self._all: deque[_Removal] = deque()
        self._everyone = _Trail()
        self._of_viewer: dict[str, _Trail] = {}
        self._gone_at: dict[str, int] = {}  # post → offset of its latest removal for everyone
        self.last = 0
        self._latest = 0
        self._head = 0
        self._floor = 0

    @property
    def head(self) -> int:
        """Log offset up to which removals are known."""
        return self._head

    @property
    def floor(self) -> int:
        """Log offset up to which removals may have been forgotten: a feed below it cannot be brought forward."""
        return self._floor

    def __len__(self) -> int:
        return len(self._all)

    def fold(self, offset: int, event: Event) -> None:
        """Remember what the event at `offset` removes. Amortised O(1). For every event, in log order, then `advance`.

        Raises ValueError on an offset below an earlier one.
        """
        if offset < self._latest:
            raise ValueError(f"offset {offset} comes after {self._latest}; removals are folded in log order")
        self._latest = offset
        kind, target = event.type, event.object
        if target is None:
            return
        if kind == "delete" or (kind == "review" and event.attrs["state"] != "approved"):
            self._remember(_Removal(offset, None, False, target))
        elif kind in FEEDBACK:
            self._remember(_Removal(offset, event.actor, False, target))
        elif kind in _OF_AUTHOR:
            self._remember(_Removal(offset, event.actor, True, target))
            if kind == "block":
                self._remember(_Removal(offset, target, True, event.actor))

    def advance(self, offset: int) -> None:
        """Every event up to `offset` has been folded. Raises ValueError if that would go back."""
        if offset < self._head:
            raise ValueError(f"head {self._head} does not go back to {offset}")
        self._head = offset
        self._latest = max(offset, self._latest)

    @property
    def kept(self) -> "Kept":
        """All that is remembered, to be kept elsewhere and given to `restore`. O(removals); shares them."""
        return Kept(self._head, self._floor, list(self._all))

    def restore(self, kept: "Kept") -> None:
        """Remember what another index did. For an empty one; O(removals)."""
        assert not self._all
        self._floor = kept.floor
        for removal in kept.removals:
            self._remember(_Removal(*removal))
        self.advance(kept.head)

    def bring_forward(self, viewer: str, feed: FeedMap) -> bool:
        """Apply every removal in (feed.brought_to, head] to `feed` and move its mark.

        One above head may be applied too, if it is known already. O(1) when none is new or concerns the feed; else
        O(items), and again for each author, or O(new ones) if they are fewer and the jump index is built. False if
        `feed` is older than the removals that are kept: it must not be shown.
        """
        since = feed.brought_to
        if since < self._floor:
            return False
        if since < self._head:
            own = self._own(since, viewer)
            gone = self._everyones(since, feed)
            gone.update(removal.target for removal in own if not removal.is_author)
            if gone:
                feed.discard_all(gone)
            for removal in own:
                if removal.is_author:
                    feed.discard_author(removal.target)
            feed.brought_to = self._head
        return True

    def hidden_from(self, viewer: str) -> Hidden | None:
        """Everything that ever left this viewer's feed alone, as far as it is kept; None for nothing. O(own).

        What was undone since (unblock, a new follow) is still among it: it comes back with the viewer's own feed.
        """
        own = self._own(-1, viewer)
        if not own:
            return None
        return Hidden(
            frozenset(removal.target for removal in own if not removal.is_author),
            frozenset(removal.target for removal in own if removal.is_author),
        )

    def _everyones(self, since: int, feed: FeedMap) -> set[str]:
        """Posts removed for everyone since then: all of them, or if they are many those that `feed` holds."""
        first = self._everyone.first_after(since)
        if self._everyone.count_from(first) <= len(feed):
            return {removal.target for removal in self._everyone.walk(first)}
        return {item_id for item_id in feed.item_ids() if self._gone_at.get(item_id, 0) > since}

    def _own(self, since: int, viewer: str) -> list[_Removal]:
        own = self._of_viewer.get(viewer)
        return [] if own is None else list(own.walk(own.first_after(since)))

    def _remember(self, removal: _Removal) -> None:
        self.last = removal.offset
        self._all.append(removal)
        if removal.viewer is None:
            self._everyone.append(removal)
            self._gone_at[removal.target] = removal.offset
        else:
            trail = self._of_viewer.get(removal.viewer)
            if trail is None:
                trail = self._of_viewer[removal.viewer] = _Trail()
            trail.append(removal)
        if len(self._all) > self._kept:
            self._forget(self._all.popleft())

    def _forget(self, removal: _Removal) -> None:
        self._floor = removal.offset
        if removal.viewer is None:
            self._everyone.forget_oldest()
            if self._gone_at.get(removal.target) == removal.offset:
                del self._gone_at[removal.target]
            return
        trail = self._of_viewer[removal.viewer]
        trail.forget_oldest()
        if not trail:
            del self._of_viewer[removal.viewer]

    def check(self) -> None:
        """Assert every invariant. For tests. O(entries)."""
        assert len(self._all) <= self._kept
        assert len(self._everyone) + sum(len(trail) for trail in self._of_viewer.values()) == len(self._all)
        assert all(self._of_viewer.values()), "an empty trail is kept"
        assert set(self._gone_at) == {removal.target for removal in self._everyone.walk(self._everyone.first_after(-1))}
        offsets = [removal.offset for removal in self._all]
        assert offsets == sorted(offsets)
        assert not offsets or self.last == offsets[-1]
        assert not offsets or self._floor <= offsets[0]
