"""A cache server in front of many resident feeds that nobody had to generate: what the benchmarks of reading read.

Every feed is its own: nothing is shared between viewers that a real one would not share.
"""

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from cacheserver.app import make_app
from cacheserver.residency import Residency
from cacheserver.server import run, serve, until_stopped
from cacheserver.services import Services
from feedgen.config import Cache, Server, Settings
from feedgen.eventlog import EventLog
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.ids import PackedIds
from feedgen.feed.record import Bulk, Generation, bulk_of_columns
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.store import MemoryFeedStore

_AUTHORS: Final = 200
_REASONS: Final = ("followed", "popular", "trending")


def feeds(viewers: int, items: int, seed: int, now: float) -> Iterator[tuple[str, Bulk]]:
    """(viewer, feed) for v0, v1, …: `items` items by 200 authors, ids of 16 hexadecimal digits. About 40 µs a feed."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 1 << 20, items)
    author_of = rng.integers(0, min(_AUTHORS, items), items)
    shape = bulk_of_columns(
        Generation(1, int(now * 1_000)),
        [f"{n:016x}" for n in range(items)],
        [f"{n:016x}" for n in author_of],
        np.linspace(1.0, 0.0, items),
        _REASONS,
        [n % len(_REASONS) for n in range(items)],
        np.floor(now) - age,
    )
    for number in range(viewers):
        made = int((now - rng.random() * 60.0) * 1_000)
        yield (
            f"v{number}",
            Bulk(
                1,
                made,
                PackedIds("hex", items, 8, rng.bytes(8 * items), b""),
                PackedIds("hex", shape.authors.count, 8, rng.bytes(8 * shape.authors.count), b""),
                bytes(bytearray(shape.author_of)),
                rng.random(items, np.float32).tobytes(),
                "I",
                bytes(bytearray(shape.created)),
                shape.reasons,
                bytes(bytearray(shape.reason_of)),
            ),
        )


async def _serve(viewers: int, items: int, port: int, fast_lane: bool, seed: int) -> None:
    settings = Settings(
        server=Server(fast_lane=fast_lane),
        cache=Cache(max_bytes=1 << 36, fresh_s=1e6, stale_s=1e6, idle_s=1e6),
    )
    residency = Residency(settings, time.monotonic, RemovalIndex(1_000))
    for viewer, bulk in feeds(viewers, items, seed, time.time()):
        residency.admit(viewer, FeedMap(bulk))
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="forefeed-"))
        log = await stack.enter_async_context(await EventLog.open(settings.log, Path(folder)))
        services = Services(
            settings=settings,
            clock=time.time,
            monotonic=time.monotonic,
            residency=residency,
            store=MemoryFeedStore(),
            log=log,
        )
        listening = await serve(make_app(services), settings, "127.0.0.1", port)
        stack.push_async_callback(listening.stop)
        print(f"listening on {listening.url}", flush=True)
        await until_stopped()


def main(viewers: int, items: int, port: int, fast_lane: bool, seed: int = 1) -> None:
    """Serve until SIGINT or SIGTERM; says on stdout where."""
    run(_serve(viewers, items, port, fast_lane, seed))
