"""Health, metrics, unknown paths and methods, failures on our side; shutting down."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
import time
from datetime import datetime

import pytest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from cacheserver import negotiation
from cacheserver.app import HANDLERS, make_app
from cacheserver.encoded import Encoded
from cacheserver.residency import Residency
from cacheserver.server import serve, set_aside
from cacheserver.shelf import Shelf
from feedgen.config import Server, Settings
from feedgen.errors import ForefeedError
from feedgen.feed.feedmap import FeedMap
from tests.cacheserver.doubles import until
from tests.exposition import check

PATIENT = Settings(server=Server(generate_deadline_s=30.0))


async def test_alive_and_ready(start):
    said = {"ready": False}
    rig = await start(ready=lambda: said["ready"])
    assert (await rig.get("/healthz")).json == {"status": "ok"}
    waiting = await rig.get("/readyz")
    assert (waiting.status, waiting.headers["Content-Type"]) == (503, "application/problem+json")
    said["ready"] = True
    assert (await rig.get("/readyz")).json == {"status": "ready"}
    rig.app[HANDLERS].draining = True
    assert (await rig.get("/readyz")).status == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/v1/feeds", 404, None),
        ("GET", "/v1/feeds/a/b", 404, None),
        ("GET", "//v1/feeds/a", 404, None),
        ("GET", "/%2e%2e/etc/passwd", 404, None),
        ("PUT", "/v1/feeds/u1", 405, {"GET", "HEAD", "DELETE"}),
        ("HEAD", "/v1/events", 405, {"POST"}),
        ("OPTIONS", "/v1/events", 405, {"POST"}),
        ("GET", "/v1/feeds:batchGet", 405, {"POST"}),
        ("PATCH", "/healthz", 405, {"GET", "HEAD"}),
    ],
)
async def test_unknown_paths_and_methods_are_problems(start, method, path, status, allow):
    rig = await start()
    answer = await rig.call(method, path)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert allow is None or set(answer.headers["Allow"].split(",")) == allow
    assert method == "HEAD" or answer.json["status"] == status


async def test_head_is_get_without_the_body(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    await rig.feed("u1")  # now it is resident
    get, head = await rig.feed("u1"), await rig.call("HEAD", "/v1/feeds/u1")
    assert (head.status, head.body) == (200, b"")
    same = ("ETag", "Content-Length", "Content-Type", "Cache-Status", "Age")
    assert [head.headers[name] for name in same] == [get.headers[name] for name in same]
    assert (await rig.call("HEAD", "/healthz")).status == 200


async def test_metrics_tell_what_happened(start):
    rig = await start(families=lambda: [GaugeMetricFamily("forefeed_state_posts", "Posts kept", value=17)])
    await rig.put("u1", ["p1"])
    await rig.put_trending(["t1"])
    for path in ("/v1/feeds/u1", "/v1/feeds/u1", "/v1/feeds/nobody", "/v1/feeds/u1?limit=x", "/nowhere"):
        await rig.get(path)
    answer = await rig.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    check(answer.body.decode())
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    feeds = ("route", "/v1/feeds/{user_id}")
    assert samples["forefeed_http_requests_total", feeds, ("status", "200")] == 3
    assert samples["forefeed_http_requests_total", feeds, ("status", "400")] == 1
    assert samples["forefeed_http_requests_total", ("route", "unmatched"), ("status", "404")] == 1
    assert samples["forefeed_http_request_seconds_count", feeds] == 4
    for cache, count in (("hit", 1), ("miss", 1), ("fallback", 1), ("stale", 0)):
        assert samples["forefeed_feed_reads_total", ("cache", cache)] == count
    assert samples["forefeed_cache_feeds",] == 1
    assert samples["forefeed_cache_bytes",] == rig.residency.nbytes > 0
    assert samples["forefeed_cache_evictions_total",] == 0
    assert samples["forefeed_miss_wait_seconds_count",] == 2
    assert samples["forefeed_state_posts",] == 17
    assert samples["process_resident_memory_bytes",] > 1 << 20
    assert samples["process_open_fds",] > 0


async def test_a_sweep_that_fails_is_said_when_it_does(start, monkeypatch, caplog):
    async def fail(residency: Residency) -> None:
        raise ZeroDivisionError("a fault in the sweep")

    monkeypatch.setattr(Residency, "sweep", fail)
    rig = await start()
    await until(lambda: "the sweep of the cache stopped" in caplog.text)
    assert (await rig.get("/healthz")).status == 200


class _BrokenExplainer:
    async def explain(self, viewer, item=None):
        raise ZeroDivisionError("a secret of the house")


async def test_a_fault_of_ours_is_a_problem_without_internals_and_a_traceback_in_the_log(start, caplog):
    rig = await start(explainer=_BrokenExplainer())
    answer = await rig.get("/v1/feeds/u1/explain")
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b"secret" not in answer.body
    assert b"Zero" not in answer.body
    assert any(record.exc_info and "a secret" in str(record.exc_info[1]) for record in caplog.records)


async def test_a_stop_finishes_what_is_in_flight_and_leaves_no_task(start, generator, make_client):
    rig = await start(settings=PATIENT, generator=generator)
    before = asyncio.all_tasks()
    generator.gate.clear()
    generator.feeds["u1"] = None
    client = await make_client(rig)
    await client.send(b"GET /v1/feeds/u1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: generator.generated == ["u1"])
    idle = await make_client(rig)
    stopping = asyncio.create_task(rig.listening.stop())
    await until(lambda: rig.app[HANDLERS].draining)
    assert await idle.rest() == b""  # idle connections are closed at once
    assert not stopping.done()
    generator.gate.set()
    assert (await client.rest()).startswith(b"HTTP/1.1 200 OK\r\n")
    await stopping
    await until(lambda: asyncio.all_tasks() <= before)
    with pytest.raises(OSError):
        await make_client(rig)


async def test_a_stop_does_not_wait_for_ever(start, generator, make_client):
    server = Server(generate_deadline_s=30.0, shutdown_s=0.05)
    rig = await start(settings=Settings(server=server), generator=generator)
    generator.gate.clear()
    client = await make_client(rig)
    await client.send(b"GET /v1/feeds/u1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: generator.generated == ["u1"])
    async with asyncio.timeout(5):
        await rig.listening.stop()
    assert rig.origin.under_way == 0
    assert await client.rest() == b""


async def test_a_reader_who_hangs_up_disturbs_nobody(start, generator, make_client, caplog):
    rig = await start(settings=PATIENT, generator=generator)
    generator.gate.clear()
    clients = [await make_client(rig) for _ in range(20)]
    for client in clients:
        await client.send(b"GET /v1/feeds/u1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: rig.origin.waiting == 20)
    for client in clients[1:]:
        client.abort()
    generator.gate.set()
    assert b"200 OK" in await clients[0].until_blank_line()
    assert (await rig.get("/healthz")).status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert generator.generated == ["u1"]


async def test_a_reader_who_does_not_read_holds_up_nobody(start, make_client):
    rig = await start()
    await rig.put("u1", [f"post-number-{i}" for i in range(100)])
    slow = await make_client(rig)
    await slow.send(b"GET /v1/feeds/u1?limit=100 HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000)
    for _ in range(20):
        assert (await rig.feed("u1", limit=3)).status == 200
    assert b"200 OK" in await slow.until_blank_line()
    slow.abort()


async def test_a_body_that_dawdles_is_given_up(start, make_client, monkeypatch):
    monkeypatch.setattr(negotiation, "BODY_DEADLINE_S", 0.05)
    rig = await start()
    client = await make_client(rig)
    await client.send(
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n["
    )
    head = await client.until_blank_line()
    assert b"408 Request Timeout" in head
    assert b"Connection: close" in head


async def test_a_busy_port_is_one_clear_line(start):
    rig = await start()
    app = make_app(rig.services)
    with pytest.raises(ForefeedError) as caught:
        await serve(app, rig.settings, "127.0.0.1", rig.listening.port)
    assert str(rig.listening.port) in str(caught.value)
    assert "--port" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_an_address_that_is_not_ours_is_one_clear_line(start):
    rig = await start()
    with pytest.raises(ForefeedError, match="--host"):
        await serve(make_app(rig.services), rig.settings, "192.0.2.1", 0)


async def test_what_is_in_memory_is_spared_the_garbage_collector(start):
    rig = await start()
    await rig.put("u1", ["p1"])
    await rig.feed("u1")
    shelf = rig.residency.read("u1")
    assert any(each is shelf for each in gc.get_objects())
    set_aside()
    try:
        assert not any(each is shelf for each in gc.get_objects())
    finally:
        gc.unfreeze()


async def test_what_leaves_memory_is_freed_without_the_garbage_collector(start):
    def held() -> int:
        return sum(isinstance(each, Shelf | FeedMap | Encoded) for each in gc.get_objects())

    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    gc.collect()
    gc.disable()
    try:
        before = held()
        for _ in range(3):
            await rig.feed("u1")
        assert held() >= before + 3, "a shelf, its feed and a page"
        rig.residency.drop("u1")
        await until(lambda: held() == before)
    finally:
        gc.enable()


def test_a_line_of_the_log_says_when_in_utc_and_where():
    says = "import logging, cacheserver.server as s; s.log_to_stderr(); logging.getLogger('a').error('b')"
    env = os.environ | {"TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", says], env=env, capture_output=True, text=True, check=True)
    when, rest = done.stderr.rstrip("\n").split(" ", 1)
    assert rest == "ERROR a: b"
    assert abs(datetime.fromisoformat(when).timestamp() - time.time()) < 600
