"""Closed-loop readers: each keeps one connection, asks for a page, waits for it, and asks for the next.

Viewers come by Zipf's law (few read most), a visit pages on with probability `1 - 1 / depth`. Every body is decoded and
checked: a page that is not 200, not JSON, or holds an item twice within a visit is a failure, not a sample.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import httptools
import msgspec
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plan:
    """What to read: `depth` is the mean number of pages of a visit, `items` the page size."""

    host: str
    port: int
    viewers: Sequence[str]
    connections: int
    seconds: float
    items: int = 20
    depth: float = 2.5
    zipf: float = 1.1
    seed: int = 1


@dataclass
class Tally:
    """What was seen. `latencies_s`: one entry per page that was right."""

    latencies_s: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    cache: dict[str, int] = field(default_factory=dict)
    items: int = 0
    seconds: float = 0.0

    def fail(self, reason: str) -> None:
        """Count a failure."""
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def report(self) -> dict[str, Any]:
        """Pages per second, latencies in ms, failures by reason, pages by Cache-Status."""
        pages = len(self.latencies_s)
        percentiles = np.percentile(self.latencies_s, (50, 99, 99.9)).tolist() if pages else [None] * 3
        ms = [None if p is None else round(p * 1000, 3) for p in percentiles]
        return {
            "pages": pages,
            "pages_per_s": round(pages / self.seconds, 1) if self.seconds else 0.0,
            "items_per_page": round(self.items / pages, 2) if pages else 0.0,
            "p50_ms": ms[0],
            "p99_ms": ms[1],
            "p99_9_ms": ms[2],
            "failures": self.failures,
            "cache": self.cache,
        }


class _Item(msgspec.Struct):
    item_id: str


class _Page(msgspec.Struct):
    items: list[_Item]
    next: str | None


_decode = msgspec.json.Decoder(_Page).decode


class _Reader(asyncio.Protocol):
    """One connection. Also the parser's callbacks (on_…)."""

    def __init__(self, plan: Plan, tally: Tally, visits: NDArray[np.int64], chances: NDArray[np.float64]) -> None:
        self._plan = plan
        self._tally = tally
        self._visits = visits
        self._chances = chances
        self._at = 0
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []
        self._cache = ""
        self._visited: set[str] = set()
        self._viewer = ""
        self._sent = 0.0
        self.stopping = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one
        self._parser = httptools.HttpResponseParser(self)
        self._ask(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._tally.fail(f"not HTTP: {error}")
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopping:
            self._tally.fail("connection lost")
        if not self.done.done():
            self.done.set_result(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"cache-status":
            self._cache = value.decode("latin-1").removeprefix("forefeed; ").split("; ttl")[0]

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        took = time.perf_counter() - self._sent
        body, self._body = b"".join(self._body), []
        status = self._parser.get_status_code()
        after: str | None = None
        if status != 200:
            self._tally.fail(f"status {status}")
        else:
            after = self._take(body, took)
        if self.stopping:
            self._close()
        else:
            self._ask(after)

    def _take(self, body: bytes, took: float) -> str | None:
        try:
            page = _decode(body)
        except msgspec.DecodeError as error:
            self._tally.fail(f"body: {error}")
            return None
        ids = {item.item_id for item in page.items}
        if len(ids) < len(page.items) or ids & self._visited:
            self._tally.fail("an item came twice within a visit")
            return None
        self._visited |= ids
        self._tally.items += len(page.items)
        self._tally.latencies_s.append(took)
        self._tally.cache[self._cache] = self._tally.cache.get(self._cache, 0) + 1
        return page.next

    def _ask(self, after: str | None) -> None:
        assert self._transport is not None
        self._at = (self._at + 1) % len(self._visits)
        if after is None or self._chances[self._at] < 1 / self._plan.depth:
            after = None
            self._visited = set()
            self._viewer = quote(self._plan.viewers[int(self._visits[self._at])], safe="")
        query = f"limit={self._plan.items}" + (f"&after={quote(after, safe='')}" if after else "")
        self._sent = time.perf_counter()
        host = f"{self._plan.host}:{self._plan.port}"
        self._transport.write(f"GET /v1/feeds/{self._viewer}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def _close(self) -> None:
        self.stopping = True
        if self._transport is not None:
            self._transport.close()


async def read_pages(plan: Plan) -> Tally:
    """Run the plan and stop by itself after `plan.seconds`. Raises OSError if nobody listens."""
    rng = np.random.default_rng(plan.seed)
    weights = 1.0 / np.arange(1, len(plan.viewers) + 1) ** plan.zipf
    drawn = rng.choice(len(plan.viewers), size=(plan.connections, 4_096), p=weights / weights.sum())
    chances = rng.random((plan.connections, 4_096))
    tally = Tally()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    readers: list[_Reader] = []
    try:
        for number in range(plan.connections):
            reader = _Reader(plan, tally, drawn[number], chances[number])
            await loop.create_connection(lambda reader=reader: reader, plan.host, plan.port)  # type: ignore[misc]
            readers.append(reader)
        await asyncio.wait([reader.done for reader in readers], timeout=plan.seconds)
        tally.seconds = time.perf_counter() - began
    finally:
        for reader in readers:
            reader.stopping = True
        _, late = await asyncio.wait([r.done for r in readers], timeout=2.0) if readers else ((), ())
        for _ in late:
            tally.fail("no answer within 2 s of the end")
        for reader in readers:
            reader._close()
    return tally
