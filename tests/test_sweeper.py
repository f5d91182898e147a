"""The sweeper finds active viewers whose feed went stale, and has it made."""

import asyncio
import random
import threading
from collections.abc import Sequence
from contextlib import suppress

import pytest

from feedgen import config
from feedgen.feed.record import Bulk, Generation, bulk_of
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import MemoryFeedStore
from feedgen.gate import EpochGate
from feedgen.sweeper import Sweeper
from feedgen.worker import WorkerPool
from tests.worlds import NOW, Story

WORKER = config.Worker(active_days=14.0, sweep_s=0.01)
CACHE = config.Cache(fresh_s=1_800.0)


class Sink:
    """Remembers what it was told, and says when that was so many feeds."""

    def __init__(self, awaited: int) -> None:
        self.got: list[str] = []
        self.complete = asyncio.Event()
        self._awaited = awaited

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        self.got.append(viewer)
        if len(self.got) >= self._awaited:
            self.complete.set()


@pytest.fixture
def story() -> Story:
    told = Story()
    told.tell("ann", "post", "p", days=15)
    for viewer, days in (("zoe", 2.0), ("bea", 2.0), ("cid", 1.0), ("edge", 14.0), ("gone", 14.001)):
        told.tell(viewer, "follow", "ann", days=20)
        told.tell(viewer, "login", days=days)
    return told


@pytest.fixture
def store() -> MemoryFeedStore:
    return MemoryFeedStore()


@pytest.fixture
def sweeper(story: Story, store: MemoryFeedStore) -> Sweeper:
    return Sweeper(story.state, story.pipeline, EpochGate(), store, lambda: NOW, WORKER, CACHE)


def made(seconds_ago: float) -> Bulk:
    return bulk_of(Generation(1, int((NOW - seconds_ago) * 1_000)), [])


def test_active_viewers_without_a_feed_are_due_the_latest_active_first(sweeper: Sweeper) -> None:
    assert sweeper.due() == ["cid", "bea", "zoe", "edge"]


def test_whoever_did_anything_is_active(sweeper: Sweeper, story: Story) -> None:
    story.tell("gone", "like", "p", days=0.5)
    assert sweeper.due()[0] == "gone"
    assert sweeper.by_last_activity() == ["gone", "cid", "bea", "zoe", "edge", "ann"]


def test_a_feed_is_due_one_sweep_before_it_goes_stale(story: Story, store: MemoryFeedStore) -> None:
    worker = config.Worker(sweep_s=60.0)
    sweeper = Sweeper(story.state, story.pipeline, EpochGate(), store, lambda: NOW, worker, CACHE)
    sweeper.replaced("cid", made(0))
    sweeper.replaced("bea", made(1_739.9))
    sweeper.replaced("zoe", made(1_740))
    assert sweeper.due() == ["zoe", "edge"]


async def test_what_the_store_holds_already_is_known(sweeper: Sweeper, store: MemoryFeedStore) -> None:
    await store.put_many([("cid", made(60)), ("bea", made(7_200))])
    await sweeper.load()
    assert sweeper.due() == ["bea", "zoe", "edge"]


async def test_what_knows_more_than_can_be_known_is_dropped(sweeper: Sweeper, store: MemoryFeedStore) -> None:
    kept = [("cid", made(0)), ("bea", made(-59)), ("old", made(9e6))]
    longer = bulk_of(Generation(8, 1), [])
    await store.put_many([*kept, ("zoe", made(-61)), ("ann", longer), (TRENDING_KEY, made(-9e6))])
    await sweeper.load()
    assert await sweeper.drop_ahead(7) == 3
    assert set(await store.generations()) == {"cid", "bea", "old"}
    assert sweeper.due() == ["zoe", "edge"]
    assert await sweeper.drop_ahead(7) == 0
    await sweeper.write_trending()
    assert await store.get(TRENDING_KEY) is not None


async def test_the_trending_feed_is_written_and_handed_on_unless_a_newer_is_there(
    sweeper: Sweeper, store: MemoryFeedStore
) -> None:
    sink = Sink(1)
    sweeper.sink = sink
    await sweeper.write_trending()
    record = await store.get(TRENDING_KEY)
    assert record is not None
    assert record.bulk.items.count == 1
    await sweeper.write_trending()  # the same generation once more
    assert sink.got == [TRENDING_KEY]


async def test_looking_for_who_is_due_does_not_stop_the_loop(story: Story, store: MemoryFeedStore) -> None:
    threads: list[threading.Thread] = []
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Watched(Sweeper):
        def due(self) -> list[str]:
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(looked.set)
            return []

    watched = Watched(story.state, story.pipeline, EpochGate(), store, lambda: NOW, WORKER, CACHE)

    async with WorkerPool(lambda _: [], EpochGate(), store, watched, WORKER, rng=random.Random(1)) as pool:
        task = asyncio.create_task(watched.run(pool))
        async with asyncio.timeout(10):
            await looked.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert threads[0] is not threading.main_thread()


async def test_a_sweep_has_due_feeds_made_and_then_rests(
    sweeper: Sweeper, story: Story, store: MemoryFeedStore
) -> None:
    sink = Sink(5)
    sweeper.sink = sink

    def make(viewers: Sequence[str]) -> Sequence[Bulk | Exception | None]:
        return story.pipeline.generate(viewers, NOW)

    async with WorkerPool(make, EpochGate(), store, sweeper, WORKER, rng=random.Random(1)) as pool:
        task = asyncio.create_task(sweeper.run(pool))
        async with asyncio.timeout(10):
            await sink.complete.wait()
            await pool.drain()
        assert sweeper.due() == []
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert pool.counters.generated == 4
    assert sorted(sink.got) == sorted([TRENDING_KEY, "bea", "cid", "edge", "zoe"])
    assert set(await store.generations()) >= {"bea", "cid", "edge", "zoe"}
