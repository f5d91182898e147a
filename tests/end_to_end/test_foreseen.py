"""A server that generates ahead: what it foresaw, what came, and how the logins were met, as `status` says it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.conftest import feedgen


def _event(number: int, kind: str, ts: float, actor: str, target: str | None = None) -> dict[str, Any]:
    made = {"id": f"e{number}", "type": kind, "ts": ts, "actor": actor}
    return made if target is None else {**made, "object": target}


def test_status_says_how_logins_were_met(run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path) -> None:
    now = time.time()
    events = [_event(0, "follow", now - 9e5, "vic", "ann"), _event(1, "post", now - 9_000, "ann", "p1")]
    events += [_event(2 + days, "login", now - 86_400 * days - 7_200, "vic") for days in range(10)]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    settings = tmp_path / "config.yaml"
    settings.write_text("scheduler:\n  tick_s: 1\n")
    data = str(tmp_path / "data")
    run("import", str(tmp_path / "events.jsonl"), "--data", data)
    with serve("up", "--data", data, "--port", "0", "--config", str(settings)) as server:
        said = _until(lambda: _status(server.url, data), lambda said: said["serving"]["generations"]["made"] >= 1)
        assert said["feeds"] >= 1
        assert not said["serving"]["predictor"]["learnt"]  # ten logins teach nothing
        page, headers = server.get("/v1/feeds/vic")
        assert [item["item_id"] for item in page["items"]] == ["p1"]
        assert headers["Cache-Status"].startswith("forefeed; ")
        coming = json.dumps([_event(20, "login", time.time(), "vic"), _event(21, "login", time.time(), "new")])
        posted = Request(server.url + "/v1/events", coming.encode(), {"Content-Type": "application/json"})
        with urlopen(posted, timeout=30) as response:
            assert response.status == 202
        said = _until(lambda: _status(server.url, data), lambda said: said["serving"]["logins"]["missed"] >= 1)
    serving = said["serving"]
    assert serving["logins"] == {"fresh": 1, "stale": 0, "missed": 1, "fresh_share": 0.5}
    assert serving["generations"]["used"] == 1
    assert serving["feed_age_at_read_s"]["reads"] == 1
    assert serving["feed_age_at_read_s"]["p99"] <= 300
    assert serving["predictor"]["logins"] == 1
    assert serving["scheduler"]["chosen"] >= 1
    assert serving["scheduler"]["price"] > 0
    assert serving["queue"]["lag_s"] < 60


def _status(url: str, data: str) -> dict[str, Any]:
    done = feedgen("status", "--data", data, "--url", url)
    assert done.stderr.splitlines()[0].startswith("logins")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _until(ask: Callable[[], dict[str, Any]], enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for _ in range(30):
        if enough(said := ask()):
            return said
        time.sleep(0.3)
    pytest.fail(f"it never came to that: {said}")
