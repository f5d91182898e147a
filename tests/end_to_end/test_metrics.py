"""/metrics of a server that generates: every family by the conventions, and every name in the docs is one of them."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from feedgen.commands.foreseen import Exposition
from feedgen.worker import PoolCounters
from tests.end_to_end.conftest import REPO
from tests.exposition import check

PAGES = (REPO / "README.md", *sorted((REPO / "docs").glob("*.md")))


def test_every_family_says_what_it_counts_and_is_what_the_docs_call_it(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    run("import", str(REPO / "docs/tour/events.jsonl"), "--data", str(tmp_path))
    with serve("up", "--data", str(tmp_path), "--now", "2025-01-01T10:00:00Z", "--port", "0") as server:
        server.walk("ann")
        text = server.read("/metrics")
    names = check(text)
    said = Exposition(text)
    named = said.of("forefeed_selection_candidates_total")
    assert {"followed", "popular", "trending"} < set(named)
    assert sum(named.values()) > 0
    assert {"own", "seen", "duplicate"} < set(said.of("forefeed_selection_removed_total"))
    assert set(said.of("forefeed_ranking_failed_total")) == {"missing", "raised", "late", "not_finite"}
    assert said.of("forefeed_ranking_stood_in_total") == {"previous": 0, "formula": 0}
    assert said.of("forefeed_ranking_trainings_total") == {"succeeded": 0, "failed": 0}
    assert said.one("forefeed_worker_generated_total") >= 1
    assert said.one("forefeed_state_events_folded_total") > said.one("forefeed_state_posts") > 0
    of_pool = {name for name in names if name.startswith("forefeed_worker_")}
    assert len(of_pool) == len(fields(PoolCounters)), "a count of the pool is not shown"
    for page in PAGES:
        for name in re.findall(r"`(forefeed_\w+)", page.read_text(encoding="utf-8")):
            assert name in names, f"{page.name}: {name}"
