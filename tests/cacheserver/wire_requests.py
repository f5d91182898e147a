"""Requests as bytes: right, odd and wrong ones, for whoever must not be confused by them."""

import json
from typing import Final

import msgpack
from hypothesis import strategies as st

VIEWERS: Final = [
    "u1",
    "u1",
    "u2",
    "u3",
    "stranger",
    "x.y~z",
    "5",
    "05",
    "a%20b",
    "a b",
    "%75%31",
    ".",
    "..",
    "",
    "u1/",
    "é",
    "u1#f",
]
QUERIES: Final = [
    "", "?", "?limit=2", "?limit=2", "?limit=1", "?after=p2", "?after=p2&limit=2", "?limit=2&after=p1",
    "?after=p1&generation=10.1700000000000&limit=1", "?generation=10.1700000000000", "?generation=11.1700000000000",
    "?generation=9.1", "?after=p6", "?after=o1", "?after=nowhere", "?limit=0", "?limit=999", "?limit=x", "?limit=02",
    "?after=%70%32", "?after=p+2", "?after=", "?limit", "?limit=1&limit=2", "?wrong=1", "?after=%ff", "?&&limit=1&",
    "?limit=1;after=p1", "?limit=%31", "?limit=1#after=p1",
    "?after=p1?", "? limit=1",
]  # fmt: skip
FIELDS: Final = [
    "Accept: */*", "Accept: application/json", "Accept: application/msgpack", "Accept: application/x-msgpack;q=0.9",
    "Accept: text/html", "accept:application/msgpack ,*/*;q=0.1", "Accept:", "Accept: application/*;q=0",
    "User-Agent: someone/1.0 (x; y)", "X-Request-Id: \t 17 \t", "Connection: keep-alive", "Connection: Keep-Alive",
    "Connection: close", "Connection: keep-alive, x", "If-None-Match: *", 'If-None-Match: "nothing"',
    'If-None-Match: W/"nothing", "{etag}"', 'If-None-Match: "{etag}"', 'if-none-match: W/"{etag}"',
    "If-None-Match: {etag}",
    "Content-Length: 0", "Content-Length: 2", "Content-Length: +1", "Content-Length: 1, 1", "Content-Length: -1",
    "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding : chunked", "Expect: 100-continue", "Expect: x", "Upgrade: h2c", "Host: second",
    "Cookie: a=\xff",
    " folded: x", "\tfolded", "no-colon", ": nameless", "na me: x", "Content-Encoding: gzip", "X: \x01", "TE: trailers",
]  # fmt: skip
LINES: Final = [
    "GET {t} HTTP/1.1", "GET {t} HTTP/1.1", "GET {t} HTTP/1.1", "GET {t} HTTP/1.1", "HEAD {t} HTTP/1.1",
    "GET {t} HTTP/1.0", "GET  {t} HTTP/1.1", "GET {t}", "get {t} HTTP/1.1", "GET {t} HTTP/1.1 ", "GET {t} HTTP/2.0",
    "GET http://x{t} HTTP/1.1", "\r\nGET {t} HTTP/1.1", "\nGET {t} HTTP/1.1", "GET\t{t} HTTP/1.1",
    "DELETE {t}x HTTP/1.1",
]  # fmt: skip
ENTRIES: Final = [
    {"user_id": "u1"}, {"user_id": "u1", "limit": 2}, {"user_id": "u1", "after": "p2", "limit": 1}, {"user_id": 5},
    {"user_id": "x.y~z", "generation": "10.1700000000000"}, {"user_id": "a b"}, {"user_id": "u2", "after": "p1"},
    {"user_id": "u2"}, {"user_id": "u1", "after": "p6"},
]  # fmt: skip
ODD_ENTRIES: Final = [
    {"user_id": "stranger"}, {"user_id": "u3"}, {"user_id": ""}, 7, {}, {"user_id": "u1", "limit": 0},
    {"user_id": True},
    {"user_id": "u1", "limit": 101}, {"user_id": "u1", "after": "nowhere"}, {"user_id": "u1", "x": 1},
    {"user_id": "u1", "generation": "1"}, {"user_id": 1 << 70}, {"user_id": "5", "after": 5},
]  # fmt: skip

usually_none = st.one_of(st.just([]), st.just([]), st.lists(st.sampled_from(FIELDS), max_size=3))


@st.composite
def gets(draw: st.DrawFn) -> bytes:
    target = "/v1/feeds/" + draw(st.sampled_from(VIEWERS)) + draw(st.sampled_from(QUERIES))
    if draw(st.integers(0, 9)) == 0:
        target = draw(st.sampled_from(["/healthz", "/nowhere", "*", "/v1/feeds:batchGet", "/v1/feeds/u1/explain"]))
    line = draw(st.sampled_from(LINES)) if draw(st.booleans()) else LINES[0]
    host = draw(st.sampled_from([["Host: x"]] * 8 + [[], ["Host:"]]))
    head = "\r\n".join([line.replace("{t}", target), *host, *draw(usually_none), "", ""])
    return head.encode("latin-1" if draw(st.booleans()) else "utf-8")


@st.composite
def batches(draw: st.DrawFn) -> bytes:
    entries = draw(st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=20))
    if draw(st.integers(0, 3)) == 0:
        entries.append(draw(st.sampled_from(ODD_ENTRIES)))
    media_type = draw(st.sampled_from(["application/json", "application/msgpack", "application/x-msgpack"]))
    packed = media_type.endswith("msgpack") and not any(entry == {"user_id": 1 << 70} for entry in entries)
    body: bytes = msgpack.packb({"requests": entries}) if packed else json.dumps({"requests": entries}).encode()
    if draw(st.integers(0, 9)) == 0:
        body = draw(st.sampled_from([b"", b"{}", b'{"requests":[]}', b"[" * 3_000, body[:-1], body + b" "]))
    said = len(body) + draw(st.sampled_from([0] * 15 + [-1, 1]))
    fields = [f"Content-Type: {media_type}", f"Content-Length: {said}", *draw(usually_none)]
    head = "\r\n".join(["POST /v1/feeds:batchGet HTTP/1.1", "Host: x", *fields, "", ""])
    return head.encode("latin-1") + body


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """One to five requests on one connection, cut into pieces anywhere; sometimes a byte of it is another one."""
    data = bytearray(b"".join(draw(st.lists(st.one_of(gets(), gets(), batches()), min_size=1, max_size=5))))
    if draw(st.integers(0, 4)) == 0:
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cuts = sorted(draw(st.lists(st.integers(1, max(1, len(data) - 1)), max_size=4)))
    return [bytes(data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]
