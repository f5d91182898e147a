"""The fast lane answers what the ordinary path would have answered, and nothing that it would have read otherwise."""

import asyncio
import contextlib
import gc
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import uvloop
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, example, given, target
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cacheserver.app import LANE, METRICS, make_app
from cacheserver.fastlane import Lane
from cacheserver.negotiation import unchanged, wanted
from cacheserver.query import ask_of, viewer_of
from cacheserver.residency import Residency
from cacheserver.server import Listening, serve
from cacheserver.services import Services
from feedgen.config import Cache, Server, Settings
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.roles import TRENDING_KEY
from feedgen.feed.store import MemoryFeedStore
from tests.cacheserver.doubles import NOW, Hand, HandOlder, NoLog, bulk, event, posts, until
from tests.cacheserver.wire_requests import gets, streams

PAGES = [f"p{n}" for n in range(1, 7)]
_ASIDE = re.compile(rb"(?:Date|Server): [^\r]*\r\n")


@dataclass
class House:
    """A server's inside: five residents, one of them stale, one with an older generation that is being paged."""

    services: Services
    app: web.Application
    removals: RemovalIndex

    @property
    def lane(self) -> Lane:
        return self.app[LANE]


def house(fast_lane: bool = True, **cache: Any) -> House:
    settings = Settings(server=Server(fast_lane=fast_lane, header_s=0.3), cache=Cache(**cache))
    removals = RemovalIndex(1_000)
    residency = Residency(settings, time.monotonic, removals)
    for viewer in ("u1", "u2", "x.y~z", "5", "a b", TRENDING_KEY):
        residency.admit(viewer, FeedMap(bulk(PAGES)))
    residency.admit("u3", FeedMap(bulk(PAGES, made=NOW - 3_600)))
    older = residency.read("u2")
    assert older is not None
    residency.paged(older, older.current)
    residency.replaced("u2", bulk([*PAGES[3:], "n1", "n2"], watermark=11))
    services = Services(
        settings=settings,
        clock=Hand(NOW + 17.5),
        monotonic=time.monotonic,
        residency=residency,
        store=MemoryFeedStore(),
        log=NoLog(),  # type: ignore[arg-type]
        older=HandOlder(posts(["o1", "o2"], NOW - 1_000)),
    )
    return House(services, make_app(services), removals)


# What the lane accepts, aiohttp reads in the same way.


@contextlib.contextmanager
def a_loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def parsed_by_aiohttp(data: bytes, loop: asyncio.AbstractEventLoop) -> web.Request:
    """The one request that `data` is."""
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    messages, upgraded, tail = parser.feed_data(data)
    assert (len(messages), upgraded, tail) == (1, False, b"")
    message, payload = messages[0]
    assert payload.is_eof()
    assert (message.chunked, message.upgrade, message.should_close) == (False, False, False)
    return make_mocked_request(message.method, message.path, headers=message.headers)


@hypothesis_settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=gets())
@example(data=b"GET /v1/feeds/u1?limit=2 HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n")
@example(data=b"GET /v1/feeds/u1 HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n")
@example(data=b"GET /v1/feeds/x.y~z?after=%70%32 HTTP/1.1\r\nHost: x\r\nAccept: application/msgpack\r\n\r\n")
def test_whatever_the_lane_accepts_aiohttp_reads_the_same(lane_and_loop, data):
    inside, runner = lane_and_loop
    answer, consumed = inside.lane.answer(data, 0)
    target(float(bool(answer)))
    alone = inside.lane.page(data)  # the shorter way, for what is whole, alone, and known by now
    assert alone is None or _ASIDE.sub(b"", alone) == _ASIDE.sub(b"", answer)
    if not answer:
        assert consumed == 0
        return
    assert consumed == len(data)
    request = parsed_by_aiohttp(data, runner.get_loop())
    assert request.method == "GET"
    viewer, ask, media_type = viewer_of(request), ask_of(request, inside.services.settings.server), wanted(request)
    head, _, body = answer.partition(b"\r\n\r\n")
    said = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    status = int(head[9:12])
    assert status == (304 if unchanged(request, said["ETag"]) else 200)
    if status == 304:
        assert body == b""
        return
    assert said["Content-Type"] == media_type
    page = (msgspec.json if media_type == "application/json" else msgspec.msgpack).decode(body)
    shelf = inside.services.residency.read(viewer)
    assert shelf is not None
    assert page["user_id"] == viewer
    feed = next(feed for feed in shelf.feeds if str(feed.generation) == page["generation"])
    assert ask.generation in (None, feed.generation)
    assert [item["item_id"] for item in page["items"]] == [
        item.item_id for item in feed.page(ask.after, ask.limit).items
    ]
    assert ("&limit=" in said.get("Link", "")) == (ask.sized and "Link" in said)


