"""`feedgen demo` from nothing to a page, and what goes wrong around it."""

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_once_prints_one_json_object_and_a_second_run_finds_its_data(run: Callable[..., Any], tmp_path: Path) -> None:
    args = ("demo", "--once", "--viewers", "200", "--data", str(tmp_path / "demo"))
    first, second = (json.loads(run(*args).stdout) for _ in range(2))
    assert first["viewers"] == first["feeds"] == second["feeds"] == 200
    assert first["posts"] > 1_000
    assert first["events"] == second["events"] > 10_000
    assert first["feeds_per_s"] > 0
    assert first["page_ms"] > 0
    assert set(first["seconds"]) == {"network", "log", "fold", "feeds", "first_page", "judge"}
    ndcg = first["ndcg_at_20"]
    assert ndcg["viewers"] > 50
    assert 1.0 >= ndcg["served"] > max(ndcg["newest"], ndcg["popularity"])
    assert ndcg == second["ndcg_at_20"]
    held = json.loads(run("status", "--data", str(tmp_path / "demo")).stdout)
    assert held["events"] == first["events"]
    assert held["feeds"] in (200, 201)  # who moderates has done something too, and may be given a feed


def test_its_curl_lines_work_when_pasted(serve: Callable[..., Any], tmp_path: Path) -> None:
    with serve("demo", "--viewers", "60", "--port", "0", "--data", str(tmp_path)) as server:
        assert server.process.stdout is not None
        lines = []
        while len(lines) < 3:
            line = server.process.stdout.readline()
            assert line, "the demo ended"
            if line.strip():
                lines.append(line.strip())
        assert all(line.startswith("curl -s 'http://127.0.0.1:") for line in lines)
        pages = []
        for line in lines:
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True)
            pages.append(done.stdout)
        first, second = json.loads(pages[0]), json.loads(pages[1])
        assert len(first["items"]) == len(second["items"]) == 3
        assert f"after={first['items'][-1]['item_id']}" in lines[1]
        assert not {i["item_id"] for i in first["items"]} & {i["item_id"] for i in second["items"]}
        assert re.search(r'"removed":\{"duplicate":\d+', pages[2])
    assert server.process.returncode == 0
    assert "stopping" in "".join(server.said)


def test_a_busy_port_is_one_line_before_any_work(run: Callable[..., Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("demo", "--port", str(port), "--data", str(tmp_path / "d"), check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"feedgen: port {port} on 127.0.0.1 is in use; choose another one with --port (0: any)"
    ]
    assert not (tmp_path / "d").exists()


def test_a_folder_with_other_data_is_left_alone(run: Callable[..., Any], tmp_path: Path) -> None:
    line = json.dumps({"id": "1", "type": "login", "ts": 1, "actor": "a"})
    (tmp_path / "own.jsonl").write_text(line + "\n")
    run("import", str(tmp_path / "own.jsonl"), "--data", str(tmp_path))
    done = run("demo", "--once", "--viewers", "10", "--data", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "holds another log" in done.stderr
    assert json.loads(run("status", "--data", str(tmp_path)).stdout)["events"] == 1
