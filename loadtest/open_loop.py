"""Open-loop load: requests leave at a fixed rate, answered or not, and latency counts from the intended start.

So a server that stalls is not spared the requests that would have come meanwhile. The driver's own lateness counts too;
`late_ms` says how much of it there was.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

_END = b"\r\n\r\n"
_LENGTH = b"\r\nContent-Length: "


@dataclass(frozen=True)
class Outcome:
    """Latencies in ms of those answered 200; `late_ms`: 99% of the requests left at most so long after their time.

    `refused`: those of the failed that were answered 503, 99% of them within `refused_p99_ms` (0: none was).
    """

    rate_per_s: float
    answered: int
    failed: int
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    late_ms: float
    refused: int = 0
    refused_p99_ms: float = 0.0


class _Client(asyncio.Protocol):
    """One connection; answers come in the order of the requests."""

    def __init__(self, latencies_s: list[float], refusals_s: list[float]) -> None:
        self._latencies_s = latencies_s
        self._refusals_s = refusals_s
        self._rest = b""
        self.intended: deque[float] = deque()
        self.failed = 0
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data, 0
        now = time.perf_counter()
        while (head := data.find(_END, at)) >= 0:
            length_at = data.find(_LENGTH, at, head) + len(_LENGTH)
            end = head + 4 + int(data[length_at : data.find(b"\r", length_at)])
            if end > len(data):
                break
            if data.startswith(b"HTTP/1.1 200 ", at):
                self._latencies_s.append(now - self.intended.popleft())
            else:
                took_s = now - self.intended.popleft()
                self.failed += 1
                if data.startswith(b"HTTP/1.1 503 ", at):
                    self._refusals_s.append(took_s)
            at = end
        self._rest = data[at:]
        if not self.intended and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def caught_up(self) -> None:
        """Until every request sent has its answer, or the connection is lost."""
        if self.intended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += len(self.intended)
        self.intended.clear()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def drive(
    port: int, requests: Sequence[bytes], *, rate_per_s: float, seconds: float, connections: int
) -> Outcome:
    """Send `requests` in turn at that rate, over so many connections. Raises OSError if nobody listens."""
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    refusals_s: list[float] = []
    clients: list[_Client] = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(latencies_s, refusals_s), "127.0.0.1", port)
        clients.append(client)
    late_s: list[float] = []
    began = time.perf_counter()
    total = int(rate_per_s * seconds)
    sent = 0
    while sent < total:
        now = time.perf_counter()
        due = min(total, int((now - began) * rate_per_s))
        while sent < due:
            client = clients[sent % connections]
            intended = began + sent / rate_per_s
            late_s.append(now - intended)
            client.intended.append(intended)
            client.transport.write(requests[sent % len(requests)])
            sent += 1
        await asyncio.sleep(0)
    with suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            for client in clients:
                await client.caught_up()
    failed = sum(client.failed + len(client.intended) for client in clients)
    for client in clients:
        client.intended.clear()
        client.transport.abort()
    p50, p99, p99_9 = (float(p) * 1e3 for p in np.percentile(latencies_s or [np.nan], (50, 99, 99.9)))
    late_ms = float(np.percentile(late_s, 99)) * 1e3
    refused_ms = float(np.percentile(refusals_s or [0.0], 99)) * 1e3
    return Outcome(rate_per_s, len(latencies_s), failed, p50, p99, p99_9, late_ms, len(refusals_s), refused_ms)


def report(outcome: Outcome) -> dict[str, Any]:
    """Rounded, for JSON."""
    return {name: round(value, 3) for name, value in vars(outcome).items()}
