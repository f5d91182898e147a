"""Thin handlers: read the request, ask the room that knows, write the answer. Errors are raised, never written here."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from aiohttp import web

from cacheserver.intake import EVENT_TYPES, take
from cacheserver.metrics import Metrics
from cacheserver.negotiation import body_of, content_type, decode, etag_of, unchanged, wanted
from cacheserver.origin import Origin
from cacheserver.page_headers import page_headers
from cacheserver.paging import Ask
from cacheserver.problems import Refusal, problem
from cacheserver.query import a_generation, a_limit, an_id, ask_of, query_of, viewer_of
from cacheserver.reading import Reader, Reading
from cacheserver.served import ServedLog
from cacheserver.services import Services
from cacheserver.wire import (
    JSON,
    MSGPACK,
    X_MSGPACK,
    Accepted,
    BatchAnswer,
    BatchAsk,
    BatchResult,
    Health,
    OpenBatchBody,
    ViewsBody,
    encode,
)
from feedgen.events import Event, from_object, reason_of

_BODIES: Final = (JSON, MSGPACK, X_MSGPACK)


class Handlers:
    """One method per route."""

    def __init__(
        self, services: Services, origin: Origin, reader: Reader, metrics: Metrics, served: ServedLog | None
    ) -> None:
        """`served`: where pages of a viewer's own feed are written down; None: nowhere."""
        self._services = services
        self._settings = services.settings.server
        self._fresh_s = services.settings.cache.fresh_s
        self._origin = origin
        self._reader = reader
        self._metrics = metrics
        self._served = served
        self.openapi = b"{}"
        self.draining = False
        self._writing = 0

    async def get_feed(self, request: web.Request) -> web.Response:
        """GET /v1/feeds/{user_id}"""
        viewer, ask, media_type = viewer_of(request), ask_of(request, self._settings), wanted(request)
        reading = await self._reader.read(viewer, ask)
        body = encode(reading.page, media_type)
        limit = ask.limit if ask.sized else None
        headers = page_headers(reading, self._services.clock(), self._fresh_s, limit)
        headers["ETag"] = etag = etag_of(body, media_type)
        if unchanged(request, etag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = media_type
        if request.method == "GET":  # a HEAD brings nobody a post
            self._note(reading)
        return web.Response(body=body, headers=headers)

    def _note(self, reading: Reading) -> None:
        if self._served is not None and not reading.shared:  # who gets the shared feed may be nobody the log knows
            items = [item.item_id for item in reading.page.items]
            self._served.note(reading.page.user_id, items, [_propensity(reading, item) for item in items])

    async def batch_get(self, request: web.Request) -> web.Response:
        """POST /v1/feeds:batchGet"""
        query_of(request)
        media_type = wanted(request)
        sent_as = content_type(request, _BODIES)
        asks = decode(await body_of(request, self._settings.body_max_bytes), sent_as, OpenBatchBody).requests
        most = self._settings.batch_feeds_max
        if not 1 <= len(asks) <= most:
            raise Refusal(400, f"`requests` holds {len(asks)} entries; 1 to {most} are possible")
        results = await asyncio.gather(*(self._batch_entry(ask) for ask in asks))
        body = encode(BatchAnswer(results), media_type)
        return web.Response(
            body=body, headers={"Content-Type": media_type, "Vary": "Accept", "Cache-Control": "no-store"}
        )

    async def _batch_entry(self, raw: object) -> BatchResult:
        try:
            entry = msgspec.convert(raw, BatchAsk)
            ask = Ask(
                None if entry.after is None else an_id(entry.after, "after"),
                self._settings.page_items if entry.limit is None else a_limit(entry.limit, self._settings),
                None if entry.generation is None else a_generation(entry.generation),
            )
            reading = await self._reader.read(an_id(entry.user_id, "user_id"), ask)
        except (msgspec.ValidationError, RecursionError) as error:
            return BatchResult(400, problem=problem(400, reason_of(error)))
        except Refusal as error:
            return BatchResult(error.status, problem=problem(error.status, str(error)))
        self._note(reading)
        return BatchResult(200, reading.found.cache, reading.page)

    async def post_events(self, request: web.Request) -> web.Response:
        """POST /v1/events"""
        query_of(request)
        media_type = content_type(request, EVENT_TYPES)
        with self._place_to_write():
            body = await body_of(request, self._settings.body_max_bytes)
            taken = await take(body, media_type, self._services.clock(), self._settings.events_per_request)
            accepted = await self._append(taken.events)
        return _answer(202, msgspec.structs.replace(accepted, refused=taken.refused))

    async def post_views(self, request: web.Request) -> web.Response:
        """POST /v1/views"""
        query_of(request)
        media_type = content_type(request, _BODIES)
        with self._place_to_write():
            views = decode(await body_of(request, self._settings.body_max_bytes), media_type, ViewsBody)
            now = self._services.clock()
            raw: dict[str, Any] = {
                "id": self._services.new_id() if views.id is msgspec.UNSET else views.id,
                "type": "view",
                "ts": now if views.ts is msgspec.UNSET else views.ts,
                "actor": an_id(views.user_id, "user_id"),
                "attrs": {"objects": views.items},
            }
            return _answer(202, await self._append([from_object(raw, now)]))

    @contextmanager
    def _place_to_write(self) -> Iterator[None]:
        """One of the places for bodies that are read and appended; none free: 503, before any of the body is held."""
        if self._writing >= self._settings.writes_at_once:
            raise Refusal(503, "too many writes are waiting for the event log; send this one again", retry_after_s=1)
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1

    async def _append(self, events: list[Event]) -> Accepted:
        done = await self._services.log.append(events)
        return Accepted(done.head, done.appended, done.duplicate, [])

    async def explain(self, request: web.Request) -> web.Response:
        """GET /v1/feeds/{user_id}/explain"""
        query = query_of(request, ("item",))
        item = an_id(query["item"], "item") if "item" in query else None
        viewer, media_type = viewer_of(request), wanted(request)
        assert self._services.explainer is not None
        why = await self._services.explainer.explain(viewer, item)
        if why is None:
            which = "this viewer has" if item is None else "this viewer or this post has"
            raise Refusal(404, f"{which} never been seen; viewers nobody knows get the shared trending feed")
        headers = {"Content-Type": media_type, "Vary": "Accept", "Cache-Control": "private, no-cache"}
        return web.Response(body=encode(why, media_type), headers=headers)

    async def delete_feed(self, request: web.Request) -> web.Response:
        """DELETE /v1/feeds/{user_id}"""
        query_of(request)
        await self._origin.drop(viewer_of(request))
        return web.Response(status=204)

    async def healthz(self, request: web.Request) -> web.Response:
        """GET /healthz"""
        return _answer(200, Health("ok"))

    async def readyz(self, request: web.Request) -> web.Response:
        """GET /readyz"""
        if self.draining:
            raise Refusal(503, "shutting down; send requests elsewhere")
        if not self._services.ready():
            raise Refusal(503, "not ready yet; try again in a moment")
        return _answer(200, Health("ready"))

    async def metrics(self, request: web.Request) -> web.Response:
        """GET /metrics"""
        return web.Response(body=self._metrics.text(), headers={"Content-Type": self._metrics.content_type})

    async def openapi_json(self, request: web.Request) -> web.Response:
        """GET /openapi.json"""
        return web.Response(body=self.openapi, headers={"Content-Type": JSON})


def _answer(status: int, answer: object) -> web.Response:
    headers = {"Content-Type": JSON, "Cache-Control": "no-store"}
    return web.Response(status=status, body=encode(answer, JSON), headers=headers)


def _propensity(reading: Reading, item: str) -> float:
    """How likely the item was to stand where it did; 1 behind the kept items, where nothing is drawn."""
    try:
        return reading.feed.propensity(item)
    except KeyError:
        return 1.0
