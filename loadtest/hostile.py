"""A server under clients that mean no good: half-open connections, readers that do not read, floods of misses."""

import asyncio
import os
import random
from contextlib import ExitStack, suppress
from typing import Any, Final

import psutil

from cacheserver.server import allow_connections
from loadtest.odd_requests import send_odd_requests
from loadtest.open_loop import Outcome, drive, report
from loadtest.peers import LOAD_CPU, Peer, forefeed

_SETTLES_S: Final = 5.0
"""Until what the slow readers asked for is answered as far as their buffers go."""
_PAGE: Final = b"GET /v1/feeds/v1?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n"


async def measure(
    peer: Peer, viewers: int, *, rate_per_s: float, seconds: float, half_open: int, slow: int
) -> dict[str, Any]:
    """Latency of right requests alone, then beside each nuisance; memory before and after. Raises OSError."""
    requests = [b"GET /v1/feeds/v%d?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n" % (n % viewers) for n in range(1_000)]

    async def right_ones() -> Outcome:
        return await drive(peer.port, requests, rate_per_s=rate_per_s, seconds=seconds, connections=16)

    await right_ones()
    idle = await right_ones()
    before = _rss(peer)
    async with _Nuisances(peer.port) as nuisances:
        for _ in range(half_open):
            await nuisances.connect(_PAGE[:20])
        for _ in range(slow):
            await nuisances.connect(_PAGE * 2_000, read=False)
        await asyncio.sleep(_SETTLES_S)
        crowded = await right_ones()
        held = _rss(peer)
    flood = asyncio.create_task(_flood(peer.port, seconds))
    flooded = await right_ones()
    answered = await flood
    return {
        "idle": report(idle),
        "half_open_and_slow": {**report(crowded), "half_open": half_open, "slow": slow},
        "misses": {**report(flooded), "answers_to_misses": answered},
        "rss_mb": {"before": before, "with_them": held, "after": _rss(peer)},
    }


class _Nuisances:
    """Connections that are kept open, until the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "_Nuisances":
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.5)

    async def connect(self, data: bytes, read: bool = True) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        if not read:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(data)
        self._writers.append(writer)


async def _flood(port: int, seconds: float) -> dict[str, int]:
    """Ask for viewers nobody knows, as fast as 16 connections go; answers by status."""
    answers: dict[str, int] = {}
    end = asyncio.get_running_loop().time() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        rng = random.Random(number)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while asyncio.get_running_loop().time() < end:
                writer.write(b"GET /v1/feeds/x%d?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n" % rng.getrandbits(60))
                head = await reader.readuntil(b"\r\n\r\n")
                status = head[9:12].decode()
                answers[status] = answers.get(status, 0) + 1
                await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
        writer.transport.abort()

    await asyncio.gather(*(one(number) for number in range(16)))
    return answers


def _rss(peer: Peer) -> float:
    megabytes: float = psutil.Process(peer.pid).memory_info().rss / 1e6
    return round(megabytes, 1)


def run(viewers: int, rate_per_s: float, seconds: float, half_open: int, slow: int, odd: int) -> dict[str, Any]:
    """Start a server on the first core and be hostile from the last one. Raises RuntimeError, OSError."""
    import uvloop

    os.sched_setaffinity(0, {LOAD_CPU})
    allow_connections(half_open + slow)
    with ExitStack() as stack:
        peer = stack.enter_context(forefeed(viewers, 500, True, 1))
        figures = uvloop.run(
            measure(peer, viewers, rate_per_s=rate_per_s, seconds=seconds, half_open=half_open, slow=slow)
        )
        findings = uvloop.run(send_odd_requests(peer.port, [f"v{n}" for n in range(50)], odd, seed=1))
        statuses = {str(status): count for status, count in sorted(findings.statuses.items())}
        return {**figures, "odd_requests": {"sent": findings.sent, "statuses": statuses, "wrong": findings.wrong}}
