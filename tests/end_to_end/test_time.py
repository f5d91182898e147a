"""What time it is: the wall clock's or --now's, and feeds that were made at another one."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def _imported(run: Callable[..., Any], folder: Path, events: list[dict[str, Any]]) -> str:
    source = folder / "events.jsonl"
    source.write_text("".join(json.dumps({"id": f"e{at}", **event}) + "\n" for at, event in enumerate(events)))
    run("import", str(source), "--data", str(folder))
    return str(folder)


def _ids(page: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in page["items"]]


def test_without_now_it_is_the_wall_clocks_time_however_long_the_start_took(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    data = _imported(run, tmp_path, [{"type": "login", "ts": 1.0, "actor": "vic"}])
    with serve("up", "--data", data, "--port", "0") as server:
        before = time.time()
        explained, _ = server.get("/v1/feeds/vic/explain")
        assert before <= explained["now"] <= time.time()


def test_what_a_run_with_now_passed_over_as_deleted_is_not_shown_by_one_without(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    now = time.time()
    data = _imported(
        run,
        tmp_path,
        [
            {"type": "follow", "ts": now - 20_000, "actor": "vic", "object": "ann"},
            {"type": "post", "ts": now - 9_000, "actor": "ann", "object": "kept"},
            {"type": "post", "ts": now - 8_000, "actor": "ann", "object": "gone"},
            {"type": "delete", "ts": now - 4_000, "actor": "ann", "object": "gone"},
        ],
    )
    run("generate", "--all", "--now", str(now - 7_200), "--data", data)
    with serve("--data", data, "--port", "0", module="cacheserver") as server:
        page, _ = server.get("/v1/feeds/vic")
        assert page["generated_at"] == pytest.approx(now - 7_200, abs=0.01)
        assert _ids(page) == ["kept"]


def test_a_feed_of_a_time_that_has_not_come_gives_way(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    now = time.time()
    data = _imported(
        run,
        tmp_path,
        [
            {"type": "follow", "ts": now - 20_000, "actor": "vic", "object": "ann"},
            {"type": "post", "ts": now - 9_000, "actor": "ann", "object": "old"},
            {"type": "post", "ts": now - 100, "actor": "ann", "object": "new"},
        ],
    )
    run("generate", "--all", "--data", data)
    refused = run("generate", "--all", "--now", str(now - 3_600), "--data", data)
    assert "2 feeds were not stored" in refused.stderr
    with serve("up", "--data", data, "--now", str(now - 3_600), "--port", "0") as server:
        page, _ = server.get("/v1/feeds/vic")
        assert _ids(page) == ["old"]
        assert page["generated_at"] < now
        stranger, _ = server.get("/v1/feeds/nobody")
        assert _ids(stranger) == ["old"]
    assert "3 stored feeds are of a later time" in "".join(server.said)
    later = run("generate", "--all", "--now", str(now + 9e6), "--data", data)
    assert "more than selection.days (30) ago, so feeds are empty" in later.stderr
    with serve("up", "--data", data, "--port", "0") as server:
        page, _ = server.get("/v1/feeds/vic")
        assert _ids(page) == ["new", "old"]
        assert page["generated_at"] <= time.time()
