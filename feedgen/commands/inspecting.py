"""`feedgen explain` and `feedgen status`: looking, without changing anything."""

import time
from pathlib import Path
from typing import Any, Final

import aiohttp

from feedgen.clock import DomainClock
from feedgen.commands.console import put_json, to_stderr
from feedgen.commands.engine import open_engine
from feedgen.commands.foreseen import summary
from feedgen.commands.needed import need_data
from feedgen.config import Settings
from feedgen.errors import ForefeedError
from feedgen.eventlog import EventLog
from feedgen.explaining import FeedExplainer
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import SqliteFeedStore

_ASK_S: Final = 10.0


async def explain(settings: Settings, data_dir: Path, viewer: str, item: str | None, *, now: float | None) -> None:
    """Say as JSON why the viewer's feed of the moment `now` would be as it is, or what became of one post.

    Raises ForefeedError when there is no log, or the viewer or the post was never seen.
    """
    need_data(settings, data_dir)
    clock = DomainClock(time.time() if now is None else now)
    async with open_engine(settings, data_dir, clock, until_ts=now) as engine:
        answer = FeedExplainer(engine.state, engine.pipeline).explain(viewer, clock(), item)
        known = engine.state.users.find(viewer) is not None
    if answer is None:
        raise ForefeedError(f"not in the log (up to --now): {f'post {item}' if known else f'viewer {viewer}'}")
    put_json(answer)


async def status(settings: Settings, data_dir: Path, url: str | None) -> None:
    """Say as JSON what a data folder holds; with `url`, also what the server there has done since its start, and as a
    table on stderr.

    Raises ForefeedError when there is no log, or no such server.
    """
    need_data(settings, data_dir)
    serving = None if url is None else summary_of(await _metrics(url), url)
    async with await EventLog.open(settings.log, data_dir) as log:
        answer: dict[str, Any] = {"data": str(data_dir), "events": await log.count(), "head": await log.head()}
    store = await SqliteFeedStore.open(data_dir / "feeds.sqlite", settings.log.busy_timeout_s)
    try:
        stored = await store.generations()
    finally:
        await store.close()
    trending = stored.pop(TRENDING_KEY, None)
    made = sorted(generation.generated_at_ms / 1000 for generation in stored.values())
    if serving is not None:
        answer["serving"] = serving
        to_stderr(table(serving))
    put_json(
        {
            **answer,
            "feeds": len(stored),
            "oldest_feed_at": made[0] if made else None,
            "newest_feed_at": made[-1] if made else None,
            "trending_feed_at": trending.generated_at_ms / 1000 if trending else None,
        }
    )


async def _metrics(url: str) -> str:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as client,
            client.get(f"{url.rstrip('/')}/metrics") as response,
        ):
            if response.status == 200:
                return await response.text()
            raise ForefeedError(f"{url}/metrics was answered with {response.status}")
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        raise ForefeedError(f"--url {url} is none; one looks like http://127.0.0.1:8080") from None
    except (aiohttp.ClientError, TimeoutError, ValueError, UnicodeDecodeError) as error:
        raise ForefeedError(f"no server answers at {url} ({error or 'in time'})") from None


def summary_of(text: str, url: str) -> dict[str, Any]:
    """What a server says of itself. Raises ForefeedError for an answer that is none of ours."""
    try:
        found = summary(text)
    except ValueError:
        found = {}
    if not found or "forefeed_" not in text:
        raise ForefeedError(f"{url}/metrics is not one of forefeed")
    return found


def table(found: dict[str, Any]) -> str:
    """The same for people: a line for each part."""
    width = max(len(part) for part in found)
    rows = [
        f"{part.replace('_', ' '):{width}}  "
        + ", ".join(f"{key.replace('_', ' ')} {_said(value)}" for key, value in what.items() if key != "by_chance")
        for part, what in found.items()
    ]
    return "\n".join(rows)


def _said(value: Any) -> str:
    return "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
