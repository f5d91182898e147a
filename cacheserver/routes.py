"""The URL table. The application is built from it, and so is /openapi.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from cacheserver.wire import (
    JSON,
    MSGPACK,
    NDJSON,
    PROBLEM,
    X_MSGPACK,
    Accepted,
    BatchAnswer,
    BatchBody,
    FeedPage,
    GenerationText,
    Health,
    Id,
    ItemId,
    PostedEvent,
    Problem,
    ViewsBody,
)


@dataclass(frozen=True)
class Parameter:
    """A parameter; `type` is what msgspec makes a schema of."""

    name: str
    where: Literal["path", "query", "header"]
    type: Any
    description: str


@dataclass(frozen=True)
class Answer:
    """An answer. `content`: media type → type of the body (None: raw text); headers: name → (type, description)."""

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    optional: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    example: Any = None


@dataclass(frozen=True)
class Route:
    """One row. `handler` names a method of handlers.Handlers; `needs` a role without which there is no such route."""

    method: str
    path: str
    handler: str
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None
    needs: str | None = None


def _problem(description: str, headers: Mapping[str, tuple[Any, str]] | None = None) -> Answer:
    return Answer(description, {PROBLEM: Problem}, headers or {})


_ALLOW: Final = {"Allow": (str, "methods this path knows")}
_COMMON: Final = {
    401: _problem(
        "this server answers signed requests only (server.signing_keys); /healthz, /readyz and /metrics are open",
        {"WWW-Authenticate": (str, "Forefeed")},
    ),
    404: _problem("nothing at this path"),
    405: _problem("the path does not know the method", _ALLOW),
    417: _problem("Expect asks for something else than 100-continue"),
    500: _problem("an error on the server's side; it has been logged"),
}
_BAD: Final = _problem("the request is wrong; `detail` says how")
_BODY: Final = {
    408: _problem("the body did not come in time"),
    413: _problem("the body is larger than the server takes"),
    415: _problem("the body's Content-Type or Content-Encoding is not understood"),
}
_NOT_ACCEPTABLE: Final = _problem("Accept leaves neither JSON nor msgpack")
_AGAIN: Final = {"Retry-After": (str, "seconds to wait")}
_STORAGE: Final = _problem(
    "storage cannot be reached, or too many writes wait for it; nothing was written",
    _AGAIN,
)
_FULL: Final = _problem("the server's disk is full; nothing was written")

_USER: Final = Parameter("user_id", "path", Id, 'the viewer, percent-encoded; 5 and "5" are the same id')
_AFTER: Final = Parameter(
    "after", "query", ItemId, "the last FeedItemID of the page before (`next`); from the top without"
)
_LIMIT: Final = Parameter(
    "limit", "query", Annotated[int, Meta(ge=1, le=1_000)], "items on the page, up to server.page_items_max"
)
_GENERATION: Final = Parameter("generation", "query", GenerationText, "the build of the feed that the walk began in")
_ITEM: Final = Parameter("item", "query", ItemId, "a post: what became of it, shown or not; without, the whole feed")
_IF_NONE_MATCH: Final = Parameter("If-None-Match", "header", str, "entity tags of pages at hand; 304 if one is current")

_NEGOTIATED: Final = {"Vary": (str, "Accept")}
_PAGE_HEADERS: Final[Mapping[str, tuple[Any, str]]] = {
    "ETag": (str, "strong entity tag of this representation"),
    "Cache-Control": (str, "a page is one viewer's own: shared caches keep out"),
    "Vary": (str, "Accept"),
    "Cache-Status": (str, "RFC 9211: hit, detail=stale, fwd=miss, or detail=fallback"),
    "Feed-New-Items": (Annotated[int, Meta(ge=0)], "items of a newer generation that the one being paged lacks"),
}
_PAGE_OPTIONAL: Final[Mapping[str, tuple[Any, str]]] = {
    "Age": (Annotated[int, Meta(ge=0)], "seconds since the feed was generated"),
    "Link": (str, 'RFC 8288: the next page, rel="next"; not at the end'),
}

_PAGE: Final = {
    "user_id": "u1340",
    "generation": "216388.1735603200000",
    "generated_at": 1735603200.0,
    "items": [
        {
            "item_id": "2f1e4e5e8515",
            "author_id": "u7",
            "score": 0.75,
            "reason": "followed",
            "created_at": 1735600000.0,
        }
    ],
    "next": "2f1e4e5e8515",
}
_LIKE: Final = {"id": "e17", "type": "like", "ts": 1735655473.0, "actor": "u1340", "object": "2f1e4e5e8515"}
_ACCEPTED: Final = {"offset": 216389, "appended": 1, "duplicate": 0, "refused": []}

_READ_FEED: Final = Route(
    "GET",
    "/v1/feeds/{user_id}",
    "get_feed",
    "A page of a viewer's home feed",
    {
        200: Answer(
            "the page", {JSON: FeedPage, MSGPACK: FeedPage, X_MSGPACK: FeedPage}, _PAGE_HEADERS, _PAGE_OPTIONAL, _PAGE
        ),
        304: Answer("the sender has this page already", {}, _PAGE_HEADERS, _PAGE_OPTIONAL),
        400: _BAD,
        406: _NOT_ACCEPTABLE,
        503: _problem("the feed is not in memory, and too many are being fetched", _AGAIN),
    },
    (_USER, _AFTER, _LIMIT, _GENERATION, _IF_NONE_MATCH),
)
_BATCH: Final = Route(
    "POST",
    "/v1/feeds:batchGet",
    "batch_get",
    "Pages of many viewers, answered in order; a bad entry does not spoil the others",
    {
        200: Answer(
            "one result per request",
            dict.fromkeys((JSON, MSGPACK, X_MSGPACK), BatchAnswer),
            _NEGOTIATED,
            example={"results": [{"status": 200, "cache": "hit", "page": _PAGE}]},
        ),
        400: _BAD,
        406: _NOT_ACCEPTABLE,
        **_BODY,
    },
    body=dict.fromkeys((JSON, MSGPACK, X_MSGPACK), BatchBody),
    example={"requests": [{"user_id": "u1340", "limit": 20}]},
)
_EVENTS: Final = Route(
    "POST",
    "/v1/events",
    "post_events",
    "Append events to the log; every event carries an id, and the same id twice counts once",
    {
        202: Answer("the valid events are on disk, the refused ones are listed", {JSON: Accepted}, example=_ACCEPTED),
        400: _problem("the body cannot be read, or every event in it was refused"),
        503: _STORAGE,
        507: _FULL,
        **_BODY,
    },
    body={NDJSON: None, **dict.fromkeys((JSON, MSGPACK, X_MSGPACK), list[PostedEvent])},
    example=[_LIKE],
)
_VIEWS: Final = Route(
    "POST",
    "/v1/views",
    "post_views",
    "Posts a viewer has seen; a short form of the view event",
    {
        202: Answer("the event is on disk", {JSON: Accepted}, example=_ACCEPTED),
        400: _BAD,
        503: _STORAGE,
        507: _FULL,
        **_BODY,
    },
    body=dict.fromkeys((JSON, MSGPACK, X_MSGPACK), ViewsBody),
    example={"user_id": "u1340", "items": ["2f1e4e5e8515"], "id": "v81"},
)
_EXPLAIN: Final = Route(
    "GET",
    "/v1/feeds/{user_id}/explain",
    "explain",
    "Why each item is shown, and what became of a post that is not",
    {
        200: Answer(
            "sources, filters with their counts, and per item its score's parts and the moves of diversity",
            dict.fromkeys((JSON, MSGPACK, X_MSGPACK), dict[str, Any]),
            _NEGOTIATED,
        ),
        400: _BAD,
        404: _problem("a viewer or a post never seen"),
        406: _NOT_ACCEPTABLE,
    },
    (_USER, _ITEM),
    needs="explainer",
)
_DELETE: Final = Route(
    "DELETE",
    "/v1/feeds/{user_id}",
    "delete_feed",
    "Drop the cached and stored feed; nothing happens if there is none",
    {204: Answer("dropped"), 400: _BAD, 503: _STORAGE, 507: _FULL},
    (_USER,),
)
_HEALTH: Final = Route(
    "GET", "/healthz", "healthz", "Whether the process is alive", {200: Answer("it is", {JSON: Health})}
)
_READY: Final = Route(
    "GET",
    "/readyz",
    "readyz",
    "Whether requests should be sent here",
    {200: Answer("yes", {JSON: Health}), 503: _problem("not yet, or no more")},
)
_METRICS: Final = Route(
    "GET", "/metrics", "metrics", "Prometheus' text format", {200: Answer("the metrics", {"text/plain": None})}
)
_OPENAPI: Final = Route(
    "GET", "/openapi.json", "openapi_json", "This document", {200: Answer("OpenAPI 3.1", {JSON: dict[str, Any]})}
)

_ALL: Final = (_READ_FEED, _DELETE, _EXPLAIN, _BATCH, _EVENTS, _VIEWS, _HEALTH, _READY, _METRICS, _OPENAPI)
ROUTES: Final = tuple(replace(route, answers={**_COMMON, **route.answers}) for route in _ALL)
