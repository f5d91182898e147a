"""`feedgen explain` and `feedgen status`: looking, without changing anything."""

import time
from pathlib import Path
from typing import Any

from feedgen.clock import DomainClock
from feedgen.commands.console import put_json
from feedgen.commands.engine import need_data, open_engine
from feedgen.config import Settings
from feedgen.errors import ForefeedError
from feedgen.eventlog import EventLog
from feedgen.explaining import FeedExplainer
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import SqliteFeedStore


async def explain(settings: Settings, data_dir: Path, viewer: str, item: str | None, *, now: float | None) -> None:
    """Say as JSON why the viewer's feed of the moment `now` would be as it is, or what became of one post.

    Raises ForefeedError when there is no log, or the viewer or the post was never seen.
    """
    need_data(settings, data_dir)
    clock = DomainClock(time.time() if now is None else now)
    async with open_engine(settings, data_dir, clock, until_ts=now) as engine:
        answer = FeedExplainer(engine.state, engine.pipeline).explain(viewer, clock(), item)
    if answer is None:
        raise ForefeedError(f"not in the log (up to --now): viewer {viewer}" + (f" or post {item}" if item else ""))
    put_json(answer)


async def status(settings: Settings, data_dir: Path) -> None:
    """Say as JSON what a data folder holds. Raises ForefeedError when there is no log."""
    need_data(settings, data_dir)
    async with await EventLog.open(settings.log, data_dir) as log:
        answer: dict[str, Any] = {"data": str(data_dir), "events": await log.count(), "head": await log.head()}
    store = await SqliteFeedStore.open(data_dir / "feeds.sqlite", settings.log.busy_timeout_s)
    try:
        stored = await store.generations()
    finally:
        await store.close()
    trending = stored.pop(TRENDING_KEY, None)
    made = sorted(generation.generated_at_ms / 1000 for generation in stored.values())
    put_json(
        {
            **answer,
            "feeds": len(stored),
            "oldest_feed_at": made[0] if made else None,
            "newest_feed_at": made[-1] if made else None,
            "trending_feed_at": trending.generated_at_ms / 1000 if trending else None,
        }
    )
