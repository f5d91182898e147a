"""Feeds made from a part of the log (`--now` before its end) say in the store how far they know all of it."""

from collections.abc import Sequence

from msgspec.structs import replace

from feedgen.feed.record import Bulk, Generation, Live
from feedgen.feed.roles import FeedStore, StoredRecord
from feedgen.keeper import StateKeeper


class PartialViewStore:
    """FeedStore that writes a watermark of `keeper.whole_to` at most.

    A process that counts the whole log brings a stored feed forward through the removals above its watermark. Those
    passed over because of `--now` have to be among them, or what was deleted would come back.
    """

    def __init__(self, store: FeedStore, keeper: StateKeeper) -> None:
        self._store = store
        self._keeper = keeper

    async def put_many(self, records: Sequence[tuple[str, Bulk]]) -> list[bool]:
        """Write bulk columns; False where the same or a newer generation is there already."""
        most = self._keeper.whole_to
        return await self._store.put_many(
            [(viewer, bulk if bulk.watermark <= most else replace(bulk, watermark=most)) for viewer, bulk in records]
        )

    async def get(self, viewer: str) -> StoredRecord | None:
        """The viewer's record, or None."""
        return await self._store.get(viewer)

    async def append_live(self, viewer: str, entries: Sequence[Live]) -> None:
        """Append to the viewer's live column."""
        await self._store.append_live(viewer, entries)

    async def delete(self, viewer: str) -> None:
        """Drop both columns; nothing happens if there are none."""
        await self._store.delete(viewer)

    async def generations(self) -> dict[str, Generation]:
        """Every stored viewer's generation. O(stored records)."""
        return await self._store.generations()

    async def close(self) -> None:
        """Let go of files and connections."""
        await self._store.close()
