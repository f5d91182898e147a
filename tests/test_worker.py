"""The worker pool, against a `make` that the test holds, fails and watches."""

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.config import Worker
from feedgen.errors import GenerationFailed, QueueFull, StoreError
from feedgen.feed.record import Bulk, Generation, bulk_of
from feedgen.feed.roles import FeedStore
from feedgen.feed.store import MemoryFeedStore
from feedgen.gate import EpochGate
from feedgen.worker import WorkerPool

QUICK = Worker(
    workers=2, batch_viewers=4, queue_viewers=100, attempts=4, backoff_s=0.01, backoff_max_s=0.04, aside_s=600.0
)


class Maker:
    """Makes empty feeds of rising generations. `open` holds every batch; notices a viewer made twice at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.batches: list[list[str]] = []
        self.times: dict[str, list[float]] = {}
        self.failures: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.bombs: set[str] = set()
        self.stale: set[str] = set()
        self.overlaps: list[str] = []
        self.active: set[str] = set()
        self._lock = threading.Lock()
        self._made = 0

    def __call__(self, viewers: Sequence[str]) -> list[Bulk | Exception | None]:
        with self._lock:
            self.overlaps += [viewer for viewer in viewers if viewer in self.active]
            self.active.update(viewers)
            self.batches.append(list(viewers))
            for viewer in viewers:
                self.times.setdefault(viewer, []).append(time.monotonic())
        try:
            assert self.open.wait(20), "the test never opened the maker"
            if bomb := self.bombs.intersection(viewers):
                raise RuntimeError(f"cannot bear {sorted(bomb)}")
            return [self._one(viewer) for viewer in viewers]
        finally:
            with self._lock:
                self.active.difference_update(viewers)

    def _one(self, viewer: str) -> Bulk | Exception | None:
        with self._lock:
            if viewer in self.unknown:
                return None
            if self.failures[viewer] > 0:
                self.failures[viewer] -= 1
                return ValueError(f"{viewer} is difficult")
            self._made += 1
            return bulk_of(Generation(0 if viewer in self.stale else 1, self._made), [])


class WatchedStore(MemoryFeedStore):
    """Fails the next `failures` writes, and notices a generation turned back."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.turned_back: list[str] = []

    async def put_many(self, records: Sequence[tuple[str, Bulk]]) -> list[bool]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        before = await self.generations()
        taken = await super().put_many(records)
        after = await self.generations()
        self.turned_back += [viewer for viewer in before if after[viewer] < before[viewer]]
        return taken


class Sink:
    def __init__(self) -> None:
        self.replacements: list[str] = []
        self.broken = False

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        if self.broken:
            raise KeyError(viewer)
        self.replacements.append(viewer)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def pool_of(
    maker: Maker,
    config: Worker = QUICK,
    *,
    store: FeedStore | None = None,
    sink: Sink | None = None,
    gate: EpochGate | None = None,
    clock: Callable[[], float] | None = None,
    on_done: Callable[[int], None] | None = None,
    **changes: float,
) -> WorkerPool:
    return WorkerPool(
        maker,
        gate or EpochGate(),
        store or MemoryFeedStore(),
        sink,
        msgspec.structs.replace(config, **changes),
        rng=random.Random(1),
        clock=clock,
        on_done=on_done,
    )


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread brings about; 10 s at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - threads bring it about, and they set no asyncio.Event
            await asyncio.sleep(0.001)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_feeds_are_made_stored_and_handed_on(maker: Maker) -> None:
    store, sink, done = MemoryFeedStore(), Sink(), list[int]()
    maker.unknown = {"nobody"}
    async with pool_of(maker, store=store, sink=sink, on_done=done.append) as pool:
        bulk = await pool.generate("a")
        assert await pool.generate("nobody") is None
        for viewer in "bcd":
            await pool.submit(viewer)
        pool.refresh("e")
        await pool.drain()
        record = await store.get("a")
        assert record is not None
        assert record.bulk == bulk
        assert set(await store.generations()) == set("abcde")
        assert sorted(sink.replacements) == list("abcde")
        counters = pool.counters
        assert (counters.generated, counters.unknown, counters.failed_attempts) == (5, 1, 0)
        assert (counters.queued, counters.in_flight, counters.crashed) == (0, 0, 0)
        assert counters.batches == len(maker.batches)
        assert counters.seconds_making > 0
        assert sum(done) == 6


