"""Listening, and stopping without cutting anyone off."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import uvloop
from aiohttp import web

from cacheserver.app import HANDLERS, LANE, METRICS, SERVICES
from cacheserver.connections import Connections
from cacheserver.problems import Quiet
from feedgen.config import Settings
from feedgen.errors import ForefeedError

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_OTHER_FILES: Final = 256
"""Files open besides the clients' connections: databases, the log, the loop's own."""

BACKLOG: Final = 4_096
"""Connections that may wait to be accepted. With aiohttp's 128, of 1,000 clients that connect at once some wait for
seconds until their SYN is sent again."""


class Listening:
    """A server that takes requests at `host`:`port` until `stop`."""

    def __init__(
        self,
        runner: web.AppRunner,
        app: web.Application,
        server: asyncio.Server,
        connections: Connections,
        host: str,
    ) -> None:
        self._runner = runner
        self._app = app
        self._server = server
        self.connections = connections
        self.host = host
        self.port: int = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where a client finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def stop(self) -> None:
        """Take no new connections, finish what is in flight (at most `server.shutdown_s`), end every task."""
        self._app[HANDLERS].draining = True
        self._server.close()
        await asyncio.sleep(0)  # what has come in is begun before idle connections are closed
        self.connections.stop()
        await self._runner.cleanup()
        await self.connections.end()


async def serve(app: web.Application, settings: Settings, host: str, port: int) -> Listening:
    """Listen at `host`:`port` (0: a free one). Raises ForefeedError in one line if that cannot be had."""
    server = settings.server
    allow_connections(server.connections_max)
    logger = logging.getLogger("cacheserver.http")
    if not any(isinstance(known, Quiet) for known in logger.filters):
        logger.addFilter(Quiet())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=server.shutdown_s)
    await runner.setup()
    assert runner.server is not None
    connections = Connections(server, app[SERVICES].monotonic, runner.server, app.get(LANE), app[METRICS])
    try:
        listening = await asyncio.get_running_loop().create_server(connections, host, port, backlog=BACKLOG)
    except OSError as error:
        await runner.cleanup()
        raise _cannot_listen(error, host, port) from None
    connections.begin()
    return Listening(runner, app, listening, connections, host)


def allow_connections(count: int) -> None:
    """Raise this process' limit on open files, so that `count` clients fit; one line in the log if they cannot."""
    wanted = count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        if most < wanted:
            _log.warning("%d open files are possible here, too few for server.connections_max (%d)", most, count)


def log_to_stderr() -> None:
    """What goes wrong while serving, on stderr: time (UTC), how bad, where, what."""
    logging.basicConfig(format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    for handler in logging.getLogger().handlers:
        if handler.formatter is not None:
            handler.formatter.converter = time.gmtime


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


def set_aside() -> None:
    """Spare the garbage collector what is in memory by now. O(objects), once.

    A full round over 100,000 feeds took 0.4 s on a busy machine (measured), in which nobody is answered, and found
    nothing: what leaves memory is freed at once, for its circles are opened when it leaves.
    """
    gc.collect()
    gc.freeze()


async def until_stopped() -> None:
    """Until SIGINT or SIGTERM. What was loaded before is set aside."""
    set_aside()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` on uvloop; what it returns. Ctrl-C cancels it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
