"""Requests that nobody should send, drawn at random; and what must hold whatever is sent.

A conversation is odd requests between right ones, all pipelined on one connection: some odd ones are answered, some end
the connection, some swallow what follows. Each right one asks for another viewer's page, and pages name their viewers;
so whatever came, the pages must be of those who were asked for, in the order in which they were.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

_METHODS: Final = [
    *[b"GET"] * 8, *[b"POST"] * 3, b"DELETE", b"HEAD", b"HEAD", b"PUT", b"get", b"PRI", b"CONNECT", b"",
]  # fmt: skip
_TARGETS: Final = [
    *[b"/v1/feeds/{v}"] * 4, b"/v1/feeds/{v}?limit=3", b"/v1/feeds:batchGet", b"/v1/feeds:batchGet", b"/v1/views",
    b"/nowhere", b"*",
    b"/v1/feeds/%00", b"/v1/feeds/..", b"/v1/feeds/%ff", b"/v1/feeds/{v}?limit=-1", b"/v1/feeds/{v}?after=%ed%a0%80",
    b"/v1/feeds/{v}?limit=1&limit=2", b"/v1/feeds/{v}?generation=" + b"9" * 30, b"http://[::1", b"/v1/feeds/{v}#x",
    b"/v1/feeds/{v}?a=" + b"b" * 9_000, b"/v1/feeds/{v}/explain", b"/v1/feeds/\xff", b"/healthz", b"",
]  # fmt: skip
_VERSIONS: Final = [*[b"HTTP/1.1"] * 40, b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""]
_ANSWERED: Final = [
    b"Accept: application/msgpack", b"Accept: text/html", b"Accept: \xff", b"If-None-Match: *", b'If-None-Match: W/"',
    b"Expect: x", b"Content-Type: application/json", b"Content-Type: application/msgpack", b"Content-Encoding: gzip",
    b"Connection: keep-alive", b"X-Request-Id: \t 17 \t", b"TE: trailers", b"Cookie: a=\xff",
]  # fmt: skip
_REFUSED: Final = [
    b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 4", b"Content-Length: -1",
    b"Content-Length: " + b"9" * 20,
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked", b"Expect: 100-continue", b"Connection: close", b"Connection: upgrade",
    b"Upgrade: websocket", b" folded: x", b"x", b": x", b"X: " + b"y" * 9_000, b"X: a\nb: c", b"X: a\rb", b"X: \0",
    b"Host: other",
]  # fmt: skip
_BODIES: Final = [
    b"", b"", b"{}", b"[" * 2_000, b"3\r\nabc\r\n0\r\n\r\n", b"zz\r\n", b"\x1f\x8b", b"\xff" * 50, b'{"requests":[{}]}',
    b'{"requests":[{"user_id":"{v}","limit":1}]}', b'{"requests":[{"user_id":"{v}","limit":1e400}]}', b"\x93\xc0\xc0",
]  # fmt: skip
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_VIEWER: Final = re.compile(rb'"user_id":("(?:[^"\\]|\\.)*")')
_DEPTHS: Final = (1, 2, 4, 8)


class Conversation(NamedTuple):
    """`right`: whose pages are asked for around the `odd` requests, one more than those; `meant`: by each odd one."""

    right: list[str]
    meant: list[str]
    odd: list[bytes]

    @property
    def data(self) -> bytes:
        """As it is sent."""
        parts = [_get(self.right[0])]
        for odd, viewer in zip(self.odd, self.right[1:], strict=True):
            parts += odd, _get(viewer)
        return b"".join(parts)


def odd_request(viewer: str, rng: random.Random) -> bytes:
    """One, by somebody who may mean `viewer`. About every third ends the connection."""
    line = b" ".join((rng.choice(_METHODS), rng.choice(_TARGETS), rng.choice(_VERSIONS)))
    body = rng.choice(_BODIES)
    fields = [b"Host: x", *rng.choices(_ANSWERED, k=rng.choice((0, 1, 2)))]
    if rng.random() < 0.2:
        fields.append(rng.choice(_REFUSED))
    if body or rng.random() < 0.2:
        fields.append(b"Content-Length: %d" % len(body))
    data = b"\r\n".join((line, *fields, b"", body)).replace(b"{v}", viewer.encode())
    return data if rng.random() < 0.85 else _damaged(data, rng)


def _damaged(data: bytes, rng: random.Random) -> bytes:
    bytes_ = bytearray(data)
    for _ in range(rng.choice((1, 1, 4))):
        bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
    return bytes(bytes_)


def conversation(viewers: list[str], rng: random.Random) -> Conversation:
    """Odd requests that mean viewers of the second half, between right ones for the first half; each another one."""
    depth = rng.choice(_DEPTHS)
    half = len(viewers) // 2
    right, meant = rng.sample(viewers[:half], depth + 1), rng.sample(viewers[half:], depth)
    return Conversation(right, meant, [odd_request(viewer, rng) for viewer in meant])


@dataclass
class Findings:
    """What came of it. `sent`: odd requests that were answered, or ended their connection; not those behind them."""

    sent: int = 0
    conversations: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def judge(self, said: Conversation, answer: bytes) -> None:
        """What came back on one connection."""
        self.conversations += 1
        statuses = [int(status) for status in _STATUS.findall(answer)]
        for status in statuses:
            self.statuses[status] = self.statuses.get(status, 0) + 1
        named = [msgspec.json.decode(viewer) for viewer in _VIEWER.findall(answer)]
        if any(status >= 500 for status in statuses):
            self.wrong.append(f"{statuses} to {said}")
        elif answer and (statuses[0] != 200 or named[:1] != said.right[:1]):
            self.wrong.append(f"the first page is not {said.right[0]}'s: {answer[:200]!r} to {said}")
        elif strange := _out_of_order(said, named):
            self.wrong.append(f"a page of {strange}, whom nobody asked for there, to {said}")
        answered = max((at for at, viewer in enumerate(said.right) if viewer in named), default=0)
        self.sent += min(answered + 1, len(said.odd))


def _out_of_order(said: Conversation, named: list[str]) -> list[str]:
    """Of those who are named, who was not asked for, or not there."""
    asked = [said.right[0]]
    for meant, right in zip(said.meant, said.right[1:], strict=True):
        asked += meant, right
    sent = b"".join(said.odd)
    at, strange = 0, []
    for viewer in named:
        if viewer in asked[at:]:
            at = asked.index(viewer, at) + 1
        elif viewer in asked or not (viewer.encode() in sent or viewer.encode() in unquote_to_bytes(sent)):
            strange.append(viewer)
    return strange


def _get(viewer: str) -> bytes:
    return f"GET /v1/feeds/{viewer}?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
