"""docs/operations.md: the backup of a folder in use is one moment, and a server starts from it."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.conftest import in_bash

REPO = Path(__file__).parents[2]
OPERATIONS = (REPO / "docs" / "operations.md").read_text(encoding="utf-8")
BACKUP = re.findall(r"```\n(cp -r DIR/snapshots.*?)```", OPERATIONS, re.DOTALL)


def post(url: str, ids: list[str], ts: float) -> None:
    lines = [json.dumps({"id": name, "type": "post", "ts": ts, "actor": "ann", "object": name}) for name in ids]
    request = Request(url + "/v1/events", "\n".join(lines).encode(), {"Content-Type": "application/x-ndjson"})
    with urlopen(request, timeout=30) as response:
        assert response.status == 202


def until(there: Callable[[], bool]) -> None:
    for _ in range(600):
        if there():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_backup_taken_while_serving_is_served_from(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("the command sqlite3 is not on this machine")
    now = time.time()
    (tmp_path / "often.yaml").write_text("snapshot: {every_s: 0.1, events_min: 1}\n", encoding="utf-8")
    follow = {"id": "f", "type": "follow", "ts": now - 9_000, "actor": "vic", "object": "ann"}
    (tmp_path / "events.jsonl").write_text(json.dumps(follow), encoding="utf-8")
    data, backup = tmp_path / "data", tmp_path / "backup"
    often = ("--config", str(tmp_path / "often.yaml"), "--port", "0")
    run("import", str(tmp_path / "events.jsonl"), "--data", str(data))
    (data / "models").mkdir()
    backup.mkdir()
    with serve("up", "--data", str(data), *often) as server:
        post(server.url, ["p1", "p2"], now - 60)
        until(lambda: any(made.name.endswith("3") for made in (data / "snapshots").glob("0*")))
        in_bash(BACKUP[0].replace("DIR", "data"), tmp_path)
        post(server.url, ["p3"], now - 50)
        server.process.kill()
    assert json.loads(run("status", "--data", str(backup)).stdout)["events"] == 3
    with serve("up", "--data", str(backup), *often) as server:
        assert not any("passed over" in line for line in server.said)
        assert "forefeed_state_events_folded_total 0.0" in server.read("/metrics")
        assert {item["item_id"] for item in server.walk("vic")[0]} == {"p1", "p2"}
