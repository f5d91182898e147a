"""Bytes nobody meant: whatever comes in, no 5xx goes out, nothing is logged as our error, and the server lives on."""

import logging
import random
import re

import pytest

from feedgen.eventlog import EventLog
from tests.cacheserver.doubles import HandOlder, posts

STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)

METHODS = [b"GET", b"POST", b"DELETE", b"HEAD", b"OPTIONS", b"PUT", b"CONNECT", b"BREW", b"get", b"PRI", b"TRACE", b""]
PATHS = [
    b"/v1/feeds/u1", b"/v1/feeds:batchGet", b"/v1/events", b"/v1/views", b"/v1/feeds/u1/explain", b"/healthz",
    b"/readyz", b"/metrics", b"/openapi.json", b"/", b"*", b"//", b"http://x/v1/feeds/u1", b"/v1/feeds/u1/",
    b"/v1//feeds/u1", b"/v1/feeds/%00", b"/v1/feeds/..", b"/v1/feeds/%2e%2e%2f", b"x:1", b"/v1/feeds/%",
    b"/v1/feeds/%f", b"/v1/feeds/%ff", b"http://", b"http://[::1", b"http://[/v1/feeds/u1", b"/v1/feeds/[",
    b"/v1/feeds/u1#x", b"/v1/feeds/%ud800",
]  # fmt: skip
QUERIES = [
    b"", b"?", b"?limit=5", b"?limit=-1", b"?limit=%00", b"?after=p1", b"?after=%ff", b"?after=%ed%a0%80", b"?&&&",
    b"?=", b"?limit=1&limit=2", b"?generation=1.1", b"?generation=" + b"9" * 30 + b".1",
    b"?after=" + b"%F0%9F%98%80" * 40, b"?" + b"a=1&" * 500, b"?limit=1;after=2",
    b"?after=p1&generation=10.1700000000000", b"?\x80\xff", b"?after=+",
]  # fmt: skip
HEADERS = [
    b"Accept: application/msgpack", b"Accept: ;q=,/*", b"Accept: " + b"a/b," * 500, b"Accept: text/html",
    b"Accept: \xff", b"If-None-Match: *", b'If-None-Match: "', b"If-None-Match: W/",
    b"Content-Type: application/json", b"Content-Type:", b"Content-Type: application/x-ndjson",
    b"Content-Type: application/msgpack", b"Content-Encoding: gzip", b"Cookie: \xff", b"Content-Encoding: br",
    b"Content-Length: 3", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue", b"Expect: x",
    b"Range: x", b"Connection: close", b"Upgrade: websocket\r\nConnection: upgrade", b"Host: \xff",
    b"X: " + b"y" * 9000, b": x", b"x", b"Content-Type: application/json; charset=nonsense",
    b"Upgrade: h2c", b" folded: x", b"Accept-Encoding: gzip",
]  # fmt: skip
BODIES = [
    b"", b"{}", b"[]", b"[1]", b"3\r\nabc\r\n0\r\n\r\n", b"\x1f\x8b", b"\xff" * 100, b"[" * 5000, b'{"requests":[{}]}',
    b'{"requests":[{"user_id":"u1"}]}', b'{"user_id":"u1","items":["p1"]}', b"\x93\xc0\xc0\xc0", b"zz\r\n",
    b"\n\n{}\n", b'{"requests":[{"user_id":"u1","after":"p1","limit":1e400}]}', b'{"user_id":1e999,"items":[]}',
    b'["\\ud800"]',
]  # fmt: skip


def request(rng: random.Random) -> bytes:
    version = b"HTTP/1.1" if rng.random() < 0.9 else rng.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""])
    method = rng.choice(METHODS[:3]) if rng.random() < 0.8 else rng.choice(METHODS)
    line = method + b" " + rng.choice(PATHS) + rng.choice(QUERIES) + b" " + version
    headers = [b"Host: x", *rng.sample(HEADERS, rng.choice([0, 0, 1, 1, 2, 4]))]
    body = rng.choice(BODIES)
    if rng.random() < 0.7:
        headers.append(b"Content-Length: %d" % len(body))
    data = bytearray(b"\r\n".join([line, *headers, b"", body]))
    for _ in range(rng.choice([0, 0, 0, 0, 0, 1, 5])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
async def test_no_bytes_make_a_5xx(start, make_client, caplog, seed):
    rig = await start(log=EventLog, older=HandOlder(posts(["p1", "p2", "p3"])))
    await rig.put("u1", ["p1", "p2"])
    rng = random.Random(seed)
    seen: set[int] = set()
    for _ in range(200):
        sent = request(rng)
        client = await make_client(rig)
        await client.send(sent)
        answer = await client.answer_or_silence()
        client.abort()
        statuses = [int(status) for status in STATUS.findall(answer)]
        assert all(status < 500 for status in statuses), (sent, answer[:300])
        assert b"Traceback" not in answer
        seen.update(statuses)
    assert (await rig.feed("u1")).ids == ["p1", "p2", "p3"]
    assert {200, 400, 404} <= seen
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert errors == [], (errors[0].getMessage(), errors[0].exc_info)


@pytest.mark.parametrize(
    "target", [b"/v1/feeds/u1?after=" + b"x" * 9_000, b"/v1/feeds/u1 HTTP/1.1\r\nAccept: " + b"x" * 9_000]
)
async def test_lines_past_the_bound_are_refused(start, make_client, caplog, target):
    rig = await start()
    client = await make_client(rig)
    await client.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.rest()).startswith(b"HTTP/1.0 400 ")
    assert caplog.records == []
