"""A network in tables becomes a snapshot, the log goes on from it, and without it nothing starts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feedgen.commands.bulking import LOCK
from feedgen.ondisk import Taken

pytest.importorskip("pyarrow", reason="bulk imports need the extra `parquet`")


def test_from_tables_to_feeds_and_what_a_missing_snapshot_says(run: Callable[..., Any], tmp_path: Path) -> None:
    network, data = tmp_path / "network", str(tmp_path / "data")
    made = json.loads(run("network", str(network), "--viewers", "60", module="loadtest").stdout)["rows"]
    told = json.loads(run("import", "--bulk", str(network), "--data", data).stdout)
    assert told["rows"]["users"] == 60
    assert {name: told["rows"][name] for name in ("follows", "posts", "views")} == {
        name: made[name] for name in ("follows", "posts", "views")
    }
    rest = json.loads(run("import", str(network / "events.jsonl"), "--data", data).stdout)
    assert (rest["appended"], rest["refused"]) == (made["events"], 0)
    done = run("generate", "--all", "--now", "2025-01-01", "--data", data)
    assert json.loads(done.stdout)["feeds"] >= 60
    assert "passed over" not in done.stderr
    again = run("import", "--bulk", str(network), "--data", data, check=False)
    assert again.returncode == 1
    assert "holds a log already; a bulk import begins one" in again.stderr
    shutil.rmtree(tmp_path / "data" / "snapshots")
    for command in (("generate", "--all"), ("explain", "u1"), ("up", "--port", "0")):
        refused = run(*command, "--data", data, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("feedgen: the log goes on from a bulk import")
        assert len(refused.stderr.splitlines()) == 1


def test_of_two_bulk_imports_at_once_the_second_is_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    network, data = tmp_path / "network", tmp_path / "data"
    run("network", str(network), "--viewers", "20", module="loadtest")
    data.mkdir()
    first = Taken(data / LOCK, os.O_CREAT | os.O_RDWR)
    refused = run("import", "--bulk", str(network), "--data", str(data), check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"feedgen: another bulk import fills {data}; wait for it, or name another --data\n"
    assert list(data.iterdir()) == [data / LOCK]
    first.close()
    assert json.loads(run("import", "--bulk", str(network), "--data", str(data)).stdout)["rows"]["users"] == 20
    assert not (data / LOCK).exists()


def test_a_state_is_measured_in_memory_on_disk_and_back(run: Callable[..., Any], tmp_path: Path) -> None:
    kept = tmp_path / "restart.json"
    args = ("--viewers", "200", "--rounds", "1", "--live", "50", "--json", str(kept))
    figures = json.loads(run("restart", *args, module="loadtest").stdout)
    assert figures == json.loads(kept.read_text())
    assert figures["snapshot"]["mb"] >= figures["all_parts_mb"] > 0
    assert figures["snapshot_beside_folding"]["events_folded_meanwhile"] >= 0
    assert [one["stands_at"] for one in figures["read_warm"]] == [one["stands_at"] for one in figures["read_cold"]]
    assert figures["read_warm"][0]["stands_at"] > 0
