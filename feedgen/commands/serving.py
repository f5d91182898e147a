"""`feedgen up`: event log, worker pool and cache server in one process."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cacheserver.app import make_app
from cacheserver.residency import Residency
from cacheserver.server import Listening, log_to_stderr, need_port, serve, until_stopped
from cacheserver.services import Services
from cacheserver.warmup import warm
from feedgen.clock import DomainClock
from feedgen.commands.console import Reporter
from feedgen.commands.engine import Engine, nothing_new, open_engine
from feedgen.commands.exposed import exposed
from feedgen.commands.retraining import Retraining
from feedgen.config import Settings
from feedgen.eventlog import holds_log
from feedgen.explaining import FeedExplainer
from feedgen.feed.roles import Clock
from feedgen.itemstore import ItemStore, PipelineExplainer
from feedgen.offloop import in_thread

_log = logging.getLogger(__name__)
SKEW_S: Final = 60.0
"""How far the clocks of two machines that share a store may be apart."""


async def run(
    settings: Settings, data_dir: Path, *, host: str, port: int, now: float | None, config_path: Path | None = None
) -> None:
    """Serve until SIGINT or SIGTERM. `now`: where domain time starts (s; None: the real time).

    `config_path`: where `settings` are from, for the processes that train.

    Raises ForefeedError when `data_dir` is no folder or the port cannot be had.
    """
    begins = not holds_log(settings.log, data_dir)
    log_to_stderr()
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
            await take_stock(engine, clock, reporter)
            if not begins and (why := nothing_new(engine, settings, clock())):
                reporter.say(why)
            retraining = Retraining(settings.models, clock, data_dir, config_path)
            async with serving(engine, settings, clock, host, port, retraining) as listening:
                reporter.say(
                    f"feedgen: serving {len(engine.state.users):,} known users at {listening.url}; Ctrl-C stops"
                )
                await until_stopped()
                reporter.say("feedgen: stopping; requests and batches in flight are finished first")


async def take_stock(engine: Engine, clock: Clock, reporter: Reporter) -> None:
    """Tell the dispatcher what the store holds. O(stored feeds). Raises StoreError.

    What knows more than can be known now is dropped first, about 0.3 ms each, and that is said: feeds made at a time
    that has not come yet (an earlier run with another `--now`), or from a log that went further. Kept, they would be
    served as fresh, and nothing made now would be newer.
    """
    stored = await engine.store.generations()
    head, latest_ms = engine.keeper.whole_to, (clock() + SKEW_S) * 1_000
    ahead = [name for name, made in stored.items() if made.watermark > head or made.generated_at_ms > latest_ms]
    for viewer in ahead:
        await engine.store.delete(viewer)
        del stored[viewer]
    if ahead:
        reporter.say(
            f"feedgen: {len(ahead):,} stored feeds are of a later time or a longer log; dropped, to be made anew"
        )
    await engine.dispatcher.begin(stored)


@asynccontextmanager
async def serving(
    engine: Engine, settings: Settings, clock: Clock, host: str, port: int, retraining: Retraining | None = None
) -> AsyncIterator[Listening]:
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
        expected=engine.dispatcher,
        ready=lambda: engine.keeper.current,  # else what is deleted elsewhere is still shown here
        families=lambda: exposed(engine, retraining),
    )
    await engine.trending.write()
    await warm(residency, engine.store, engine.state.by_last_activity(), settings.feed.items)
    engine.teacher.load()
    engine.dispatcher.sink = residency
    engine.keeper.observer = engine.modelled.learn
    listening = await serve(make_app(services), settings, host, port)
    tasks = [
        asyncio.create_task(engine.keeper.follow(), name="keeper"),
        asyncio.create_task(engine.trending.run(settings.worker.trending_s), name="trending feed"),
        asyncio.create_task(engine.dispatcher.run(engine.pool), name="scheduler"),
        asyncio.create_task(engine.teacher.run(), name="login teacher"),
        asyncio.create_task(engine.modelled.follow(settings.models.poll_s), name="model watcher"),
        asyncio.create_task(engine.snapshots.run(engine.keeper), name="snapshots"),
    ]
    if retraining is not None:
        tasks.append(asyncio.create_task(retraining.run(), name="scheduled training"))
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield listening
    finally:
        await listening.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        engine.dispatcher.sink = None
        engine.keeper.observer = None
        await in_thread(engine.modelled.save)


def _report(task: "asyncio.Task[None]") -> None:
    """A task that ends by itself is a fault; say so instead of going quietly stale."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("the %s stopped; feeds go stale until a restart", task.get_name(), exc_info=task.exception())
