"""What a connection may do, hold and wait for; on both paths alike."""

import asyncio
import json
import resource
from collections.abc import Callable

import pytest

from cacheserver.app import METRICS
from cacheserver.server import allow_connections
from feedgen.config import Server, Settings
from tests.cacheserver.doubles import until

PAGE = b"GET /v1/feeds/u1?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

both_paths = pytest.mark.parametrize("fast_lane", [True, False], ids=["fast lane", "ordinary path"])


def quick(fast_lane: bool = True, **server: float) -> Settings:
    """Deadlines in tenths of seconds, by the clock that the test moves."""
    return Settings(server=Server(fast_lane=fast_lane, header_s=0.4, idle_s=4.0, **server))  # type: ignore[arg-type]


async def ready(start: Callable, fast_lane: bool = True, **server: float):
    rig = await start(settings=quick(fast_lane, **server))
    await rig.put("u1", [f"p{n}" for n in range(30)])
    await rig.feed("u1")
    return rig


def problem_in(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    return json.loads(body)


TWO_WAYS = {
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4",
    "the same length twice": b"Content-Length: 3\r\nContent-Length: 3",
    "a list of lengths": b"Content-Length: 3, 3",
    "a signed length": b"Content-Length: +3",
    "a length and a coding": b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    "a coding and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    "white space before the colon": b"Transfer-Encoding : chunked",
    "a coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "an unknown coding": b"Transfer-Encoding: xchunked",
    "a coding that is not the last": b"Transfer-Encoding: chunked, identity",
    "a folded line": b"X: a\r\n b",
    "a folded coding": b"Transfer-Encoding:\r\n chunked",
    "a bare line feed": b"X: a\nTransfer-Encoding: chunked",
    "a bare carriage return": b"X: a\rTransfer-Encoding: chunked",
    "a NUL": b"X: a\0b",
    "a nameless line": b": x",
    "no colon": b"GET /smuggled HTTP/1.1",
    "too many fields": b"\r\n".join(b"X: %d" % n for n in range(101)),
}


@both_paths
@pytest.mark.parametrize("case", TWO_WAYS)
async def test_what_could_be_read_in_two_ways_is_refused(start, make_client, caplog, fast_lane, case):
    rig = await ready(start, fast_lane)
    client = await make_client(rig)
    await client.send(b"POST /v1/feeds:batchGet HTTP/1.1\r\nHost: x\r\n" + TWO_WAYS[case] + b"\r\n\r\nabc" + HEALTH)
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, "what came behind it was taken for a request"
    assert problem_in(answer)["status"] == 400
    assert caplog.records == []


@pytest.mark.parametrize(
    "line",
    [b"GET /healthz", b"GET /healthz HTTP/2.0", b"GET  /healthz HTTP/1.1", b"\x16\x03\x01", b"GET /\x7f HTTP/1.1"],
)
async def test_a_line_that_is_none_is_refused(start, make_client, line):
    rig = await ready(start)
    client = await make_client(rig)
    await client.send(line + b"\r\nHost: x\r\n\r\n")
    assert problem_in(await client.rest())["status"] == 400


async def test_a_bare_line_feed_is_refused_before_the_end_of_the_headers(start, make_client):
    client = await make_client(await ready(start))
    await client.send(b"GET /healthz HTTP/1.1\nHost: x\n\n")
    assert problem_in(await client.rest())["status"] == 400


async def test_a_request_behind_a_chunked_body_is_never_read(start, make_client):
    """Where a chunked body ends is aiohttp's to say, so the connection ends with its answer."""
    client = await make_client(await ready(start))
    body = b"2\r\n{}\r\n0\r\n\r\n"
    head = b"POST /v1/feeds:batchGet HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + body + HEALTH)
    answer = await client.rest()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


async def test_empty_lines_before_a_request_do_not_count(start, make_client):
    client = await make_client(await ready(start))
    await client.send(b"\r\n\r\n" + PAGE + b"\r\n" + HEALTH)
    assert b" 200 OK" in await client.until_blank_line()


@both_paths
@pytest.mark.parametrize("sent", [b"G", PAGE[:-2], PAGE + PAGE[:-2], HEALTH + b"GET "])
async def test_half_a_request_is_waited_for_so_long_and_no_longer(start, make_client, fast_lane, sent):
    rig = await ready(start, fast_lane)
    client = await make_client(rig)
    await client.send(sent)
    await asyncio.sleep(0.3)
    assert len(rig.listening.connections) == 2
    rig.monotonic.now += 0.5
    answer = await client.rest()
    assert problem_in(b"HTTP/1.1 4" + answer.rpartition(b"HTTP/1.1 4")[2])["status"] == 408


async def test_who_sends_a_byte_now_and_then_gains_no_time(start, make_client):
    rig = await ready(start)
    client = await make_client(rig)
    for byte in PAGE[:20]:
        await client.send(bytes((byte,)))
        await asyncio.sleep(0.02)
        rig.monotonic.now += 0.03
    assert problem_in(await client.rest())["status"] == 408


@both_paths
async def test_an_idle_connection_is_closed(start, make_client, fast_lane):
    rig = await ready(start, fast_lane)
    used, silent = await make_client(rig), await make_client(rig)
    await used.send(PAGE)
    await used.until_blank_line()
    rig.monotonic.now += 3.0
    await used.send(PAGE)
    await used.until_blank_line()
    rig.monotonic.now += 3.0
    assert await silent.rest() == b""
    rig.monotonic.now += 3.0
    assert (await used.rest()).endswith(b"}"), "the body of the last page, and the end"


async def test_past_the_bound_of_connections_the_next_is_told_so(start, make_client):
    rig = await ready(start, connections_max=3)
    await rig.http.close()
    await until(lambda: len(rig.listening.connections) == 0)
    clients = [await make_client(rig) for _ in range(3)]
    await until(lambda: len(rig.listening.connections) == 3)
    refused = await make_client(rig)
    answer = await refused.rest()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in answer
    assert problem_in(answer)["status"] == 503
    clients[0].abort()
    await until(lambda: len(rig.listening.connections) == 2)
    welcome = await make_client(rig)
    await welcome.send(PAGE)
    assert b" 200 OK" in await welcome.until_blank_line()


@both_paths
async def test_who_does_not_read_is_not_answered_further_and_then_cut_off(start, fast_lane):
    """Ten thousand pages asked for at once and not read: neither they nor their requests pile up."""
    rig = await ready(start, fast_lane)
    asked = 20_000
    _, writer = await asyncio.open_connection(rig.listening.host, rig.listening.port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(PAGE * asked)
    await until(lambda: any(one.waits_for_its_reader for one in rig.listening.connections), 60)
    (connection,) = [one for one in rig.listening.connections if one.waits_for_its_reader]
    assert connection.held_bytes <= 65_536 + 262_144, "backlog_bytes, and one read of the socket"
    assert connection.unsent_bytes <= 65_536 + 131_072, "write_buffer_bytes, and one burst of the lane"
    rig.app[METRICS].text()
    assert 100 < rig.origin.counts["hit"] < asked / 2
    rig.monotonic.now += 5.0
    await until(lambda: connection not in set(rig.listening.connections))
    writer.transport.abort()
    await asyncio.sleep(0)


@both_paths
async def test_who_reads_late_gets_every_answer_in_order(start, fast_lane):
    rig = await ready(start, fast_lane)
    asked = 3_000
    reader, writer = await asyncio.open_connection(rig.listening.host, rig.listening.port)
    for n in range(asked):
        writer.write(b"GET /v1/feeds/u1?limit=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (1 + n % 20))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(60):
        for n in range(asked):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
            assert len(json.loads(await reader.readexactly(length))["items"]) == 1 + n % 20
    writer.transport.abort()
    await asyncio.sleep(0)


@both_paths
async def test_a_stop_closes_who_is_idle_and_finishes_who_is_served(start, generator, make_client, fast_lane):
    settings = Settings(server=Server(fast_lane=fast_lane, generate_deadline_s=30.0))
    rig = await start(settings=settings, generator=generator)
    await rig.put("u1", ["p1", "p2"])
    await rig.feed("u1")
    generator.gate.clear()
    idle, half, served = [await make_client(rig) for _ in range(3)]
    await half.send(PAGE[:-2])
    await served.send(b"GET /v1/feeds/new HTTP/1.1\r\nHost: x\r\n\r\n" + PAGE)
    await until(lambda: rig.origin.waiting == 1)
    stopping = asyncio.create_task(rig.listening.stop())
    assert await idle.rest() == b""
    assert await half.rest() == b""
    assert not stopping.done()
    generator.gate.set()
    answer = await served.rest()
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    await stopping
    assert len(rig.listening.connections) == 0


class _Broken:
    async def explain(self, viewer, item=None):
        raise ZeroDivisionError


ANSWERS = {
    "a page": (200, PAGE),
    "a page that is there already": (304, PAGE[:-2] + b"If-None-Match: *\r\n\r\n"),
    "a miss": (200, b"GET /v1/feeds/nobody HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no body": (200, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an ask that is none": (400, b"GET /v1/feeds/u1?limit=x HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no such path": (404, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no such method": (405, b"PUT /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a fault of ours": (500, b"GET /v1/feeds/u1/explain HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a line that is none": (400, b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    "what aiohttp's parser refuses": (400, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"x" * 20_000)),
    "an expectation": (417, PAGE[:-2] + b"Expect: x\r\n\r\n"),
    "a body too large": (
        413,
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n",
    ),
}


@both_paths
@pytest.mark.parametrize("case", ANSWERS)
async def test_every_answer_names_the_product_and_no_version(start, make_client, fast_lane, case):
    rig = await start(settings=quick(fast_lane), explainer=_Broken())
    await rig.put("u1", ["p1", "p2"])
    await rig.feed("u1")
    client, (status, sent) = await make_client(rig), ANSWERS[case]
    await client.send(sent)
    head = await client.until_blank_line()
    assert head.partition(b" ")[2].startswith(b"%d " % status)
    assert head.count(b"\r\nServer: ") == head.count(b"\r\nServer: forefeed\r\n") == 1


async def test_so_does_the_refusal_of_a_connection_too_many(start, make_client):
    rig = await start(settings=quick(connections_max=1))
    await make_client(rig)
    await until(lambda: len(rig.listening.connections) == 1)
    head = await (await make_client(rig)).until_blank_line()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nServer: forefeed\r\n" in head


def test_the_limit_on_open_files_is_raised_as_far_as_it_goes(caplog):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, before[1]))
        allow_connections(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 556
        assert caplog.records == []
        allow_connections(1 << 40)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
        assert "too few for server.connections_max" in caplog.text
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_an_expectation_that_cannot_be_met_is_417_whatever_the_method_and_its_bytes(start, make_client):
    rig = await ready(start)
    for sent in (b"POST /v1/feeds/u1 HTTP/1.1\r\nHost: x\r\nExpect: \x8f00", PAGE[:-2] + b"Expect: a miracle"):
        client = await make_client(rig)
        await client.send(sent + b"\r\n\r\n")
        assert problem_in(await client.rest())["status"] == 417
