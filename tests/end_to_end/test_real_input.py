"""The main job on real input: import → generate → serve → page to the end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOW = "2024-12-31T00:00:00Z"
NOW_S = 1735603200.0


def check_walk(items: list[dict[str, Any]], statuses: list[str], until_s: float, kept: int) -> None:
    """Each item once; the kept ones, then older ones newest first; nothing from the future."""
    ids = [item["item_id"] for item in items]
    assert len(set(ids)) == len(ids)
    head, tail = items[:kept], items[kept:]
    assert all(
        item["reason"] in {"followed", "new_followee", "popular", "grown", "interest", "trending"} for item in head
    )
    assert all(item["reason"] == "older" for item in tail)
    times = [item["created_at"] for item in tail]
    assert times == sorted(times, reverse=True)
    assert max(item["created_at"] for item in items) <= until_s
    assert all(status.startswith("forefeed; hit") for status in statuses)


def test_a_real_community_is_imported_generated_and_paged_to_the_end(
    run: Callable[..., Any], serve: Callable[..., Any], reviews: Path, tmp_path: Path
) -> None:
    data = str(tmp_path)
    imported = json.loads(run("import", str(reviews), "--data", data).stdout)
    assert (imported["read"], imported["appended"], imported["refused"]) == (216_389, 216_389, 0)
    generated = json.loads(run("generate", "--all", "--now", NOW, "--data", data).stdout)
    assert generated["feeds"] == 1_730
    with serve("up", "--data", data, "--now", NOW, "--port", "0") as server:
        for viewer, at_least in (("u113", 1_000), ("u786", 1_000), ("u330", 1_000), ("u1", 100)):
            items, statuses = server.walk(viewer)
            kept = sum(item["reason"] != "older" for item in items)
            assert 100 <= kept <= 500
            assert min(item["created_at"] for item in items[:kept]) >= NOW_S - 30 * 86_400
            check_walk(items, statuses, NOW_S, kept)
            assert len(items) >= at_least
        stranger, _ = server.get("/v1/feeds/nobody-knows-me")
        assert len(stranger["items"]) == 20


@pytest.mark.parametrize("seed", [3])
def test_the_own_generators_slice_goes_the_same_way(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path, seed: int
) -> None:
    """The same main job where the real community's log is not at hand."""
    from feedgen.synthetic import NetworkSpec, generate, write_jsonl

    spec = NetworkSpec(viewers=120, followees_mean=40, seed=seed, posts_per_author_day=1.0)
    network = generate(spec)
    source, data = tmp_path / "slice.jsonl.gz", str(tmp_path / "data")
    write_jsonl(network, source)
    imported = json.loads(run("import", str(source), "--data", data).stdout)
    assert imported["appended"] == len(network)
    now = str(spec.end)
    generated = json.loads(run("generate", "--all", "--now", now, "--data", data).stdout)
    assert generated["feeds"] >= 120
    with serve("up", "--data", data, "--now", now, "--port", "0") as server:
        for viewer in ("u0", "u7", "u119"):
            page, _ = server.get(f"/v1/feeds/{viewer}?limit=100")
            items, statuses = server.walk(viewer)
            kept = sum(item["reason"] != "older" for item in items)
            check_walk(items, statuses, spec.end, kept)
            assert [item["item_id"] for item in page["items"]] == [item["item_id"] for item in items[:100]]
