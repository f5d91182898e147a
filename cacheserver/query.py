"""Paths and queries → checked asks. Percent-decoding is done here from the raw target, strictly as UTF-8:
aiohttp's own leaves what it cannot decode as it is, and an id must not be two ids.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web

from cacheserver.paging import Ask
from cacheserver.problems import Refusal
from feedgen.config import Server
from feedgen.errors import BadEvent
from feedgen.events import outside_id
from feedgen.feed.record import Generation

_FEEDS: Final = "/v1/feeds/"
_LIMIT_DIGITS: Final = 6
_NOTHING: Final[Mapping[str, str]] = {}


def viewer_of(request: web.Request) -> str:
    """The user id in the path /v1/feeds/{user_id}…, decoded. Raises Refusal (400) if it is none."""
    segment = request.rel_url.raw_path.removeprefix(_FEEDS).partition("/")[0]
    if "%" not in segment and segment.isascii():
        return an_id(segment, "user_id")
    return an_id(_utf8(segment, "user_id"), "user_id")


def _utf8(quoted: str, name: str) -> str:
    try:
        return unquote_to_bytes(quoted.encode(errors="surrogateescape")).decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"`{name}` is not percent-encoded UTF-8") from None


def an_id(raw: str | int, name: str) -> str:
    """An outside id in its one inside form. Raises Refusal (400) naming `name`."""
    try:
        return outside_id(raw)
    except BadEvent as error:
        raise Refusal(400, f"`{name}`: {error}") from None


def ask_of(request: web.Request, settings: Server) -> Ask:
    """after, limit and generation from the query. Raises Refusal (400) on anything else there, or anything twice."""
    return ask_from(request.rel_url.raw_query_string, settings)


def ask_from(raw: str, settings: Server) -> Ask:
    """As `ask_of`, of the query as it stands in the target."""
    query = _pairs(raw, ("after", "limit", "generation"))
    if not query:
        return Ask(None, settings.page_items, None)
    after = query.get("after")
    return Ask(
        None if after is None else an_id(after, "after"),
        _limit(query["limit"], settings) if "limit" in query else settings.page_items,
        a_generation(query["generation"]) if "generation" in query else None,
        sized="limit" in query,
    )


def query_of(request: web.Request, known: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The query's keys, each of `known` at most once. Raises Refusal (400)."""
    return _pairs(request.rel_url.raw_query_string, known)


def _pairs(raw: str, known: tuple[str, ...]) -> Mapping[str, str]:
    if not raw:
        return _NOTHING
    try:
        pairs = parse_qsl(raw.encode(errors="surrogateescape").decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(400, "the query is not percent-encoded UTF-8") from None
    query: dict[str, str] = {}
    for key, value in pairs:
        if key not in known:
            what = f"it is one of {', '.join(known)}" if known else "this resource takes none"
            raise Refusal(400, f"unknown query key {key[:40]!r}; {what}")
        if key in query:
            raise Refusal(400, f"`{key}` is given more than once; give it once")
        query[key] = value
    return query


def _limit(text: str, settings: Server) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LIMIT_DIGITS):
        raise Refusal(400, f"`limit` {text[:40]!r} is no whole number from 1 to {settings.page_items_max}")
    return a_limit(int(text), settings)


def a_limit(limit: int, settings: Server) -> int:
    """`limit` if it is possible. Raises Refusal (400)."""
    if not 1 <= limit <= settings.page_items_max:
        raise Refusal(400, f"`limit` {limit} is not from 1 to {settings.page_items_max}")
    return limit


def a_generation(text: str) -> Generation:
    """A generation from "W.ms". Raises Refusal (400)."""
    try:
        return Generation.parse(text)
    except ValueError as error:
        raise Refusal(400, f"`generation`: {error}") from None
