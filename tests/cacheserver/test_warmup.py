"""A start finds memory warm, within its bound."""

import logging
import time

import pytest
from msgspec.structs import replace

from cacheserver.residency import Residency
from cacheserver.warmup import warm
from feedgen.config import Cache, Settings
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import FeedItem, Generation, bulk_of
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.store import MemoryFeedStore

VIEWERS = [f"u{n}" for n in range(30)]


async def stored() -> MemoryFeedStore:
    store = MemoryFeedStore()
    for viewer in VIEWERS:
        items = [FeedItem(f"{viewer}-{n}", "a", 1.0 - n / 100, "followed", 5.0) for n in range(50)]
        await store.put_many([(viewer, bulk_of(Generation(1, 1_000), items))])
    return store


async def test_those_named_first_are_in_memory_and_nobody_was_made_to_leave() -> None:
    store = await stored()
    whole = Residency(Settings(), time.monotonic, RemovalIndex(10))
    assert await warm(whole, store, [*VIEWERS, "stranger"], 500) == 30
    bound = whole.nbytes * 2 // 3
    small = Residency(Settings(cache=Cache(max_bytes=bound)), time.monotonic, RemovalIndex(10))
    count = await warm(small, store, VIEWERS, 500)
    assert 18 <= count <= 20
    assert [viewer in small for viewer in VIEWERS] == [n < count for n in range(30)]
    assert small.nbytes <= bound
    assert small.evictions == 0


async def test_a_post_deleted_after_the_feed_was_made_is_not_warmed_up() -> None:
    from feedgen.events import Event

    removals = RemovalIndex(10)
    removals.fold(2, Event("e", "delete", 1.0, "a", "u0-0"))
    removals.advance(2)
    residency = Residency(Settings(), time.monotonic, removals)
    await warm(residency, await stored(), VIEWERS, 500)
    shelf = residency.read("u0")
    assert shelf is not None
    assert [item.item_id for item in shelf.current.page(None, 2).items] == ["u0-1", "u0-2"]


async def test_those_named_first_are_the_last_to_leave() -> None:
    store = await stored()
    whole = Residency(Settings(), time.monotonic, RemovalIndex(10))
    await warm(whole, store, VIEWERS, 500)
    small = Residency(Settings(cache=Cache(max_bytes=whole.nbytes // 2)), time.monotonic, RemovalIndex(10))
    count = await warm(small, store, VIEWERS, 500)
    for viewer in VIEWERS[count : count + 3]:
        record = await store.get(viewer)
        assert record is not None
        assert small.admit(viewer, FeedMap(record.bulk)) is not None
    assert [viewer in small for viewer in VIEWERS[:count]] == [n < count - 3 for n in range(count)]


async def test_a_record_whose_columns_do_not_fit_does_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryFeedStore()
    whole = bulk_of(Generation(1, 1_000), [FeedItem("p", "a", 1.0, "followed", 5.0)])
    await store.put_many([("torn", replace(whole, scores=b"")), ("whole", whole)])
    residency = Residency(Settings(), time.monotonic, RemovalIndex(10))
    with caplog.at_level(logging.WARNING):
        assert await warm(residency, store, ["torn", "whole"], 500) == 1
    assert "'torn' is not used" in caplog.text
