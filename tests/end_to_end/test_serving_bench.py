"""The serving benchmark, small: it runs whole, says what it left out, and its load is what it says it is."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from loadtest import open_loop
from loadtest.odd_requests import Conversation, Findings
from loadtest.residents import feeds
from loadtest.visits import drawn_viewers, targets
from tests.end_to_end.conftest import serving

needs_psutil = pytest.mark.skipif(find_spec("psutil") is None, reason="the extra forefeed[bench] is not installed")
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on the PATH")


def test_visits_page_on_as_often_as_they_should() -> None:
    found = targets(viewers=50, items=200, count=20_000, limit=20, seed=1)
    assert len(found) == 20_000
    first = [target for target in found if "after=" not in target]
    assert len(found) / len(first) == pytest.approx(2.5, rel=0.1), "pages a visit"
    shares = Counter(target.partition("?")[0] for target in first).most_common()
    weights = 1.0 / np.arange(1, 51) ** 1.1
    assert shares[0][1] / len(first) == pytest.approx(weights[0] / weights.sum(), rel=0.15), "the most active viewer"


def test_every_target_names_an_item_of_that_viewers_feed() -> None:
    ids = {viewer: set(_texts(bulk)) for viewer, bulk in feeds(20, 100, 3, 1.7e9)}
    for target in targets(viewers=20, items=100, count=500, limit=20, seed=3):
        viewer, _, query = target.removeprefix("/v1/feeds/").partition("?")
        if query.startswith("after="):
            assert query.split("&")[0].removeprefix("after=") in ids[viewer]


def _texts(bulk: Any) -> list[str]:
    data: bytes = bulk.items.data
    return [data[at : at + 8].hex() for at in range(0, len(data), 8)]


def test_viewers_are_drawn_the_same_for_the_same_seed() -> None:
    one, other = (drawn_viewers(1_000, 50, np.random.default_rng(5)) for _ in range(2))
    assert one == other


def test_the_open_loop_sends_at_its_rate_and_counts_what_is_not_200(tmp_path: Path) -> None:
    with serving("demo", "--viewers", "30", "--port", "0", "--data", str(tmp_path / "d")) as server:
        port = int(server.url.rsplit(":", 1)[1])
        requests = [
            b"GET /v1/feeds/u1?limit=5 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/feeds/u2?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        outcome = uvloop.run(open_loop.drive(port, requests, rate_per_s=200, seconds=1.0, connections=4))
    assert (outcome.answered, outcome.failed) == (100, 100)
    assert 0 < outcome.p50_ms <= outcome.p99_ms <= outcome.p99_9_ms


@needs_psutil
@needs_wrk
def test_the_benchmark_runs_whole(run: Callable[..., Any], tmp_path: Path) -> None:
    small = ("--viewers", "300", "--items", "100", "--store-viewers", "20", "--rounds", "1", "--seconds", "1")
    files = ("--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png"))
    done = run("serve", *small, "--connections", "4", "--drawn", "2000", *files, module="loadtest", timeout_s=300)
    figures = json.loads(done.stdout)
    assert json.loads((tmp_path / "r.json").read_text()) == figures
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    ours = ("fast lane", "ordinary path", "fast lane, 16 pipelined", "batchGet of 32, msgpack")
    theirs = ("nginx, a file", "Redis ZREVRANGEBYSCORE", "FastAPI + Redis")
    assert set(ours) <= set(figures["contests"])
    assert {*figures["contests"], *figures["left_out"]} == {*ours, *theirs}
    for name, found in figures["contests"].items():
        assert found["failed"] == 0, name
        assert found["pages_per_s"]["median"] > 0
    for found in (*figures["open_loop"], figures["first_reads"]):
        assert found["failed"] == 0
    assert figures["first_reads"]["cpu_us_per_page"] > figures["contests"]["fast lane"]["cpu_us_per_page"]["median"]
    assert figures["bytes_per_feed"] < figures["bytes_per_feed_with_pages"]
    assert "| fast lane |" in done.stderr


@needs_psutil
def test_hostile_clients_get_no_5xx_and_nobody_elses_page(run: Callable[..., Any], tmp_path: Path) -> None:
    few = ("--viewers", "200", "--rate", "200", "--seconds", "1", "--half-open", "50", "--slow", "5", "--odd", "400")
    done = run("hostile", *few, "--json", str(tmp_path / "r.json"), module="loadtest", timeout_s=200)
    figures = json.loads(done.stdout)
    assert json.loads((tmp_path / "r.json").read_text()) == figures
    odd = figures["odd_requests"]
    assert odd["wrong"] == []
    assert 400 <= odd["answered_or_refused"] < 400 + 32 * 8
    assert odd["answered_or_refused"] > 1.1 * odd["conversations"], "odd requests follow odd ones"
    assert odd["server_ready_afterwards"]
    assert {"200", "400", "405"} <= set(odd["statuses"])
    for part in ("idle", "half_open_and_slow", "beside_misses"):
        assert (figures[part]["answered"], figures[part]["failed"]) == (200, 0)
    misses = figures["misses"]
    assert misses["capacity_per_s"] > 0
    assert misses["answered"] > 0
    assert misses["failed"] == misses["refused"]


def test_an_answer_to_the_wrong_request_is_found() -> None:
    """What the odd requests are judged by, on answers that are made up."""
    said = Conversation(["v10", "v11", "v12"], ["v20", "v21"], [b"GET /v1/feeds/v20", b"GET /v1/feeds/%7621x"])

    def judged(*pages: str, status: int = 200) -> Findings:
        findings = Findings()
        head = f"HTTP/1.1 {status} Said\r\n\r\n".encode()
        findings.judge(said, b"".join(head + b'{"user_id":"%s"}' % viewer.encode() for viewer in pages))
        return findings

    for right, settled in (
        (("v10", "v20", "v11", "v21", "v12"), 2),
        (("v10", "v11", "v12"), 2),
        (("v10", "v21x"), 1),
        (("v10",), 1),
        ((), 1),
    ):
        assert (judged(*right).wrong, judged(*right).sent) == ([], settled)
    for wrong in (("v11",), ("v10", "v12", "v11"), ("v10", "v99"), ("v10", "v10"), ("v20", "v10")):
        assert len(judged(*wrong).wrong) == 1
    assert len(judged("v10", status=500).wrong) == 1