async def test_a_thousand_readers_of_one_viewer_share_one_generation(maker: Maker) -> None:
    async with pool_of(maker) as pool:
        maker.open.clear()
        readers = [asyncio.create_task(pool.generate("v")) for _ in range(1_000)]
        await until(lambda: maker.batches)
        late = [asyncio.create_task(pool.generate("v")) for _ in range(10)]
        await settle()
        for reader in readers[::3]:
            reader.cancel()
        maker.open.set()
        results = await asyncio.gather(*readers, *late, return_exceptions=True)
        assert maker.batches == [["v"]]
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == len(readers[::3])
        assert len({id(result) for result in results if isinstance(result, Bulk)}) == 1
        assert pool.counters.joined == 1_009


async def test_a_reader_who_gives_up_does_not_stop_the_generation(maker: Maker) -> None:
    store = MemoryFeedStore()
    async with pool_of(maker, store=store) as pool:
        maker.open.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.generate("v"), 0.01)
        maker.open.set()
        await pool.drain()
        assert await store.get("v") is not None


async def test_an_urgent_viewer_goes_before_the_background_and_in_its_own_batch(maker: Maker) -> None:
    async with pool_of(maker, workers=1) as pool:
        maker.open.clear()
        for n in range(12):
            await pool.submit(f"b{n}")
        await until(lambda: maker.batches)
        readers = [asyncio.create_task(pool.generate(viewer)) for viewer in ("u1", "b9", "u2")]
        await settle()
        maker.open.set()
        await asyncio.gather(*readers)
        await pool.drain()
        assert maker.batches[0] == ["b0", "b1", "b2", "b3"]
        assert maker.batches[1] == ["u1", "b9", "u2"]
        assert maker.batches[2:] == [["b4", "b5", "b6", "b7"], ["b8", "b10", "b11"]]


async def test_submitters_wait_while_the_queue_is_full(maker: Maker) -> None:
    async with pool_of(maker, workers=1, batch_viewers=1, queue_viewers=2) as pool:
        maker.open.clear()
        await pool.submit("in flight")
        await until(lambda: maker.batches)
        await pool.submit("q1")
        await pool.submit("q2")
        waiting = [asyncio.create_task(pool.submit(f"w{n}")) for n in range(3)]
        await settle()
        assert not any(task.done() for task in waiting)
        await pool.submit("q1")  # there already: joins, needs no room
        pool.refresh("r")
        assert pool.counters.dropped == 1
        assert pool.counters.queued == 2
        assert pool.counters.in_flight == 1
        maker.open.set()
        await asyncio.gather(*waiting)
        await pool.drain()
        assert sorted(viewer for batch in maker.batches for viewer in batch) == [
            "in flight",
            "q1",
            "q2",
            "w0",
            "w1",
            "w2",
        ]


async def test_the_urgent_line_has_a_bound(maker: Maker) -> None:
    async with pool_of(maker, workers=1, batch_viewers=1, queue_viewers=2) as pool:
        maker.open.clear()
        readers = [asyncio.create_task(pool.generate("in flight"))]
        await until(lambda: maker.batches)
        await pool.submit("background")
        readers += [asyncio.create_task(pool.generate(viewer)) for viewer in ("u1", "u2", "u1", "in flight")]
        await settle()
        for viewer in ("u3", "background"):
            with pytest.raises(QueueFull):
                await pool.generate(viewer)
        maker.open.set()
        assert all(await asyncio.gather(*readers))