@pytest.fixture(scope="module")
def lane_and_loop() -> Iterator[tuple[House, asyncio.Runner]]:
    with a_loop() as runner:
        yield house(), runner


# Both paths answer the same bytes.


class Taker(asyncio.Protocol):
    """Keeps what comes, also what came before the connection broke."""

    def __init__(self) -> None:
        self.answer = b""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def exchange(listening: Listening, pieces: list[bytes]) -> bytes:
    """Everything that is answered to `pieces`, sent one by one, after which nothing more is sent."""
    transport, taker = await asyncio.get_running_loop().create_connection(Taker, listening.host, listening.port)
    with contextlib.suppress(RuntimeError):  # the other side has closed already
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.001)  # so that the server sees it by itself
            transport.write(piece)
        transport.write_eof()
    try:
        async with asyncio.timeout(10):
            await taker.closed
    finally:
        transport.abort()
    answers = len(re.findall(rb"\r\nDate: ", taker.answer))
    assert re.findall(rb"\r\nServer: ([^\r]*)\r\n", taker.answer) == [b"forefeed"] * answers
    return _ASIDE.sub(b"", taker.answer)


@dataclass
class Twins:
    """The same house twice, with the lane and without, and the loop both live in."""

    run: Callable[[Any], Any]
    fast: Listening
    plain: Listening
    lane: Lane

    def both(self, pieces: list[bytes]) -> tuple[bytes, bytes]:
        async def ask() -> tuple[bytes, bytes]:
            fast, plain = await asyncio.gather(exchange(self.fast, pieces), exchange(self.plain, pieces))
            return fast, plain

        answers: tuple[bytes, bytes] = self.run(ask())
        return answers


@contextlib.asynccontextmanager
async def twin_servers() -> AsyncIterator[tuple[Listening, Listening, Lane]]:
    houses = [house(fast_lane) for fast_lane in (True, False)]
    servers = [await serve(inside.app, inside.services.settings, "127.0.0.1", 0) for inside in houses]
    yield servers[0], servers[1], houses[0].lane
    for server in servers:
        await server.stop()


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    with a_loop() as runner:
        servers = twin_servers()
        fast, plain, lane = runner.run(servers.__aenter__())
        yield Twins(runner.run, fast, plain, lane)
        runner.run(servers.__aexit__(None, None, None))


@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(pieces=streams())
def test_both_paths_answer_byte_for_byte_the_same(twins, pieces):
    fast, plain = twins.both(pieces)
    assert fast == plain
    assert not re.search(rb"^HTTP/1\.[01] 5", fast, re.MULTILINE)


ENTRIES = b'{"requests":[{"user_id":"5"},{"user_id":"u1"}]}'
PIPELINED = b"".join(
    (
        b"GET /v1/feeds/u1?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/feeds/stranger?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/feeds:batchGet HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Content-Length: %d\r\n\r\n%s" % (len(ENTRIES), ENTRIES),
        b"GET /v1/feeds/5?limit=1 HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /v1/feeds/u2?limit=1&after=p1 HTTP/1.1\r\nHost: x\r\n\r\n",
    )
)


def test_a_stream_cut_at_every_byte_is_answered_the_same(twins):
    whole = twins.both([PIPELINED])[0]
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", whole)] == [200, 200, 200, 304, 415, 200]
    for cut in range(1, len(PIPELINED)):
        fast, plain = twins.both([PIPELINED[:cut], PIPELINED[cut:]])
        assert fast == plain == whole, PIPELINED[:cut]


# What an access does besides answering.


