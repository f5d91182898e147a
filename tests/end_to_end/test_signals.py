"""Starting from nothing, and being told to stop at any time: one line, the right status, nothing lost."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.conftest import REPO


def test_up_begins_an_empty_log_and_serves_what_is_posted(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    data = str(tmp_path / "new")
    now = time.time()
    events = [
        {"id": "1", "type": "follow", "ts": now - 9, "actor": "vic", "object": "ann"},
        {"id": "2", "type": "post", "ts": now - 5, "actor": "ann", "object": "p"},
    ]
    with serve("up", "--data", data, "--port", "0") as server:
        assert "an empty one is begun" in "".join(server.said)
        body = json.dumps(events).encode()
        post = Request(server.url + "/v1/events", body, {"Content-Type": "application/json"})
        with urlopen(post, timeout=30) as response:
            assert response.status == 202
        deadline = time.monotonic() + 20
        items: list[Any] = []
        while not items and time.monotonic() < deadline:
            page, headers = server.get("/v1/feeds/vic")
            items = [] if "fallback" in headers["Cache-Status"] else page["items"]
            time.sleep(0.05)
        assert [item["item_id"] for item in items] == ["p"]
    assert server.process.returncode == 0
    assert json.loads(run("status", "--data", data).stdout)["events"] == 2


def test_a_file_is_no_data_folder(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for command in ("up", "status"):
        done = run(command, "--data", str(file), check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"feedgen: {file} is not a folder; --data names the folder of the event log\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_demo_says_so_in_one_line_and_can_be_repeated(
    run: Callable[..., Any], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    args = ("demo", "--once", "--viewers", "200", "--data", str(tmp_path / "d"))
    process = subprocess.Popen(
        [sys.executable, "-m", "feedgen", *args], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "d" / "demo.json"
    while not log.exists() and process.poll() is None:  # the mark is written before the first event
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert err.splitlines()[-1] == "feedgen: interrupted; what was acknowledged is kept"
    assert "Traceback" not in err
    assert json.loads(run(*args).stdout)["feeds"] == 200
