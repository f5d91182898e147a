"""All connections of a server: how many there may be, what each may hold and for how long, and their end."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from aiohttp import web

from cacheserver.connection import Connection
from cacheserver.fastlane import Lane
from cacheserver.metrics import UNMATCHED, Metrics
from cacheserver.ordinary import Ordinary
from cacheserver.outbox import Outbox
from cacheserver.problems import Refusal, on_the_wire
from cacheserver.turnstile import Turnstile
from feedgen.config import Server

_log = logging.getLogger(__name__)

_SLICE: Final = 32
"""Connections looked at before others have a turn: to refuse 5,000 at once held everybody up for 0.25 s."""


class Connections:
    """Makes a protocol for each client that connects. `lane`: None when every request takes the ordinary path."""

    def __init__(
        self,
        settings: Server,
        monotonic: Callable[[], float],
        manager: web.Server,
        lane: Lane | None,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.now = monotonic
        self.lane = lane
        self._manager = manager
        self._refused = metrics.of(UNMATCHED)
        self.turnstile = Turnstile()
        self.outbox = Outbox()
        if lane is not None:
            lane.in_line = self.turnstile.__len__
        self._open: set[Connection] = set()
        self._sweep: asyncio.Task[None] | None = None

    def __call__(self) -> Connection:
        """A protocol for a client."""
        return Connection(self)

    def __iter__(self) -> Iterator[Connection]:
        """Those that are open, in no order."""
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def begin(self) -> None:
        """Watch the deadlines, until `end`."""
        self._sweep = asyncio.create_task(self._watch(), name="deadlines of connections")

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for another one; it is watched until `forget`."""
        if len(self._open) >= self.settings.connections_max:
            return False
        self._open.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        self._open.discard(connection)

    def handler_for(self, connection: Connection) -> Ordinary:
        """The ordinary path of one connection."""
        bytes_max = self.settings.header_max_bytes
        return Ordinary(
            connection,
            self._manager,
            loop=asyncio.get_running_loop(),
            logger=logging.getLogger("cacheserver.http"),
            access_log=None,  # 25–30 % of a hot request's time
            keepalive_timeout=1e9,  # deadlines are kept here
            max_line_size=bytes_max,
            max_field_size=bytes_max,
        )

    def refusal(self, error: Refusal) -> bytes:
        """The last answer on a connection."""
        self._refused.observe(error.status, 0.0)
        return on_the_wire(error)

    def stop(self) -> None:
        """Take no further request on any connection; finish those under way."""
        for connection in tuple(self._open):
            connection.stop()

    async def end(self) -> None:
        """Cut what is still open."""
        for connection in tuple(self._open):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweep

    async def _watch(self) -> None:
        pause_s = min(1.0, self.settings.header_s / 4, self.settings.idle_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            now = self.now()
            for number, connection in enumerate(tuple(self._open)):
                try:
                    connection.overdue(now)
                except Exception:
                    _log.exception("a connection could not be closed")
                    connection.abort()
                if number % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)
