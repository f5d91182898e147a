"""What every FeedStore must do. A test class inherits FeedStoreContract and provides the `store` fixture."""

import asyncio
import random

import pytest

from feedgen.feed.record import Bulk, FeedItem, Generation, Live, bulk_of
from feedgen.feed.roles import FeedStore


def feed(watermark: int, ms: int = 1, items: int = 3) -> Bulk:
    """A small bulk column of that generation."""
    return bulk_of(
        Generation(watermark, ms),
        [FeedItem(f"p{n}", f"a{n % 2}", 1.0 - n / 8, "followee", 100.0 + n) for n in range(items)],
    )


def insertion(offset: int) -> Live:
    return Live.insert(offset, FeedItem(f"live{offset}", "a9", 1.0, "followee", 200.0))


class FeedStoreContract:
    """Inherit, and give a fixture `store`."""

    async def test_what_was_put_is_got(self, store: FeedStore) -> None:
        assert await store.get("v") is None
        assert await store.put_many([("v", feed(5)), ("w", feed(6))]) == [True, True]
        record = await store.get("v")
        assert record is not None
        assert record.bulk == feed(5)
        assert list(record.live) == []
        assert await store.generations() == {"v": Generation(5, 1), "w": Generation(6, 1)}

    async def test_nothing_put_is_nothing(self, store: FeedStore) -> None:
        assert await store.put_many([]) == []
        await store.append_live("v", [])
        assert await store.get("v") is None
        assert await store.generations() == {}

    @pytest.mark.parametrize("newer", [(6, 1), (5, 11), (6, 11), (10, 1)])
    async def test_only_a_newer_generation_is_taken(self, store: FeedStore, newer: tuple[int, int]) -> None:
        await store.put_many([("v", feed(5, 10))])
        older = [("v", feed(5, 10, items=1)), ("v", feed(5, 9)), ("v", feed(4, 99)), ("w", feed(0, 0))]
        assert await store.put_many(older) == [False, False, False, True]
        record = await store.get("v")
        assert record is not None
        assert record.bulk == feed(5, 10)
        assert await store.put_many([("v", feed(*newer))]) == [True]
        assert (await store.generations())["v"] == Generation(*newer)

    async def test_a_viewer_given_twice_in_a_batch(self, store: FeedStore) -> None:
        batch = [("v", feed(2)), ("v", feed(1)), ("v", feed(3)), ("v", feed(3, items=1)), ("v", feed(2))]
        assert await store.put_many(batch) == [True, False, True, False, False]
        record = await store.get("v")
        assert record is not None
        assert record.bulk == feed(3)

    async def test_a_bulk_retires_the_live_entries_it_covers(self, store: FeedStore) -> None:
        await store.put_many([("v", feed(5)), ("w", feed(5))])
        await store.append_live("v", [insertion(6), insertion(7)])
        await store.append_live("v", [Live(8, "remove", "p1")])
        await store.append_live("w", [insertion(6)])
        assert await store.put_many([("v", feed(7)), ("w", feed(5))]) == [True, False]
        record, other = await store.get("v"), await store.get("w")
        assert record is not None
        assert list(record.live) == [Live(8, "remove", "p1")]
        assert other is not None
        assert list(other.live) == [insertion(6)]

    async def test_live_entries_keep_their_order_and_wait_for_their_bulk(self, store: FeedStore) -> None:
        entries = [insertion(9), Live(3, "remove_author", "a1"), insertion(4), Live(4, "remove", "live4")]
        await store.append_live("v", entries[:2])
        await store.append_live("v", entries[2:])
        assert await store.get("v") is None
        await store.put_many([("v", feed(3))])
        record = await store.get("v")
        assert record is not None
        assert list(record.live) == [entries[0], *entries[2:]]

    async def test_delete_drops_both_columns(self, store: FeedStore) -> None:
        await store.delete("v")
        await store.put_many([("v", feed(5)), ("w", feed(5))])
        await store.append_live("v", [insertion(6)])
        await store.delete("v")
        assert await store.get("v") is None
        assert await store.generations() == {"w": Generation(5, 1)}
        assert await store.put_many([("v", feed(1))]) == [True]
        record = await store.get("v")
        assert record is not None
        assert list(record.live) == []

    async def test_a_viewer_id_may_hold_any_character(self, store: FeedStore) -> None:
        rng = random.Random(1)
        odd = {"", "a\0", "a", "a\0b", "'; --", "%", "é", "e\N{COMBINING ACUTE ACCENT}", "A", " a", "5", "05", "\ud800"}
        names = sorted(
            odd | {"".join(chr(rng.randrange(0x11_0000)) for _ in range(rng.randrange(1, 9))) for _ in range(40)}
        )
        assert all(await store.put_many([(viewer, feed(n)) for n, viewer in enumerate(names)]))
        assert await store.generations() == {viewer: Generation(n, 1) for n, viewer in enumerate(names)}
        for n, viewer in enumerate(names):
            record = await store.get(viewer)
            assert record is not None
            assert record.bulk.watermark == n

    async def test_many_writers_and_readers_at_once(self, store: FeedStore) -> None:
        async def write(generation: int) -> int:
            return sum(await store.put_many([(f"v{n}", feed(generation)) for n in range(5)]))

        async def read() -> None:
            seen = -1
            for _ in range(5):
                record = await store.get("v0")
                if record is not None:
                    assert record.bulk.watermark >= seen
                    seen = record.bulk.watermark

        taken = await asyncio.gather(
            *(write(generation) for generation in (3, 9, 1, 7, 5)), *(read() for _ in range(4))
        )
        assert sum(count for count in taken if count) >= 10
        assert await store.generations() == {f"v{n}": Generation(9, 1) for n in range(5)}
