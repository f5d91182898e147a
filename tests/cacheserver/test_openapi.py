"""/openapi.json says what the server does: schemathesis holds one against the other."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import jsonschema_rs
import msgpack
import msgspec
import pytest
import schemathesis
import uvloop
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cacheserver import openapi
from cacheserver.app import make_app
from cacheserver.residency import Residency
from cacheserver.routes import ROUTES
from cacheserver.server import serve
from cacheserver.services import Services
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from feedgen.feed.store import MemoryFeedStore
from tests.cacheserver.doubles import HandOlder, bulk, posts


@schemathesis.serializer("application/msgpack", "application/x-msgpack")
def to_msgpack(ctx, value):
    """msgpack knows no number past 64 bits; 0xc1 is no msgpack at all, and as wrong as what was meant to be sent."""
    try:
        return msgpack.packb(value)
    except (OverflowError, TypeError, ValueError):
        return b"\xc1"


@schemathesis.serializer("application/x-ndjson")
def to_ndjson(ctx, value):
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


@schemathesis.deserializer("application/msgpack", "application/x-msgpack")
def from_msgpack(ctx, response):
    return msgpack.unpackb(response.content)


class _Explainer:
    async def explain(self, viewer, item=None):
        return {"viewer": viewer} if viewer == "u1" else None


async def _serve(folder: Path, up: threading.Event, said: dict[str, object]) -> None:
    stop = asyncio.Event()
    config = Settings()
    store = MemoryFeedStore()
    ids = [f"p{i}" for i in range(50)]
    await store.put_many([(viewer, bulk(ids)) for viewer in ("u1", "5", "0", "a", "")])
    async with await EventLog.open(config.log, folder) as log:
        services = Services(
            settings=config,
            clock=time.time,
            monotonic=time.monotonic,
            residency=Residency(config, time.monotonic),
            store=store,
            log=log,
            older=HandOlder(posts(ids)),
            explainer=_Explainer(),
        )
        listening = await serve(make_app(services), config, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        said.update(url=listening.url, stop=lambda: loop.call_soon_threadsafe(stop.set))
        up.set()
        await stop.wait()
        await listening.stop()


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A populated server in a thread of its own: schemathesis is a synchronous client."""
    up, said = threading.Event(), {}

    def main() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(tmp_path_factory.mktemp("log"), up, said))

    thread = threading.Thread(target=main)
    thread.start()
    assert up.wait(10)
    yield said["url"]
    said["stop"]()
    thread.join(10)
    assert not thread.is_alive()


MAXIMA = {"limit": Settings().server.page_items_max}
# from the table itself: what /openapi.json serves is held equal below
schema = schemathesis.openapi.from_dict(msgspec.json.decode(openapi.document(ROUTES, MAXIMA)))


EXCLUDED = {
    # What a schema cannot say: ids are bounded in bytes, `after` must name a known post, times lie at most a day ahead,
    # which attrs and objects go with which type of event.
    positive_data_acceptance: {"/v1/feeds/{user_id}", "/v1/feeds/{user_id}/explain", "/v1/events", "/v1/views"},
    # A bad entry spoils nothing: the request is accepted and the entry's problem is in the answer.
    negative_data_rejection: {"/v1/feeds:batchGet", "/v1/events"},
}


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_the_document_says(case, url):
    excluded = [check for check, paths in EXCLUDED.items() if case.path in paths]
    case.call_and_validate(base_url=url, excluded_checks=excluded)


def test_the_server_serves_this_document(url):
    with urlopen(f"{url}/openapi.json") as answer:
        assert answer.read() == openapi.document(ROUTES, MAXIMA)


def test_the_document_is_an_openapi_3_1_document_without_loose_ends():
    document = schema.raw_schema
    assert document["openapi"].startswith("3.1")
    named = {(method, path) for path, item in document["paths"].items() for method in item}
    assert named == {(route.method.lower(), route.path) for route in ROUTES}
    for name, component in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **component}), name
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            for status, response in operation["responses"].items():
                assert response["description"], (method, path, status)
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]
