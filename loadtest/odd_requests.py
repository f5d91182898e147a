"""Requests that nobody should send, drawn at random; and what must hold whatever is sent.

No 5xx, no broken server, and no answer to another request than the one it follows: each odd request goes out between
two right ones on the same connection, whose pages name their viewers.
"""

import asyncio
import random
import re
from dataclasses import dataclass, field
from typing import Final

_METHODS: Final = [
    b"GET",
    b"GET",
    b"GET",
    b"POST",
    b"POST",
    b"DELETE",
    b"HEAD",
    b"PUT",
    b"get",
    b"PRI",
    b"CONNECT",
    b"",
]
_TARGETS: Final = [
    b"/v1/feeds/{v}", b"/v1/feeds/{v}", b"/v1/feeds/{v}?limit=3", b"/v1/feeds:batchGet", b"/v1/views",
    b"/nowhere", b"*",
    b"/v1/feeds/%00", b"/v1/feeds/..", b"/v1/feeds/%ff", b"/v1/feeds/{v}?limit=-1", b"/v1/feeds/{v}?after=%ed%a0%80",
    b"/v1/feeds/{v}?limit=1&limit=2", b"/v1/feeds/{v}?generation=" + b"9" * 30, b"http://[::1", b"/v1/feeds/{v}#x",
    b"/v1/feeds/{v}?a=" + b"b" * 9_000, b"/v1/feeds/{v}/explain", b"/v1/feeds/\xff", b"/healthz", b"",
]  # fmt: skip
_FIELDS: Final = [
    b"Accept: application/msgpack", b"Accept: text/html", b"Accept: \xff", b"If-None-Match: *", b'If-None-Match: W/"',
    b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 4", b"Content-Length: -1",
    b"Content-Length: " + b"9" * 20,
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked", b"Expect: 100-continue", b"Expect: x", b"Connection: close", b"Connection: upgrade",
    b"Upgrade: websocket", b" folded: x", b"x", b": x", b"X: " + b"y" * 9_000, b"X: a\nb: c", b"X: a\rb", b"X: \0",
    b"Content-Type: application/json", b"Content-Type: application/msgpack", b"Content-Encoding: gzip", b"Host: other",
]  # fmt: skip
_BODIES: Final = [
    b"", b"", b"{}", b"[" * 2_000, b"3\r\nabc\r\n0\r\n\r\n", b"zz\r\n", b"\x1f\x8b", b"\xff" * 50, b'{"requests":[{}]}',
    b'{"requests":[{"user_id":"{v}","limit":1}]}', b'{"requests":[{"user_id":"{v}","limit":1e400}]}', b"\x93\xc0\xc0",
]  # fmt: skip
_DECODED: Final = {"\\u0000"}
"""Ids that stand in a page otherwise than in the request."""
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_VIEWER: Final = re.compile(rb'"user_id":"([^"]*)"')


def odd_request(viewer: str, rng: random.Random) -> bytes:
    """One, by somebody who may mean `viewer`."""
    version = rng.choice([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""])
    line = b" ".join((rng.choice(_METHODS), rng.choice(_TARGETS), version))
    body = rng.choice(_BODIES)
    fields = [b"Host: x", *rng.sample(_FIELDS, rng.choice((0, 1, 1, 2, 4)))]
    if rng.random() < 0.6:
        fields.append(b"Content-Length: %d" % len(body))
    data = bytearray(b"\r\n".join((line, *fields, b"", body)).replace(b"{v}", viewer.encode()))
    for _ in range(rng.choice((0, 0, 0, 1, 4))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@dataclass
class Findings:
    """What came of it: answers by status, and what should not have come."""

    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


async def send_odd_requests(port: int, viewers: list[str], count: int, seed: int, at_once: int = 32) -> Findings:
    """Send `count`, each on a connection of its own. Stops at the tenth wrong answer. Raises OSError."""
    findings = Findings()
    numbers = iter(range(count))

    async def sender() -> None:
        for number in numbers:
            if len(findings.wrong) >= 10:
                return
            rng = random.Random(seed * 1_000_003 + number)
            one, meant, last = (rng.choice(viewers) for _ in range(3))
            odd = odd_request(meant, rng)
            answer = await _exchange(port, [_get(one), odd, _get(last)], rng)
            findings.sent += 1
            _judge(findings, answer, one, {one, meant, last}, odd)

    await asyncio.gather(*(sender() for _ in range(at_once)))
    return findings


def _get(viewer: str) -> bytes:
    return f"GET /v1/feeds/{viewer}?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def _exchange(port: int, parts: list[bytes], rng: random.Random) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"".join(parts)
    cut = rng.randrange(1, len(data))
    answer = b""
    try:
        writer.write(data[:cut])
        if rng.random() < 0.3:
            await asyncio.sleep(0)
        writer.write(data[cut:])
        writer.write_eof()
        async with asyncio.timeout(60):
            while chunk := await reader.read(65_536):
                answer += chunk
    except TimeoutError:
        answer += b"\r\nHTTP/1.1 599 no end of it in 60 s"
    except (OSError, RuntimeError):
        pass  # cut off, as who sends such things may be
    finally:
        writer.transport.abort()
    return answer


def _judge(findings: Findings, answer: bytes, first: str, asked: set[str], odd: bytes) -> None:
    statuses = [int(status) for status in _STATUS.findall(answer)]
    for status in statuses:
        findings.statuses[status] = findings.statuses.get(status, 0) + 1
    named = [viewer.decode(errors="replace") for viewer in _VIEWER.findall(answer)]
    if any(status >= 500 for status in statuses):
        findings.wrong.append(f"{statuses} to {odd!r}")
    elif answer and (statuses[0] != 200 or not named or named[0] != first):
        findings.wrong.append(f"the first page is not {first}'s: {answer[:200]!r} after {odd!r}")
    elif strange := {viewer for viewer in named if viewer not in asked and viewer.encode() not in odd} - _DECODED:
        findings.wrong.append(f"a page of {strange}, whom nobody asked for, after {odd!r}")
