"""What generates feeds, put together: log → keeper → state → pipeline → pool → store."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from feedgen.commands.compiling import announced
from feedgen.commands.console import Reporter, to_stderr
from feedgen.commands.modelled import Modelled
from feedgen.commands.partial import PartialViewStore
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from feedgen.feed.record import Bulk
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.roles import Clock, FeedStore
from feedgen.feed.store import SqliteFeedStore
from feedgen.gate import EpochGate
from feedgen.keeper import StateKeeper
from feedgen.login.dispatcher import Dispatcher
from feedgen.login.foresight import Foresight
from feedgen.login.teacher import Teacher
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline
from feedgen.snapshots import Snapshots
from feedgen.state.posts import UNKNOWN
from feedgen.state.state import State
from feedgen.trending import Trending
from feedgen.warming import warm
from feedgen.worker import WorkerPool

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The parts, running; `open_engine` owns their lives."""

    log: EventLog
    state: State
    removals: RemovalIndex
    gate: EpochGate
    keeper: StateKeeper
    pipeline: Pipeline
    modelled: Modelled
    store: FeedStore
    trending: Trending
    dispatcher: Dispatcher
    teacher: Teacher
    pool: WorkerPool
    snapshots: Snapshots


class Counting(Reporter):
    """Progress of work that is counted in things."""

    def __init__(self, title: str, things: str, total: int) -> None:
        super().__init__(title)
        self._things = things
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        self.progress(self._done, self._total, f"{self._done:,} of {self._total:,} {self._things}")


def nothing_new(engine: Engine, settings: Settings, now: float) -> str | None:
    """Why no feed can have a post in it, if so, for people. `now`: domain time (s). O(posts)."""
    posts, days = engine.state.posts, settings.selection.days
    there = posts.created[(posts.author != UNKNOWN) & ~posts.deleted]
    if not len(there):
        return "feedgen: the event log has no posts (up to --now), so feeds are empty"
    newest = float(there.max())
    if newest >= now - days * _DAY_S:
        return None
    written = datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"feedgen: the newest post is of {written}, more than selection.days ({days:g}) ago, so feeds are empty; "
        "--now takes up an earlier time"
    )


async def _restored(snapshots: Snapshots, keeper: StateKeeper, until_ts: float | None) -> None:
    with Reporter("reading the snapshot") as reporter:
        stand = await snapshots.restore(
            until_ts, lambda done, total: reporter.progress(done, total, f"{done >> 20:,} of {total >> 20:,} MB")
        )
    if stand is not None:
        keeper.latest_ts = stand.latest_ts


@asynccontextmanager
async def open_engine(
    settings: Settings, data_dir: Path, clock: Clock, *, until_ts: float | None = None
) -> AsyncIterator[Engine]:
    """Take up the newest snapshot, fold what the log has of later (only ts ≤ `until_ts` if given), start the pool.

    All behind progress bars; closes everything after. Raises LogError, StoreError, SnapshotError.
    """
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(await EventLog.open(settings.log, data_dir))
        file = await SqliteFeedStore.open(data_dir / "feeds.sqlite", settings.log.busy_timeout_s)
        stack.push_async_callback(file.close)
        state = State(settings.state, settings.ranking)
        removals = RemovalIndex(settings.state.removals_kept)
        gate = EpochGate()
        keeper = StateKeeper(log, state, removals, gate, settings.log.batch_events, settings.worker.fold_poll_s)
        store = PartialViewStore(file, keeper)
        snapshots = Snapshots(data_dir, settings, log, state, removals, to_stderr)
        await _restored(snapshots, keeper, until_ts)
        await in_thread(announced, warm, "the generation")
        with Counting("folding the log", "events", await log.head() - state.watermark) as counting:
            await keeper.catch_up(until_ts, counting.add)
        pipeline = Pipeline(state, settings)
        modelled = Modelled(settings, data_dir, pipeline, state, to_stderr)
        await in_thread(modelled.look)
        foresight = Foresight(state, settings, clock())
        dispatcher = Dispatcher(foresight, gate, clock, settings)
        teacher = Teacher(foresight, gate, clock, data_dir, settings.scheduler.train_hours)

        def make(viewers: Sequence[str]) -> Sequence[Bulk | Exception | None]:
            return pipeline.generate(viewers, clock())

        pool = WorkerPool(make, gate, store, dispatcher, settings.worker, rng=random.Random())
        await stack.enter_async_context(pool)
        yield Engine(
            log=log,
            state=state,
            removals=removals,
            gate=gate,
            keeper=keeper,
            pipeline=pipeline,
            modelled=modelled,
            store=store,
            trending=Trending(pipeline, gate, store, clock, dispatcher),
            dispatcher=dispatcher,
            teacher=teacher,
            pool=pool,
            snapshots=snapshots,
        )
