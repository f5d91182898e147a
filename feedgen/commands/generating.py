"""`feedgen generate`: feeds for the viewers named, or for everyone."""

import time
from collections.abc import Sequence
from pathlib import Path

from feedgen.clock import DomainClock
from feedgen.commands.console import put_json, to_stderr
from feedgen.commands.engine import Counting, Engine, nothing_new, open_engine
from feedgen.commands.needed import need_data
from feedgen.config import Settings
from feedgen.errors import ForefeedError


async def run(settings: Settings, data_dir: Path, viewers: Sequence[str] | None, *, now: float | None) -> None:
    """Generate and store feeds of the moment `now` (s; None: the real time); `viewers` None: everyone in the log.

    Raises ForefeedError when there is no log, a named viewer was never seen, or a viewer was set aside.
    """
    need_data(settings, data_dir)
    clock = DomainClock(time.time() if now is None else now)
    async with open_engine(settings, data_dir, clock, until_ts=now) as engine:
        known = engine.state.users
        if viewers is None:
            viewers = list(known.names)
        elif strangers := [viewer for viewer in viewers if known.find(viewer) is None]:
            raise ForefeedError(f"nobody of that name is in the log (up to --now): {', '.join(strangers[:10])}")
        if not viewers:
            raise ForefeedError("the event log knows nobody (up to --now); import something first")
        if why := nothing_new(engine, settings, clock()):
            to_stderr(why)
        feeds, feeds_per_s = await generate_feeds(engine, viewers)
        if older := engine.pool.counters.refused_older:
            to_stderr(f"feedgen: {older:,} feeds were not stored: as new or newer ones were there")
        await engine.snapshots.cut_if_due(engine.keeper)
    put_json({"feeds": feeds, "feeds_per_s": feeds_per_s})


async def generate_feeds(engine: Engine, viewers: Sequence[str]) -> tuple[int, float]:
    """The trending feed, then a feed for each viewer, behind a progress bar; how many were made, and how many a second.

    Raises ForefeedError when a viewer was set aside.
    """
    began = time.perf_counter()
    counters = engine.pool.counters
    before = counters.generated + counters.refused_older
    with Counting("generating", "feeds", len(viewers)) as counting:
        engine.pool.on_done = counting.add
        await engine.trending.write()
        for viewer in viewers:
            await engine.pool.submit(viewer)
        await engine.pool.drain()
        engine.pool.on_done = None
    if failed := counters.set_aside + counters.unstored:
        raise ForefeedError(f"{failed} of {len(viewers)} viewers failed every attempt; the reasons are above")
    feeds = counters.generated + counters.refused_older - before
    return feeds, round(feeds / (time.perf_counter() - began), 1)
