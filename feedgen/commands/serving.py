"""`feedgen up`: event log, worker pool and cache server in one process."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

from cacheserver.app import make_app
from cacheserver.residency import Residency
from cacheserver.server import Listening, need_port, serve, until_stopped
from cacheserver.services import Services
from cacheserver.warmup import warm
from feedgen.clock import DomainClock
from feedgen.commands.console import Reporter
from feedgen.commands.engine import Engine, open_engine
from feedgen.config import Settings
from feedgen.eventlog import holds_log
from feedgen.explaining import FeedExplainer
from feedgen.feed.roles import Clock
from feedgen.itemstore import ItemStore, PipelineExplainer

_log = logging.getLogger(__name__)


async def run(settings: Settings, data_dir: Path, *, host: str, port: int, now: float | None) -> None:
    """Serve until SIGINT or SIGTERM. `now`: where domain time starts (s; None: the real time).

    Raises ForefeedError when `data_dir` is no folder or the port cannot be had.
    """
    begins = not holds_log(settings.log, data_dir)
    need_port(host, port)
    domain = None if now is None else DomainClock(now)
    # Without --now the wall clock itself: one that starts here and begins after the fold is late by the fold, for good,
    # and stands still while the machine sleeps.
    clock: Clock = domain or time.time
    with Reporter("starting") as reporter:
        if begins:
            reporter.say(f"feedgen: no event log in {data_dir} yet; an empty one is begun, for POST /v1/events to fill")
        async with open_engine(settings, data_dir, clock, until_ts=now) as engine:
            if domain is not None:
                domain.begin()
            await drop_ahead(engine, reporter)
            async with serving(engine, settings, clock, host, port) as listening:
                reporter.say(
                    f"feedgen: serving {len(engine.state.users):,} known users at {listening.url}; Ctrl-C stops"
                )
                await until_stopped()
                reporter.say("feedgen: stopping; requests and batches in flight are finished first")


async def drop_ahead(engine: Engine, reporter: Reporter) -> None:
    """Drop what the store holds of a later time or a longer log, and say so. Raises StoreError."""
    if dropped := await engine.sweeper.drop_ahead(engine.keeper.whole_to):
        reporter.say(f"feedgen: {dropped:,} stored feeds are of a later time or a longer log; dropped, to be made anew")


@asynccontextmanager
async def serving(engine: Engine, settings: Settings, clock: Clock, host: str, port: int) -> AsyncIterator[Listening]:
    """The cache server over a running engine: memory warmed first, then the log followed and feeds kept fresh.

    Raises ForefeedError when the port cannot be had.
    """
    residency = Residency(settings, time.monotonic, engine.removals)
    services = Services(
        settings=settings,
        clock=clock,
        monotonic=time.monotonic,
        residency=residency,
        store=engine.store,
        log=engine.log,
        generator=engine.pool,
        older=ItemStore(engine.pipeline, engine.gate),
        explainer=PipelineExplainer(FeedExplainer(engine.state, engine.pipeline), engine.gate, clock),
        ready=lambda: engine.keeper.current,  # else what is deleted elsewhere is still shown here
        gauges=gauges_of(engine),
    )
    await engine.sweeper.write_trending()
    await warm(residency, engine.store, engine.sweeper.by_last_activity(), settings.feed.items)
    engine.sweeper.sink = residency
    listening = await serve(make_app(services), settings, host, port)
    tasks = [
        asyncio.create_task(engine.keeper.follow(), name="keeper"),
        asyncio.create_task(engine.sweeper.run(engine.pool), name="sweeper"),
        asyncio.create_task(engine.snapshots.run(engine.keeper), name="snapshots"),
    ]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield listening
    finally:
        await listening.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        engine.sweeper.sink = None


def gauges_of(engine: Engine) -> dict[str, Callable[[], float]]:
    """What the generating side shows on /metrics."""

    def counter(name: str) -> Callable[[], float]:
        return lambda: float(getattr(engine.pool.counters, name))

    def counted(name: str) -> Callable[[], float]:
        return lambda: float(engine.pipeline.counted[name])

    def cut(name: str) -> Callable[[], float]:
        return lambda: float(getattr(engine.snapshots.last, name, 0))

    return {
        **{f"selection_{name}": counted(name) for name in engine.pipeline.counted},
        **{f"worker_{field.name}": counter(field.name) for field in fields(engine.pool.counters)},
        **{f"snapshot_{name}": cut(name) for name in ("nbytes", "took_s", "pause_s", "passes")},
        "snapshot_watermark": lambda: float(engine.snapshots.stands_at),
        "state_events_folded": lambda: float(engine.keeper.folded),
        "state_watermark": lambda: float(engine.state.watermark),
        "state_users": lambda: float(len(engine.state.users)),
        "state_posts": lambda: float(engine.state.posts.live_count),
        "state_follows": lambda: float(engine.state.graph.follow_count),
    }


def _report(task: "asyncio.Task[None]") -> None:
    """A task that ends by itself is a fault; say so instead of going quietly stale."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("the %s stopped; feeds go stale until a restart", task.get_name(), exc_info=task.exception())
