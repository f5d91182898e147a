"""What the two sides ask of each other. Each role is tiny; a test double implements it in a few lines."""

from collections.abc import Container, Sequence
from typing import Any, NamedTuple, Protocol

from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk, FeedItem, Generation, Live

TRENDING_KEY = ""
"""The store's key of the shared trending feed, the fallback of viewers nobody knows. No outside id is empty."""


class Clock(Protocol):
    """Domain time: seconds since the epoch, UTC. Not the clock of deadlines and idle times."""

    def __call__(self) -> float:
        """Now."""
        ...


class StoredRecord(NamedTuple):
    """A viewer's record as the store holds it: both columns, not yet combined."""

    bulk: Bulk
    live: Sequence[Live]


class FeedStore(Protocol):
    """The second tier: records by viewer id. Raises StoreError when it cannot be reached."""

    async def get(self, viewer: str) -> StoredRecord | None:
        """The viewer's record, or None. A record that cannot be decoded is None as well, and is logged."""
        ...

    async def put_many(self, records: Sequence[tuple[str, Bulk]]) -> list[bool]:
        """Write bulk columns; False where a record of the same or a newer generation is there already.

        A written bulk retires that viewer's live entries at or below its watermark.
        """
        ...

    async def append_live(self, viewer: str, entries: Sequence[Live]) -> None:
        """Append to the viewer's live column."""
        ...

    async def delete(self, viewer: str) -> None:
        """Drop both columns; nothing happens if there are none."""
        ...

    async def generations(self) -> dict[str, Generation]:
        """Every stored viewer's generation. O(stored records)."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


class Generator(Protocol):
    """Makes a feed on demand."""

    async def generate(self, viewer: str) -> Bulk | None:
        """The viewer's new feed, already written to the store; None for a viewer never seen.

        A caller that gives up does not stop it. Raises GenerationFailed or QueueFull.
        """
        ...

    def refresh(self, viewer: str) -> None:
        """Generate the viewer's feed soon, in the background. Returns at once; a full queue drops the wish."""
        ...


class OlderPosts(Protocol):
    """The item store behind a feed's last kept item."""

    async def created_at(self, item_id: str) -> float | None:
        """When a known post was created (s, UTC), deleted ones included; None for an id that names no known post."""
        ...

    async def older(
        self, viewer: str, *, until: float, after: str | None, exclude: Container[str], limit: int
    ) -> list[FeedItem]:
        """Retained posts of the viewer's followees created at or before `until`, newest first (ties by id).

        `after`: only those behind this known post in that order; None: from the newest. Left out: `exclude`, deleted
        posts, blocked and muted authors. A viewer never seen has none.
        """
        ...


class Explainer(Protocol):
    """Why a viewer's feed is as it is."""

    async def explain(self, viewer: str, item: str | None = None) -> dict[str, Any] | None:
        """Sources, filters with their counts, and per item its score's parts; with `item`, what became of that post.

        None for a viewer or a post never seen.
        """
        ...


class Hidden(NamedTuple):
    """What one viewer is not to see: posts, and authors."""

    posts: frozenset[str]
    authors: frozenset[str]

    def hides(self, item: FeedItem) -> bool:
        """O(1)."""
        return item.item_id in self.posts or item.author_id in self.authors


class Removals(Protocol):
    """What must not be shown any more."""

    @property
    def head(self) -> int:
        """Log offset up to which removals are known."""
        ...

    @property
    def last(self) -> int:
        """Log offset of the latest removal, anyone's: a feed brought to it or further needs no look at its viewer's."""
        ...

    def bring_forward(self, viewer: str, feed: FeedMap) -> bool:
        """Apply every removal in (feed.brought_to, head] to `feed` and move its mark. O(1) when there is none.

        False if the feed is older than the removals that are kept: it must not be shown.
        """
        ...

    def hidden_from(self, viewer: str) -> Hidden | None:
        """What this viewer alone is not to see, for a feed that was not made for the viewer; None for nothing."""
        ...


class Residents(Protocol):
    """What the workers may know of the cache."""

    def __contains__(self, viewer: object) -> bool:
        """Whether the viewer's feed is in memory."""
        ...


class NextAccess(Protocol):
    """What is expected of viewers."""

    async def soon(self, viewers: Sequence[str], tau_s: float) -> Sequence[float]:
        """How soon each comes: the mean of exp(−t/tau) over the time t to the next login; 1 now, 0 never."""
        ...


class LiveSink(Protocol):
    """Where new columns go besides the store."""

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        """A new bulk column was written; a resident feed takes it over, a missing one stays missing."""
        ...
