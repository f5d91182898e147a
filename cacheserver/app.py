"""The aiohttp application, built from the URL table."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from aiohttp import web
from cachetools import TTLCache

from cacheserver import openapi
from cacheserver.auth import Verifier
from cacheserver.fastlane import Lane
from cacheserver.handlers import Handlers
from cacheserver.metrics import Metrics
from cacheserver.origin import Origin
from cacheserver.problems import problem, problems, respond
from cacheserver.reading import Reader
from cacheserver.routes import ROUTES
from cacheserver.served import ServedLog
from cacheserver.services import Services

_log = logging.getLogger(__name__)

HANDLERS: Final = web.AppKey("handlers", Handlers)
LANE: Final = web.AppKey("lane", Lane)
METRICS: Final = web.AppKey("metrics", Metrics)
ORIGIN: Final = web.AppKey("origin", Origin)
SERVICES: Final = web.AppKey("services", Services)
SERVED: Final = web.AppKey("served", ServedLog)

_FALLBACK_VIEWERS: Final = 10_000
"""Viewers in the middle of the fallback feed who are remembered; one more and the longest-remembered is forgotten."""

# aiohttp's default pattern refuses braces, which an id may hold; an empty id is a 400, not a 404.
_USER: Final = "{user_id:[^/]*}"


def make_app(services: Services) -> web.Application:
    """The application that serves `services`. It owns the sweep of the cache and every fetch under way."""
    origin = Origin(
        services.settings,
        services.residency,
        services.store,
        services.generator,
        services.clock,
        services.monotonic,
    )
    served = ServedLog(services.log, services.clock, services.new_id) if services.settings.server.log_served else None
    metrics = Metrics(origin, services.residency, served, services.families)
    reader = Reader(
        origin,
        services.residency,
        services.older,
        TTLCache(_FALLBACK_VIEWERS, services.settings.cache.session_s, services.monotonic),
    )
    handlers = Handlers(services, origin, reader, metrics, served)
    server = services.settings.server
    verifier = Verifier(server.signing_keys, server.signing_nonces_max, services.wall) if server.signing_keys else None
    signed = () if verifier is None else (verifier.middleware,)
    app = web.Application(middlewares=[metrics.middleware, problems, *signed], client_max_size=server.body_max_bytes)
    app[HANDLERS], app[ORIGIN], app[SERVICES], app[METRICS] = handlers, origin, services, metrics
    if served is not None:
        app[SERVED] = served
    elif server.fast_lane:  # the lane writes nothing down
        app[LANE] = Lane(services, origin, metrics, verifier)
    routes = [route for route in ROUTES if route.needs is None or getattr(services, route.needs) is not None]
    for route in routes:
        path = route.path.replace("{user_id}", _USER)
        methods = (route.method, "HEAD") if route.method == "GET" else (route.method,)  # aiohttp drops HEAD's body
        for method in methods:
            app.router.add_route(method, path, getattr(handlers, route.handler), expect_handler=_expect)
    handlers.openapi = openapi.document(routes, {"limit": server.page_items_max})
    app.cleanup_ctx.append(_tasks)
    app.on_shutdown.append(_drain)
    return app


async def _tasks(app: web.Application) -> AsyncIterator[None]:
    """Own the background work: the sweep runs while the application does, and nothing outlives it."""
    served = app.get(SERVED)
    services = app[SERVICES]
    tasks = [asyncio.create_task(services.residency.sweep(), name="sweep of the cache")]
    if services.expected is not None and services.settings.cache.eviction == "ahead":
        looking = services.residency.look_ahead(services.expected)
        tasks.append(asyncio.create_task(looking, name="choice of who leaves the cache"))
    if served is not None:
        tasks.append(asyncio.create_task(served.follow(), name="log of served pages"))
    for task in tasks:
        task.add_done_callback(_surface)
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):  # a failure has been logged when it happened
            await task
    if served is not None:
        await served.close()
    await app[ORIGIN].close()


def _surface(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        _log.error("the %s stopped; restart this server", task.get_name(), exc_info=task.exception())


async def _drain(app: web.Application) -> None:
    """Readiness goes off before requests in flight are waited for."""
    app[HANDLERS].draining = True


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer Expect: 100-continue; refuse a body that is too large before it is sent. Runs before the middlewares."""
    if request.headers["Expect"].lower() != "100-continue":
        return respond(problem(417, "the only expectation that can be met is 100-continue"))
    most = request.app[SERVICES].settings.server.body_max_bytes
    if (request.content_length or 0) > most:
        return respond(problem(413, f"the body is larger than {most} bytes; send it in parts"))
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun
    return None