def get(inside: House, target: str, fields: str = "") -> bytes:
    answer, _ = inside.lane.answer(f"GET /v1/feeds/{target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode(), 0)
    return answer


def ids(answer: bytes) -> list[str]:
    return [item["item_id"] for item in msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["items"]]


ASKED = st.sampled_from(
    [
        "u1?limit=2",
        "u1?limit=3&after=p2",
        "x.y~z",
        "5?limit=1",
        "u2?limit=2",
        "u3",
        "stranger",
        "u1?limit=0",
        "HTTP/1.1",
    ]
)
TAILS = st.sampled_from(["", "Accept: application/msgpack\r\n", "Content-Length: 0\r\n", "If-None-Match: *\r\n"])


@given(asked=st.lists(st.tuples(ASKED, TAILS), max_size=40), rest=st.sampled_from([b"", b"GET /v1/feeds/u1", b"\r\n"]))
def test_pipelined_requests_are_answered_as_they_are_one_by_one(asked, rest):
    def answers(inside: House, data: bytes) -> tuple[bytes, int]:
        said, at = b"", 0
        while (found := inside.lane.answer(data, at))[0]:
            said, at = said + found[0], found[1]
        return _ASIDE.sub(b"", said), at

    requests = [f"GET /v1/feeds/{target} HTTP/1.1\r\nHost: x\r\n{tail}\r\n".encode() for target, tail in asked]
    one_by_one, together = house(), house()
    for _ in range(2):  # encoded, then kept
        said = b""
        taken = 0
        for request in requests:
            answer, at = answers(one_by_one, request)
            if not at:
                break
            said, taken = said + answer, taken + at
        assert answers(together, b"".join(requests) + rest) == (said, taken)
    for inside in (one_by_one, together):
        inside.lane.count()
    assert list(one_by_one.services.residency) == list(together.services.residency), "the same are the most recent"
    assert (
        one_by_one.app[METRICS].of("/v1/feeds/{user_id}").statuses
        == together.app[METRICS].of("/v1/feeds/{user_id}").statuses
    )


def test_an_access_makes_recent_and_opens_the_session():
    inside = house()
    shelf = inside.services.residency.read("u1")
    assert shelf is not None
    inside.services.residency.read("5")
    before = time.monotonic()
    assert get(inside, "u1?limit=2")
    assert list(inside.services.residency)[-1] == "u1"
    assert shelf.read_at >= before
    assert shelf.paged_at == shelf.read_at
    assert shelf.end == "p2"


def test_what_was_removed_is_not_in_a_page_that_was_encoded_before():
    inside = house()
    assert ids(get(inside, "u1?limit=3")) == ["p1", "p2", "p3"]
    assert ids(get(inside, "5?limit=2")) == ["p1", "p2"]
    shelf = inside.services.residency.read("u1")
    assert shelf is not None
    inside.removals.fold(12, event("delete", "a1", "p2"))
    inside.removals.fold(13, event("mute", "5", "a0"))
    inside.removals.advance(13)
    assert ids(get(inside, "u1?limit=3")) == ["p1", "p3", "p4"]
    assert ids(get(inside, "5?limit=2")) == ["p3", "p5"]
    inside.services.residency.check()


def test_a_removal_that_does_not_concern_a_feed_leaves_its_pages_encoded():
    inside = house()
    assert get(inside, "u1?limit=3")
    shelf = inside.services.residency.read("u1")
    assert shelf is not None
    (kept,) = shelf.pages
    inside.removals.fold(12, event("delete", "a1", "elsewhere"))
    inside.removals.advance(12)
    assert get(inside, "u1?limit=3")
    assert shelf.pages == [kept]


def test_a_new_generation_is_served_at_once_and_the_old_one_to_who_is_in_it():
    inside = house()
    assert ids(get(inside, "u1?limit=2")) == ["p1", "p2"]
    inside.services.residency.replaced("u1", bulk(["n1", "p1", "p3"], watermark=12))
    assert ids(get(inside, "u1?limit=2")) == ["n1", "p1"]
    old = get(inside, "u1?limit=2&after=p2&generation=10.1700000000000")
    assert ids(old) == ["p3", "p4"]
    assert b"\r\nFeed-New-Items: 1\r\n" in old
    assert get(inside, "u1?limit=2&after=p2") == b"", "which generation that goes on in is the ordinary path's to say"


@pytest.mark.parametrize(
    "target", ["u3", "stranger", "u1?after=p6", "u1?after=nowhere", "u1?limit=0", "u1?limit=101", "%75%31", "u1?x=1"]
)
def test_misses_stale_feeds_tails_and_oddities_are_left_to_the_ordinary_path(target):
    assert get(house(), target) == b""


def test_encoded_pages_are_part_of_the_bytes_and_bounded():
    inside = house(encoded_pages=3)
    residency = inside.services.residency
    before = residency.nbytes
    for limit in range(1, 6):
        assert get(inside, f"u1?limit={limit}")
        residency.check()
    shelf = residency.read("u1")
    assert shelf is not None
    assert [page.key for page in shelf.pages] == [b"GET /v1/feeds/u1?limit=%d" % limit for limit in (1, 2, 5)]
    assert residency.nbytes == before + shelf.pages_bytes
    residency.replaced("u1", bulk(PAGES, watermark=12))
    residency.check()
    assert shelf.pages_bytes == 0


def test_no_page_is_kept_where_none_may_be():
    inside = house(encoded_pages=0)
    assert ids(get(inside, "u1?limit=2")) == ["p1", "p2"]
    inside.services.residency.check()


def test_answers_are_counted_as_those_of_the_ordinary_path_are():
    inside = house()
    etag = re.search(rb'ETag: ("[^"]*")', get(inside, "u1?limit=2"))
    assert etag is not None
    for _ in range(99):
        assert get(inside, "u1?limit=2", f"If-None-Match: {etag[1].decode()}\r\n").startswith(b"HTTP/1.1 304 ")
    body = b'{"requests":[{"user_id":"u1","limit":2},{"user_id":"5","limit":2}]}'
    head = (
        f"POST /v1/feeds:batchGet HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    assert inside.lane.answer(head.encode() + b"\r\n\r\n" + body, 0)[0]
    text = inside.app[METRICS].text().decode()
    for line in (
        'forefeed_http_requests_total{route="/v1/feeds/{user_id}",status="200"} 1.0',
        'forefeed_http_requests_total{route="/v1/feeds/{user_id}",status="304"} 99.0',
        'forefeed_http_requests_total{route="/v1/feeds:batchGet",status="200"} 1.0',
        'forefeed_http_request_seconds_count{route="/v1/feeds/{user_id}"} 100.0',
        'forefeed_feed_reads_total{cache="hit"} 102.0',
    ):
        assert line in text.splitlines(), line


async def test_a_refused_miss_is_the_same_on_both_paths(start, generator):
    generator.gate.clear()
    answers = []
    for fast_lane in (True, False):
        settings = Settings(server=Server(fast_lane=fast_lane, misses_at_once=1, generate_deadline_s=0.5))
        rig = await start(settings=settings, generator=generator)
        first = asyncio.create_task(rig.feed("first"))
        await until(lambda rig=rig: rig.origin.waiting == 1)
        answers.append(await exchange(rig.listening, [b"GET /v1/feeds/u9?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n"] * 2))
        assert rig.origin.shed == 2
        first.cancel()
    assert answers[0] == answers[1]
    assert answers[0].count(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n") == 2


def test_the_bytes_counted_for_encoded_pages_are_those_they_take():
    inside = house()
    residency = inside.services.residency
    for number in range(200):
        residency.admit(f"w{number}", FeedMap(bulk([f"{number}-{n}" for n in range(60)])))
        assert get(inside, f"w{number}?limit=1&after={number}-1"), "the jump index is built"
        shelf = residency.read(f"w{number}")
        assert shelf is not None
        shelf.forget_pages()
        shelf.account()
    gc.collect()
    tracemalloc.start()
    before = sum(shelf.pages_bytes for shelf in (residency.read(viewer) for viewer in list(residency)) if shelf)
    for number in range(200):
        for after in ("", f"&after={number}-19"):
            assert get(inside, f"w{number}?limit=20{after}")
    counted = -before + sum(s.pages_bytes for s in (residency.read(viewer) for viewer in list(residency)) if s)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken <= counted <= 1.15 * taken
