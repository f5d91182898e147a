"""A running server takes a promotion up, and a roll-back, without a restart."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feedgen.commands.foreseen import Exposition
from feedgen.models.registry import Registry
from tests.end_to_end.conftest import REPO, Served
from tests.models.small import known, model


def _ranks(served: Served) -> float:
    found = Exposition(served.read("/metrics")).one("forefeed_ranking_version_until_timestamp_seconds")
    assert found is not None
    return found


def _wait_until(served: Served, until: float) -> None:
    for _ in range(200):
        if _ranks(served) == until:
            return
        time.sleep(0.1)
    raise TimeoutError("".join(served.said))


def test_a_promotion_is_taken_up_without_a_restart(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    data, config = str(tmp_path / "data"), tmp_path / "config.yaml"
    config.write_text("models: {poll_s: 0.2}")
    run("import", str(REPO / "docs/tour/events.jsonl"), "--data", data)
    registry = Registry(tmp_path / "data" / "models")
    name = registry.add(model())
    with serve("up", "--data", data, "--port", "0", "--now", "2025-01-01T10:00:00Z", "--config", str(config)) as served:
        assert _ranks(served) == 0.0
        before, _ = served.get("/v1/feeds/ann/explain")
        assert before["ranked_by"] == "formula"
        registry.promote(name, known())
        _wait_until(served, model().meta.until)
        after, _ = served.get("/v1/feeds/ann/explain")
        assert after["ranked_by"] == name
        assert {item["item_id"] for item in after["items"]} == {item["item_id"] for item in before["items"]}
        registry.roll_back(known())
        _wait_until(served, 0.0)
