"""Which representation a request wants, which one a body is in, and whether the sender has the answer already."""

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from cacheserver.auth import must_be_signed
from cacheserver.problems import Refusal
from cacheserver.wire import JSON, MSGPACK, X_MSGPACK
from feedgen.events import reason_of

_T = TypeVar("_T")

OFFERED: Final = (JSON, MSGPACK, X_MSGPACK)
BODY_DEADLINE_S: Final = 30.0
"""Real seconds for a body to arrive: aiohttp itself would wait for ever."""
_CODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
_QVALUE: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def wanted(request: web.Request) -> str:
    """The media type to answer in. Raises Refusal (406) if Accept leaves none."""
    headers = request.headers.getall("Accept", ())
    if not headers:
        return JSON
    media_type = best(",".join(headers))
    if media_type is None:
        raise Refusal(406, f"this resource comes as {JSON} or {MSGPACK}; Accept names neither")
    return media_type


@lru_cache(maxsize=256)
def best(accept: str) -> str | None:
    """The offered type with the greatest q (RFC 9110 §12.5.1; JSON wins ties), or None. A malformed range is ignored.

    For each type its most specific range counts. Cached: clients send few different headers.
    """
    ranges = [parsed for text in accept.split(",") if (parsed := _range(text)) is not None]
    if not ranges:
        return JSON if not accept.strip(" \t,") else None
    chosen, most = None, 0.0
    for offered in OFFERED:
        fitting = [(len(kind), q) for kind, q in ranges if kind in (offered, "application/*", "*/*")]
        q = max(fitting)[1] if fitting else 0.0
        if q > most:
            chosen, most = offered, q
    return chosen


def _range(text: str) -> tuple[str, float] | None:
    """A media range and its q. Ranges with other parameters (charset) are taken without them."""
    kind, *parameters = (part.strip(" \t").lower() for part in text.split(";"))
    if not kind:
        return None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            value = value.strip()
            return (kind, float(value)) if _QVALUE.fullmatch(value) else None
    return kind, 1.0


def content_type(request: web.Request, known: Sequence[str]) -> str:
    """The body's media type, one of `known`. Raises Refusal (415) on another one or an unknown content coding."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise Refusal(415, f"Content-Encoding {coding[:40]!r} is not understood; send the body plain, gzip or deflate")
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given not in known:
        raise Refusal(415, f"Content-Type {given[:60]!r} is not understood here; it is one of {', '.join(known)}")
    return given


async def body_of(request: web.Request, max_bytes: int) -> bytes:
    """The whole body. Raises Refusal: 413, unread if its declared length is past the bound; 408; 401."""
    if (request.content_length or 0) > max_bytes:
        raise Refusal(413, f"the body is larger than {max_bytes} bytes; send it in parts")
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            body = await request.read()
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {BODY_DEADLINE_S:g} s; send it in parts") from None
    must_be_signed(request, body)
    return body


def decode(body: bytes, media_type: str, as_type: type[_T]) -> _T:
    """The body as `as_type`. Raises Refusal (400) with what is wrong and where."""
    try:
        if media_type == JSON:
            return msgspec.json.decode(body, type=as_type)
        return msgspec.msgpack.decode(body, type=as_type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body cannot be read: {reason_of(error)}") from None


def etag_of(body: bytes, media_type: str) -> str:
    """Strong entity tag of a representation. O(bytes), 3 µs for 2.4 KB."""
    return f'"{blake2b(body, digest_size=12, person=media_type[-16:].encode()).hexdigest()}"'


def unchanged(request: web.Request, etag: str) -> bool:
    """Whether If-None-Match says that the sender has `etag` (weak comparison, RFC 9110 §13.1.2)."""
    headers = request.headers.getall("If-None-Match", ())
    if not headers:
        return False
    return matches(etags_in(",".join(headers)), etag)


def etags_in(text: str) -> tuple[str, ...]:
    """The entity tags that If-None-Match lists, the marks of weak ones taken off; "*" alone stands for any."""
    return ("*",) if text.strip() == "*" else tuple(_ETAG.findall(text))


def matches(etags: tuple[str, ...], etag: str) -> bool:
    """Whether `etag` is one of them."""
    return etag in etags or etags == ("*",)