async def test_a_failing_viewer_is_retried_ever_later_then_set_aside_and_the_others_are_done(
    maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryFeedStore()
    maker.failures["bad"] = 99
    async with pool_of(maker, store=store, attempts=5, backoff_max_s=0.04) as pool:
        for viewer in ("a", "bad", "b", "c"):
            await pool.submit(viewer)
        with caplog.at_level(logging.WARNING):
            await pool.drain()
        assert set(await store.generations()) == {"a", "b", "c"}
        gaps = [later - earlier for earlier, later in zip(maker.times["bad"], maker.times["bad"][1:], strict=False)]
        assert len(gaps) == 4
        assert all(gap >= 0.75 * delay for gap, delay in zip(gaps, (0.01, 0.02, 0.04, 0.04), strict=True))
        assert (pool.counters.failed_attempts, pool.counters.set_aside) == (5, 1)
        assert "'bad' is set aside after 5 failed attempts" in caplog.text
        pool.refresh("bad")
        await pool.submit("bad")
        assert pool.counters.dropped == 2
        with pytest.raises(GenerationFailed, match="set aside"):
            await pool.generate("bad")


async def test_one_set_aside_may_be_tried_again_when_its_time_is_up(maker: Maker) -> None:
    now = [1_000.0]
    maker.failures["v"] = 1
    async with pool_of(maker, attempts=1, clock=lambda: now[0]) as pool:
        with pytest.raises(GenerationFailed, match="v is difficult"):
            await pool.generate("v")
        now[0] += 599.9
        with pytest.raises(GenerationFailed, match="set aside"):
            await pool.generate("v")
        now[0] += 0.1
        assert await pool.generate("v") is not None


async def test_a_reader_hears_of_the_first_failure_and_the_retry_goes_on(maker: Maker) -> None:
    store = MemoryFeedStore()
    maker.failures["v"] = 2
    async with pool_of(maker, store=store) as pool:
        with pytest.raises(GenerationFailed, match="v is difficult"):
            await pool.generate("v")
        await pool.drain()
        assert await store.get("v") is not None
        assert pool.counters.failed_attempts == 2


async def test_a_reader_takes_a_waiting_retry_forward(maker: Maker) -> None:
    maker.failures["v"] = 1
    async with pool_of(maker, backoff_s=300.0, backoff_max_s=300.0) as pool:
        with pytest.raises(GenerationFailed):
            await pool.generate("v")
        assert pool.counters.queued == 1
        assert await pool.generate("v") is not None
        await pool.drain()


async def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(maker: Maker) -> None:
    store = MemoryFeedStore()
    maker.bombs = {"bomb"}
    async with pool_of(maker, store=store, workers=1, attempts=2) as pool:
        for viewer in ("a", "bomb", "b", "c"):
            await pool.submit(viewer)
        await pool.drain()
        assert set(await store.generations()) == {"a", "b", "c"}
        assert maker.batches == [["a", "bomb", "b", "c"], ["a"], ["bomb"], ["b"], ["c"], ["bomb"]]
        assert (pool.counters.failed_attempts, pool.counters.set_aside) == (2, 1)


async def test_a_make_that_returns_too_few_results_fails_its_viewers(maker: Maker) -> None:
    pool = WorkerPool(
        lambda viewers: [],
        EpochGate(),
        MemoryFeedStore(),
        None,
        msgspec.structs.replace(QUICK, attempts=1),
        rng=random.Random(1),
    )
    async with pool:
        with pytest.raises(GenerationFailed, match="0 results for 1 viewers"):
            await pool.generate("v")


async def test_while_the_store_fails_readers_and_memory_are_served_and_nobody_is_set_aside(maker: Maker) -> None:
    store, sink = WatchedStore(), Sink()
    store.failures = 2
    async with pool_of(maker, store=store, sink=sink, workers=1, attempts=2) as pool:
        assert (await pool.generate("v")) is not None
        await pool.drain()
        assert (pool.counters.unstored, pool.counters.set_aside) == (1, 0)
        assert sink.replacements == ["v", "v"]
        assert await store.generations() == {}
        assert (await pool.generate("v")) is not None
        assert set(await store.generations()) == {"v"}


async def test_a_store_that_fails_is_tried_again(maker: Maker) -> None:
    store = WatchedStore()
    store.failures = 2
    sink = Sink()
    async with pool_of(maker, store=store, sink=sink, workers=1) as pool:
        await pool.submit("v")
        await pool.drain()
        assert (pool.counters.failed_attempts, pool.counters.generated) == (2, 1)
        assert sink.replacements == ["v", "v", "v"]
        assert set(await store.generations()) == {"v"}


async def test_an_older_generation_is_refused_counted_and_still_given_to_its_reader(maker: Maker) -> None:
    store, sink = WatchedStore(), Sink()
    await store.put_many([("v", bulk_of(Generation(9, 9), []))])
    async with pool_of(maker, store=store, sink=sink) as pool:
        bulk = await pool.generate("v")
        assert bulk is not None
        assert bulk.watermark == 1
        assert (pool.counters.refused_older, pool.counters.generated) == (1, 0)
        assert sink.replacements == []
    assert await store.generations() == {"v": Generation(9, 9)}


async def test_a_bug_is_logged_and_counted_and_the_worker_goes_on(
    maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink()
    sink.broken = True
    async with pool_of(maker, sink=sink, workers=1) as pool:
        with pytest.raises(GenerationFailed):
            await pool.generate("v")
        sink.broken = False
        await pool.drain()
        assert await pool.generate("w") is not None
        assert pool.counters.crashed == 1
    assert "a feed worker met a bug" in caplog.text
    assert sink.replacements[-1] == "w"


async def test_close_gives_back_what_is_not_done_and_leaves_nothing_behind(maker: Maker) -> None:
    before = asyncio.all_tasks()
    threads = threading.active_count()
    pool = pool_of(maker, workers=1, batch_viewers=2, queue_viewers=3)
    pool.start()
    maker.open.clear()
    readers = [asyncio.create_task(pool.generate("in flight"))]
    await until(lambda: maker.batches)
    readers.append(asyncio.create_task(pool.generate("urgent")))
    for viewer in "abc":
        await pool.submit(viewer)
    submitter = asyncio.create_task(pool.submit("d"))
    drain = asyncio.create_task(pool.drain())
    await settle()
    closing = asyncio.create_task(pool.close())
    await settle()
    with pytest.raises(GenerationFailed, match="closed"):
        await readers[1]
    with pytest.raises(GenerationFailed, match="closed"):
        await submitter
    assert not readers[0].done()
    maker.open.set()
    assert sorted(await closing) == ["a", "b", "c", "urgent"]
    assert await readers[0] is not None, "the batch in flight was finished"
    await drain
    assert await pool.close() == []
    for wish in (pool.generate("x"), pool.submit("x")):
        with pytest.raises(GenerationFailed, match="closed"):
            await wish
    pool.refresh("x")
    assert pool.counters.dropped == 1
    assert asyncio.all_tasks() == before
    assert threading.active_count() == threads


async def test_close_abandons_a_batch_past_the_deadline_but_its_thread_keeps_the_gate(maker: Maker) -> None:
    before = asyncio.all_tasks()
    gate, store = EpochGate(), MemoryFeedStore()
    pool = pool_of(maker, gate=gate, store=store)
    pool.start()
    maker.open.clear()
    reader = asyncio.create_task(pool.generate("v"))
    await until(lambda: maker.batches)
    assert await pool.close(deadline_s=0.01) == ["v"]
    with pytest.raises(GenerationFailed):
        await reader
    assert asyncio.all_tasks() == before

    async def fold() -> None:
        async with gate.fold():
            assert not maker.active, "the state changes under a batch that still runs"

    folding = asyncio.create_task(fold())
    await settle()
    assert not folding.done()
    maker.open.set()
    await folding
    assert await store.get("v") is None


async def test_no_fold_runs_during_a_batch(maker: Maker) -> None:
    gate = EpochGate()
    folds = 0

    async def fold() -> None:
        nonlocal folds
        while True:
            async with gate.fold():
                assert not maker.active
                await asyncio.sleep(0)
                assert not maker.active
                folds += 1

    async with pool_of(maker, gate=gate) as pool:
        folding = asyncio.create_task(fold())
        for n in range(200):
            await pool.submit(f"v{n}")
        await pool.drain()
        folding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await folding
        assert pool.counters.generated == 200
        assert folds > 10


VIEWERS = st.sampled_from([f"v{n}" for n in range(6)])
WISHES = ["generate", "submit", "refresh"]
FAULTS = ["fail", "stale", "bomb", "defuse", "store fails"]
ACTIONS = st.lists(st.tuples(st.sampled_from([*WISHES * 3, *FAULTS, "give up", "wait"]), VIEWERS), max_size=60)


async def act(actions: list[tuple[str, str]], pool: WorkerPool, maker: Maker, store: WatchedStore) -> None:
    """Do it all; returns when the pool is drained."""
    callers: list[asyncio.Task[object]] = []
    for action, viewer in actions:
        match action:
            case "generate" | "submit":
                wish = pool.generate(viewer) if action == "generate" else pool.submit(viewer)
                callers.append(asyncio.create_task(wish))
            case "refresh":
                pool.refresh(viewer)
            case "fail":
                maker.failures[viewer] += 1
            case "stale":
                maker.stale ^= {viewer}
            case "bomb":
                maker.bombs = {viewer}
            case "defuse":
                maker.bombs = set()
            case "store fails":
                store.failures += 1
            case "give up" if callers:
                callers[len(callers) // 2].cancel()
            case _:
                await asyncio.sleep(0.0005)
        pool._queue.check()
    maker.bombs = set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    allowed = (GenerationFailed, QueueFull, asyncio.CancelledError)
    assert all(isinstance(result, (Bulk, *allowed)) or result is None for result in results), results
    await pool.drain()


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, workers=st.integers(1, 3), batch=st.integers(1, 4), queue=st.integers(1, 4))
def test_whatever_happens_every_viewer_is_made_by_one_at_a_time_and_none_is_lost(
    actions: list[tuple[str, str]], workers: int, batch: int, queue: int
) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        maker, store, done = Maker(), WatchedStore(), list[int]()
        pool = pool_of(
            maker,
            store=store,
            on_done=done.append,
            workers=workers,
            batch_viewers=batch,
            queue_viewers=queue,
            attempts=200,
            backoff_s=0.0005,
            backoff_max_s=0.001,
        )
        async with pool, asyncio.timeout(20):
            await act(actions, pool, maker, store)
            counters = pool.counters
            assert (counters.queued, counters.in_flight, counters.set_aside, counters.crashed) == (0, 0, 0, 0)
            assert sum(done) == counters.generated + counters.refused_older
            assert counters.generated >= len(await store.generations())
        assert not maker.overlaps, "a viewer was made twice at once"
        assert not store.turned_back, "an older generation came over a newer"
        assert all(len(made) <= batch for made in maker.batches)
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())
