"""The Locust scenarios against a real server: headless, over two processes, with no failure."""

import csv
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.end_to_end.conftest import REPO, serving

pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="the extra forefeed[bench] is not installed")


def locust(url: str, tmp_path: Path, *args: str) -> dict[str, dict[str, str]]:
    """What was asked for and how it went, by name."""
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--host", url, "--headless"]
    more = ["-u", "4", "-r", "4", "-t", "4s", "--csv", str(tmp_path / "run"), "--only-summary", *args]
    done = subprocess.run(
        [*command, *more],
        cwd=REPO,
        env={**os.environ, "FOREFEED_VIEWERS": "60"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    with (tmp_path / "run_stats.csv").open(newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("user", "name", "processes"),
    [("PageReader", "GET /v1/feeds", 1), ("BatchReader", "POST /v1/feeds:batchGet", 2)],
)
def test_readers_are_served_without_a_failure(tmp_path: Path, user: str, name: str, processes: int) -> None:
    with serving("demo", "--viewers", "60", "--port", "0", "--data", str(tmp_path / "d")) as server:
        spread = ["--processes", str(processes)] if processes > 1 else []
        rows = locust(server.url, tmp_path, *spread, user)
        metrics = server.read("/metrics")
    assert int(rows[name]["Request Count"]) > 50
    assert rows["Aggregated"]["Failure Count"] == "0", rows
    writes = sum(int(row["Request Count"]) for key, row in rows.items() if key in ("POST /v1/views", "POST /v1/events"))
    assert 0 < writes < int(rows[name]["Request Count"]) / 5
    assert 'status="500"' not in metrics
