"""`feedgen demo`: a seeded network → events → state → feeds → server, in one go."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import aiohttp

from cacheserver.server import need_port, until_stopped
from feedgen.clock import DomainClock
from feedgen.commands.console import Reporter, put_json
from feedgen.commands.engine import Counting, Engine, open_engine
from feedgen.commands.generating import generate_feeds
from feedgen.commands.serving import serving, take_stock
from feedgen.config import Settings
from feedgen.errors import ForefeedError
from feedgen.eventlog import EventLog
from feedgen.offloop import in_thread
from feedgen.state.state import kind_weights
from feedgen.synthetic import Network, NetworkSpec, generate
from feedgen.synthetic.judge import Judge
from feedgen.synthetic.network import MODERATOR

MARK: Final = "demo.json"
"""File in the data folder that says which network its log holds."""
JUDGED: Final = 250
"""Viewers whose feeds are judged: the mean's standard error is then below 0.01."""
_DAY_S: Final = 86_400.0


@dataclass
class Stages:
    """How long each stage took (s)."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is inside under `name`."""
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 2)


async def run(settings: Settings, data_dir: Path, spec: NetworkSpec, *, host: str, port: int, once: bool) -> None:
    """Make the network, fill the log, generate every viewer's feed, serve. `once`: read one page, print figures, stop.

    Raises ForefeedError when the port is taken or `data_dir` holds something else.
    """
    need_port(host, port)
    stages = Stages()
    with stages.stage("network"), Reporter("making the network") as reporter:
        network = generate(spec, lambda stage, done, total: reporter.progress(done, total, stage))
    with stages.stage("log"):
        await _fill_log(settings, data_dir, network)
    clock = DomainClock(float(spec.end))
    async with _folded(settings, data_dir, clock, stages) as engine:
        viewers = [f"u{number}" for number in range(spec.viewers)]
        with Reporter("demo") as reporter:
            await take_stock(engine, clock, reporter)
        with stages.stage("feeds"):
            feeds, feeds_per_s = await generate_feeds(engine, viewers)
        ndcg_at_20: dict[str, float] = {}
        if once:
            with stages.stage("judge"):  # before serving, which goes on generating
                ndcg_at_20 = await _judged(engine, settings, network, float(spec.end))
        clock.begin()
        async with serving(engine, settings, clock, host, port) as listening:
            with stages.stage("first_page"):
                page = await _read_page(listening.url, viewers[0])
            if once:
                counts = {"viewers": spec.viewers, "posts": network.counts.get("post", 0), "events": len(network)}
                page_ms = round(page["took_s"] * 1000, 2)
                put_json(
                    {
                        **counts,
                        "feeds": feeds,
                        "feeds_per_s": feeds_per_s,
                        "page_ms": page_ms,
                        "ndcg_at_20": ndcg_at_20,
                        "seconds": stages.seconds,
                    }
                )
                return
            with Reporter("demo") as reporter:
                reporter.say(_welcome(listening.url, feeds, feeds_per_s, stages))
                print(_curl_lines(listening.url, viewers[0], page), flush=True)  # noqa: T201 - to be pasted
                await until_stopped()
                reporter.say("feedgen: stopping; requests in flight are finished first")


async def _fill_log(settings: Settings, data_dir: Path, network: Network) -> None:
    """Append the network's events, unless an earlier demo of the same network did. Its truth is kept beside the log."""
    spec = network.spec
    wanted = json.dumps({"viewers": spec.viewers, "seed": spec.seed, "events": len(network)})
    async with await EventLog.open(settings.log, data_dir) as log:
        count = await log.count()
        if count and _mark(data_dir) != wanted:
            raise ForefeedError(f"{data_dir} holds another log; give the demo a folder of its own with --data")
        if count == len(network):
            return
        (data_dir / MARK).write_text(wanted)
        network.truth.save(data_dir / "truth.npz")
        with Counting("filling the event log", "events", len(network)) as counting:
            events = network.events()
            while batch := list(islice(events, settings.log.batch_events)):
                await log.append(batch)
                counting.add(len(batch))


def _mark(data_dir: Path) -> str:
    try:
        return (data_dir / MARK).read_text()
    except FileNotFoundError:
        return ""


@asynccontextmanager
async def _folded(settings: Settings, data_dir: Path, clock: DomainClock, stages: Stages) -> AsyncIterator[Engine]:
    began = time.perf_counter()
    async with open_engine(settings, data_dir, clock) as engine:
        stages.seconds["fold"] = round(time.perf_counter() - began, 2)
        yield engine


async def _read_page(url: str, viewer: str) -> dict[str, Any]:
    """One page as a client gets it, and how long it took; the connection is there already, as an app server's is."""
    async with aiohttp.ClientSession(url) as client:
        async with client.get("/healthz") as response:
            await response.read()
        began = time.perf_counter()
        async with client.get(f"/v1/feeds/{viewer}", params={"limit": 3}) as response:
            page: dict[str, Any] = await response.json()
        if response.status != 200:
            raise ForefeedError(f"the first page was answered with {response.status}: {page}")
    return {**page, "took_s": time.perf_counter() - began}


async def _judged(engine: Engine, settings: Settings, network: Network, now: float) -> dict[str, float]:
    """How the served order compares with the oracle's, over viewers who were there lately."""
    since = now - settings.worker.active_days * _DAY_S
    active = [viewer for viewer in engine.state.by_last_activity(since) if viewer != MODERATOR]
    sample = active[:: max(1, len(active) // JUDGED)][:JUDGED]
    judge = Judge(engine.pipeline, network.truth, kind_weights(settings.ranking))
    async with engine.gate.batch():
        return await in_thread(judge.judge, sample, now)


def _welcome(url: str, feeds: int, feeds_per_s: float, stages: Stages) -> str:
    took = ", ".join(f"{name} {seconds} s" for name, seconds in stages.seconds.items())
    made = f"{feeds:,} feeds generated before anybody asked, {feeds_per_s:,.0f} a second ({took})"
    return f"feedgen: {made}.\nfeedgen: serving at {url}; Ctrl-C stops. Paste:"


def _curl_lines(url: str, viewer: str, page: dict[str, Any]) -> str:
    first = f"curl -s '{url}/v1/feeds/{viewer}?limit=3'"
    after = f"&after={page['next']}" if page["next"] else ""
    return f"\n  {first}\n  {first[:-1]}{after}'\n  curl -s '{url}/v1/feeds/{viewer}/explain' | head -c 1500\n"
