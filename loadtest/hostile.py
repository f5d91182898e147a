"""A server under clients that mean no good: half-open connections, readers that do not read, floods of misses."""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.request import urlopen

import psutil

from cacheserver.server import allow_connections
from loadtest.odd_client import send_odd_requests
from loadtest.open_loop import Outcome, drive, report
from loadtest.peers import LOAD_CPU, Peer, forefeed

_SETTLES_S: Final = 5.0
"""Until what the slow readers asked for is answered as far as their buffers go."""
_P99_MS: Final = 5.0
"""Beside a nuisance, 99% of the right requests are answered within this, or within twice what they take alone."""
_FLOOD_CONNECTIONS: Final = 1_024
"""Several times `server.misses_at_once`: each waits for one answer at a time, so fewer could not be too many."""
_PAGE: Final = b"GET /v1/feeds/v1?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True)
class Plan:
    """How hostile: `rate_per_s` right requests in an open loop for `seconds`, alone and beside each nuisance.

    `odd` requests at the end, for `odd_seconds` at most.
    """

    viewers: int = 5_000
    rate_per_s: float = 2_000.0
    seconds: float = 10.0
    half_open: int = 5_000
    slow: int = 100
    odd: int = 1_000_000
    odd_seconds: float = 400.0


async def measure(peer: Peer, plan: Plan) -> dict[str, Any]:
    """Latency of right requests alone, then beside each nuisance; memory before and after. Raises OSError."""
    requests = [b"GET /v1/feeds/v%d?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n" % (n % plan.viewers) for n in range(1_000)]

    async def right_ones() -> Outcome:
        return await drive(peer.port, requests, rate_per_s=plan.rate_per_s, seconds=plan.seconds, connections=16)

    await right_ones()
    idle = await right_ones()
    goal_ms = max(2 * idle.p99_ms, _P99_MS)
    before = _rss(peer)
    async with _Nuisances(peer.port) as nuisances:
        for _ in range(plan.half_open):
            await nuisances.connect(_PAGE[:20])
        for _ in range(plan.slow):
            await nuisances.connect(_PAGE * 2_000, read=False)
        await asyncio.sleep(_SETTLES_S)
        crowded = await right_ones()
        held = _rss(peer)
    capacity = await _capacity(peer.port, plan.seconds)
    flood = asyncio.create_task(_flood(peer.port, 3 * capacity, plan.seconds))
    flooded = await right_ones()
    misses = await flood
    return {
        "plan": asdict(plan),
        "goal_p99_ms": round(goal_ms, 3),
        "idle": report(idle),
        "half_open_and_slow": {**report(crowded), "met": crowded.p99_ms <= goal_ms},
        "beside_misses": {**report(flooded), "met": flooded.p99_ms <= goal_ms},
        "misses": {"capacity_per_s": round(capacity, 1), **report(misses)},
        "rss_mb": {"before": before, "with_half_open_and_slow": held, "after": _rss(peer)},
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


async def _capacity(port: int, seconds: float) -> float:
    """Misses a second, when 16 connections ask for viewers nobody knows and nobody else asks for anything."""
    answered = 0
    end = asyncio.get_running_loop().time() + seconds

    async def one(number: int) -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        rng = random.Random(number)
        while asyncio.get_running_loop().time() < end:
            writer.write(_miss(rng))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
            answered += head.startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()

    await asyncio.gather(*(one(number) for number in range(16)))
    return answered / seconds


async def _flood(port: int, rate_per_s: float, seconds: float) -> Outcome:
    """Misses in an open loop, each of another viewer nobody knows."""
    rng = random.Random(0)
    requests = [_miss(rng) for _ in range(int(rate_per_s * seconds) + 1)]
    return await drive(port, requests, rate_per_s=rate_per_s, seconds=seconds, connections=_FLOOD_CONNECTIONS)


def _miss(rng: random.Random) -> bytes:
    return b"GET /v1/feeds/x%d?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n" % rng.getrandbits(60)


def _rss(peer: Peer) -> float:
    megabytes: float = psutil.Process(peer.pid).memory_info().rss / 1e6
    return round(megabytes, 1)


def run(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Start a server on the first core and be hostile from the last one. Raises RuntimeError, OSError."""
    import uvloop

    os.sched_setaffinity(0, {LOAD_CPU})
    allow_connections(plan.half_open + plan.slow + _FLOOD_CONNECTIONS)
    with ExitStack() as stack:
        peer = stack.enter_context(forefeed(plan.viewers, 500, True, 1))
        tell(f"{plan.rate_per_s:,.0f} right requests a second, alone and beside nuisances")
        figures = uvloop.run(measure(peer, plan))
        tell(f"{plan.odd:,} odd requests, for {plan.odd_seconds:g} s at most")
        width = len(str(plan.viewers - 1))
        names = [f"v{n}" for n in range(plan.viewers) if len(str(n)) == width][:1_000]
        began = time.monotonic()
        findings = send_odd_requests(peer.port, names, plan.odd, 1, plan.odd_seconds, tell)
        took_s = time.monotonic() - began
        with urlopen(f"http://127.0.0.1:{peer.port}/readyz", timeout=60) as response:
            ready = response.status == 200
        return {
            **figures,
            "odd_requests": {
                "answered_or_refused": findings.sent,
                "conversations": findings.conversations,
                "seconds": round(took_s, 1),
                "statuses": {str(status): count for status, count in sorted(findings.statuses.items())},
                "wrong": findings.wrong,
                "server_ready_afterwards": ready,
                "rss_mb": _rss(peer),
            },
        }
