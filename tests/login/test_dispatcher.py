"""The dispatcher beside a real pool: whom it names is made, once, and handed on; the trending feed beside it."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

from feedgen import config
from feedgen.config import Settings
from feedgen.feed.record import Bulk, Generation, bulk_of
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import MemoryFeedStore
from feedgen.gate import EpochGate
from feedgen.login.dispatcher import Dispatcher
from feedgen.login.foresight import Foresight
from feedgen.trending import Trending
from feedgen.worker import WorkerPool
from tests.worlds import DAY, NOW, Story

SETTINGS = Settings(scheduler=config.Scheduler(tick_s=1.0), worker=config.Worker(queue_viewers=3))


class Sink:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        self.got.append(viewer)


def story(viewers: int) -> Story:
    told = Story(SETTINGS)
    for number in range(viewers):
        told.tell(f"v{number}", "follow", "ann", days=9)
        told.tell(f"v{number}", "login", days=0.9)
    told.tell("ann", "post", "p", days=1)
    return told


def dispatcher(told: Story, gate: EpochGate) -> Dispatcher:
    return Dispatcher(Foresight(told.state, SETTINGS, NOW), gate, lambda: NOW, SETTINGS)


async def test_whoever_is_likely_to_come_has_a_feed_made_as_far_as_there_is_room() -> None:
    told, gate, store = story(5), EpochGate(), MemoryFeedStore()
    ahead = dispatcher(told, gate)
    ahead.sink = sink = Sink()

    def make(viewers: Sequence[str]) -> Sequence[Bulk | Exception | None]:
        return told.pipeline.generate(viewers, NOW)

    async with WorkerPool(make, gate, store, ahead, SETTINGS.worker, rng=random.Random(1)) as pool:
        fresh = {f"v{number}": Generation(1, int(1_000 * NOW)) for number in range(1)}
        await ahead.begin({**fresh, TRENDING_KEY: Generation(1, 1)})
        await ahead.step(pool)
        await pool.drain()
        assert len(sink.got) == 3
        assert ahead.foresight.left_out == 2
        await ahead.fill(pool)
        await pool.drain()
        assert len(sink.got) == 5
        assert ahead.foresight.left_out == ahead.foresight.scheduler.counts.shed == 0
        assert "v0" not in sink.got
    assert set(await store.generations()) == set(sink.got)


async def test_it_runs_a_step_a_tick_and_ends_when_cancelled() -> None:
    told, gate, store = story(2), EpochGate(), MemoryFeedStore()
    ahead = dispatcher(told, gate)
    async with WorkerPool(lambda _: [], gate, store, ahead, SETTINGS.worker, rng=random.Random(1)) as pool:
        task = asyncio.create_task(ahead.run(pool))
        for _ in range(400):
            if ahead.steps >= 2:
                break
            await asyncio.sleep(0.05)
        assert ahead.steps >= 2
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert await ahead.soon(["v0", "who"], 3_600.0) > [0.0]


async def test_the_trending_feed_is_written_and_handed_on_unless_a_newer_is_there() -> None:
    told, store, sink = story(1), MemoryFeedStore(), Sink()
    trending = Trending(told.pipeline, EpochGate(), store, lambda: NOW, sink)
    await trending.write()
    record = await store.get(TRENDING_KEY)
    assert record is not None
    assert record.bulk.items.count == 1
    await trending.write()  # the same generation once more
    assert sink.got == [TRENDING_KEY]
    task = asyncio.create_task(trending.run(0.01))
    await store.put_many([(TRENDING_KEY, bulk_of(Generation(1, int(1_000 * (NOW - DAY))), []))])
    await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert sink.got == [TRENDING_KEY]
