"""A real server on a free port with uvloop, over real stores, with clocks that the test moves by hand."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import uvloop
from aiohttp import web
from yarl import URL

from cacheserver.app import ORIGIN, SERVICES, make_app
from cacheserver.origin import Origin
from cacheserver.residency import Residency
from cacheserver.server import Listening, serve
from cacheserver.services import Services
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from feedgen.feed.record import Bulk
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import MemoryFeedStore
from tests.cacheserver.doubles import NOW, Hand, HandGenerator, HandOlder, NoLog, bulk


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def ids(self) -> list[str]:
        return [item["item_id"] for item in self.json["items"]]


@dataclass
class Rig:
    """Everything a test can reach."""

    settings: Settings
    clock: Hand
    monotonic: Hand
    residency: Residency
    removals: RemovalIndex
    store: MemoryFeedStore
    log: EventLog | NoLog
    generator: HandGenerator | None
    older: HandOlder | None
    app: web.Application
    listening: Listening
    http: aiohttp.ClientSession

    @property
    def services(self) -> Services:
        return self.app[SERVICES]

    @property
    def origin(self) -> Origin:
        return self.app[ORIGIN]

    async def call(self, method: str, path: str, **kwargs: Any) -> Answer:
        url = URL(self.listening.url + path, encoded=True)
        async with self.http.request(method, url, **kwargs) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def feed(self, viewer: str, **query: str | int) -> Answer:
        return await self.call("GET", f"/v1/feeds/{viewer}?" + "&".join(f"{k}={v}" for k, v in query.items()))

    async def put(self, viewer: str, ids: Iterable[str], watermark: int = 10, made: float = NOW) -> Bulk:
        made_bulk = bulk(ids, watermark, made)
        assert await self.store.put_many([(viewer, made_bulk)]) == [True]
        return made_bulk

    async def put_trending(self, ids: Iterable[str], watermark: int = 10, made: float = NOW) -> Bulk:
        return await self.put(TRENDING_KEY, ids, watermark, made)

    async def walk(self, viewer: str, limit: int, between: Callable[[], Awaitable[None]] | None = None) -> list[str]:
        """Every id that following Link gives, from the top."""
        path: str | None = f"/v1/feeds/{viewer}?limit={limit}"
        ids: list[str] = []
        while path is not None:
            answer = await self.get(path)
            assert answer.status == 200, answer.body
            ids += answer.ids
            link = answer.headers.get("Link")
            assert (link is None) == (answer.json["next"] is None)
            path = None if link is None else link[1 : link.index(">")]
            if between is not None:
                await between()
        return ids


class RawClient:
    """A connection to which a test writes the bytes it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await asyncio.sleep(0)

    async def answer_or_silence(self) -> bytes:
        """What comes until the server falls silent: a torn request is never answered."""
        answer = b""
        with suppress(TimeoutError, ConnectionResetError):
            while data := await asyncio.wait_for(self._reader.read(65_536), 0.005 if answer else 0.2):
                answer += data
        return answer

    async def until_blank_line(self) -> bytes:
        async with asyncio.timeout(5):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        async with asyncio.timeout(5):
            return await self._reader.read()

    def abort(self) -> None:
        self._writer.transport.abort()


Start = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(
            *,
            settings: Settings | None = None,
            generator: HandGenerator | None = None,
            older: HandOlder | None = None,
            **more: Any,
        ) -> Rig:
            settings = settings or Settings()
            clock, monotonic = Hand(NOW), Hand(1_000.0)
            log = more.pop("log", None) or NoLog()
            if log is EventLog:
                log = await stack.enter_async_context(await EventLog.open(settings.log, tmp_path))
            removals = RemovalIndex(settings.state.removals_kept)
            residency = Residency(settings, monotonic, removals)
            store = more.pop("store", None) or MemoryFeedStore()
            services = Services(
                settings=settings,
                clock=clock,
                monotonic=monotonic,
                residency=residency,
                store=store,
                log=log,
                generator=generator,
                older=older,
                **more,
            )
            app = make_app(services)
            listening = await serve(app, settings, "127.0.0.1", 0)
            stack.push_async_callback(listening.stop)
            http = await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
            )
            return Rig(
                settings, clock, monotonic, residency, removals, store, log, generator, older, app, listening, http
            )

        yield begin


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a megabyte, which others may enter as well."""
    folder = Path(tempfile.mkdtemp(prefix="forefeed-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if (mounted := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def generator() -> HandGenerator:
    return HandGenerator()


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[[Rig], Awaitable[RawClient]]]:
    """Connections that write raw bytes; closed at the end."""
    clients: list[RawClient] = []

    async def connect(rig: Rig) -> RawClient:
        client = RawClient(*await asyncio.open_connection(rig.listening.host, rig.listening.port))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.abort()
