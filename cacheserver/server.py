"""Listening, and stopping without cutting anyone off."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import uvloop
from aiohttp import web

from cacheserver.app import HANDLERS
from cacheserver.problems import Quiet
from feedgen.config import Settings
from feedgen.errors import ForefeedError

_T = TypeVar("_T")

KEEPALIVE_S: Final = 75.0
"""Real seconds from one answer to the end of the next request's headers. aiohttp's own hour would let anyone who sends
half a request line hold a connection that long; it has no other deadline on headers."""

BACKLOG: Final = 4_096
"""Connections that may wait to be accepted. With aiohttp's 128, of 1,000 clients that connect at once some wait for
seconds until their SYN is sent again."""


class Listening:
    """A server that takes requests at `host`:`port` until `stop`."""

    def __init__(self, runner: web.AppRunner, app: web.Application, host: str, port: int) -> None:
        self._runner = runner
        self._app = app
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Where a client finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def stop(self) -> None:
        """Take no new connections, finish what is in flight (at most `server.shutdown_s`), end every task."""
        self._app[HANDLERS].draining = True
        await self._runner.cleanup()


async def serve(app: web.Application, settings: Settings, host: str, port: int) -> Listening:
    """Listen at `host`:`port` (0: a free one). Raises ForefeedError in one line if that cannot be had."""
    server = settings.server
    logger = logging.getLogger("cacheserver.http")
    if not any(isinstance(known, Quiet) for known in logger.filters):
        logger.addFilter(Quiet())
    runner = web.AppRunner(
        app,
        access_log=None,  # 25–30 % of a hot request's time
        logger=logger,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=server.header_max_bytes,
        max_field_size=server.header_max_bytes,
        shutdown_timeout=server.shutdown_s,
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise _cannot_listen(error, host, port) from None
    return Listening(runner, app, host, runner.addresses[0][1])


def need_port(host: str, port: int) -> None:
    """Raise ForefeedError if the port cannot be had, before long work is done for nothing."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise _cannot_listen(error, host, port) from None


def _cannot_listen(error: OSError, host: str, port: int) -> ForefeedError:
    if error.errno == errno.EADDRINUSE:
        return ForefeedError(f"port {port} on {host} is in use; choose another one with --port (0: any)")
    return ForefeedError(f"cannot listen on {host} port {port} (--host, --port): {error.strerror or error}")


async def until_stopped() -> None:
    """Until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` on uvloop; what it returns. Ctrl-C cancels it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
