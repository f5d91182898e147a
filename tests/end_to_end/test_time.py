"""What time it is: the wall clock's or --now's, and feeds that were made at another one."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
