"""Who ranks when the first does not: each way to fail injected, and the feed that comes of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from feedgen.config import Models, Settings
from feedgen.models.lining import Liner, version_of
from feedgen.models.ranker import LineUp, Version
from feedgen.models.registry import Registry
from feedgen.models.scorers import Ids
from feedgen.ranking.heads import formula
from tests.models.small import known, model
from tests.worlds import HOUR, NOW, Story

LATE = Settings(models=Models(deadline_ms=20.0, late_in_a_row=3, aside_s=60.0))
Says = Callable[[NDArray[np.float32]], NDArray[np.float64]]


class Clock:
    """Monotonic seconds that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Double:
    """A stage two that says what it is told to."""

    needs_ids = False

    def __init__(self, says: Says) -> None:
        self.says = says
        self.asked = 0

    def score(self, rows: NDArray[np.float32], ids: Ids | None) -> NDArray[np.float64]:
        self.asked += 1
        return self.says(rows)


def story(settings: Settings) -> Story:
    told = Story(settings)
    told.pipeline.ranker._monotonic = Clock()  # nothing is late but what a test makes late
    for number in range(6):
        told.tell(f"a{number}", "post", f"p{number}", days=0.1 * number + 0.1)
        told.tell("v", "follow", f"a{number}", days=9)
    return told


def version(name: str, stage_two: Double) -> Version:
    return Version(name, formula(LATE.ranking), stage_two)


def forwards(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return -np.arange(len(rows), dtype=np.float64)


def backwards(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.arange(len(rows), dtype=np.float64)


def raises(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    raise ValueError("a broken scorer")


def nan_for_one(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = np.zeros(len(rows))
    scores[-1] = np.nan
    return scores


def infinite(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.full(len(rows), np.inf)


def short(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.zeros(len(rows) - 1)


FAILURES = [(raises, "raised"), (nan_for_one, "not_finite"), (infinite, "not_finite"), (short, "not_finite")]


@pytest.mark.parametrize(("says", "reason"), FAILURES)
def test_what_fails_is_replaced_by_the_version_before_it(says: Says, reason: str) -> None:
    told = story(LATE)
    plain = told.shown("v")
    told.pipeline.ranker.line_up = LineUp((version("new", Double(says)), version("old", Double(backwards))))
    assert told.shown("v") == plain[::-1]
    counted = told.pipeline.ranker.counted
    assert {name for name, count in counted.items() if count} == {f"failed_{reason}", "by_previous"}


@pytest.mark.parametrize(("says", "reason"), FAILURES)
def test_where_both_fail_the_formula_ranks(says: Says, reason: str) -> None:
    told = story(LATE)
    plain = told.shown("v")
    told.pipeline.ranker.line_up = LineUp((version("new", Double(says)), version("old", Double(raises))))
    assert told.shown("v") == plain
    counted = told.pipeline.ranker.counted
    assert counted["by_formula"] == 1
    assert counted[f"failed_{reason}"] >= 1
    assert counted["failed_raised"] >= 1


def test_what_is_late_is_thrown_away_and_after_some_times_left_alone() -> None:
    told, clock = story(LATE), Clock()
    ranker = told.pipeline.ranker
    ranker._monotonic = clock
    plain = told.shown("v")

    def slow(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        clock.now += 0.021
        return backwards(rows)

    first = Double(slow)
    ranker.line_up = LineUp((version("new", first),))
    for _ in range(5):
        assert told.shown("v") == plain
    assert first.asked == 3
    assert (ranker.counted["failed_late"], ranker.counted["by_formula"]) == (5, 5)
    clock.now += 61.0
    first.says = backwards
    assert told.shown("v") == plain[::-1]
    assert first.asked == 4


def test_one_viewer_who_fails_does_not_change_the_feeds_of_the_others() -> None:
    told = story(LATE)
    for number in range(6):
        told.tell("w", "follow", f"a{number}", days=9)
    told.tell("w", "follow", "a9", days=9)
    told.tell("v", "block", "a9")
    told.tell("a9", "post", "p9", days=1)
    plain = [told.shown(viewer) for viewer in ("v", "w")]
    sizes = [len(feed) for feed in plain]
    assert sizes[0] != sizes[1]

    def breaks_for_w(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return nan_for_one(rows) if len(rows) == sizes[1] else backwards(rows)

    told.pipeline.ranker.line_up = LineUp((version("new", Double(breaks_for_w)),))
    made = told.pipeline.generate(["v", "w"], NOW)
    assert [told.shown(viewer) for viewer in ("v", "w")] == [plain[0][::-1], plain[1]]
    assert not any(isinstance(feed, Exception) for feed in made)


def test_explain_says_what_the_feed_is_though_a_model_ranks() -> None:
    told = story(Settings(models=Models(deadline_ms=1e6)))
    told.pipeline.ranker.line_up = LineUp((version_of(model(), told.settings),))
    explained = told.explainer.explain("v", NOW + HOUR)
    assert explained is not None
    feed = told.feed("v", NOW + HOUR)
    assert [item["item_id"] for item in explained["items"]] == [item.item_id for item in feed]
    assert [item["score"] for item in explained["items"]] == pytest.approx([item.score for item in feed], abs=1e-6)


def liner(folder: Path, said: list[str], settings: Settings | None = None) -> Liner:
    return Liner(Registry(folder), settings or Settings(), known, said.append)


def test_a_promotion_is_taken_up_and_so_is_a_roll_back(tmp_path: Path) -> None:
    said: list[str] = []
    registry, found = Registry(tmp_path), liner(tmp_path, said)
    assert found.look() is None
    first, second = registry.add(model()), registry.add(model(4))
    registry.promote(first, known())
    lined = found.look()
    assert lined is not None
    assert [one.name for one in lined.versions] == [first]
    assert found.look() is None
    registry.promote(second, known())
    lined = found.look()
    assert lined is not None
    assert [one.name for one in lined.versions] == [second, first]
    registry.roll_back(known())
    registry.roll_back(known())
    assert found.look() == LineUp()
    assert said == []


def test_a_version_that_went_missing_or_broke_is_stood_in_for(tmp_path: Path) -> None:
    registry, said = Registry(tmp_path), list[str]()
    first, second = registry.add(model()), registry.add(model(4))
    registry.promote(first, known())
    registry.promote(second, known())
    (tmp_path / second / "arrays.npz").write_bytes(b"nothing")
    lined = liner(tmp_path, said).look()
    assert lined is not None
    assert lined.missing
    assert [one.name for one in lined.versions] == [first]
    assert len(said) == 1
    assert second in said[0]
    told = story(Settings())
    told.pipeline.ranker.line_up = lined
    told.shown("v")
    counted = told.pipeline.ranker.counted
    assert (counted["failed_missing"], counted["by_previous"]) == (1, 1)
    (tmp_path / "promoted.json").write_text("{")
    lined = liner(tmp_path, said).look()
    assert lined == LineUp(missing=True)
    told.pipeline.ranker.line_up = lined
    told.shown("v")
    assert (counted["failed_missing"], counted["by_formula"]) == (2, 1)


@pytest.mark.parametrize(
    ("scorer", "kind"), [("linear", "WideScorer"), ("trees", "TreesScorer"), ("stacked", "StackedScorer")]
)
def test_as_much_of_a_version_ranks_as_is_wanted(tmp_path: Path, scorer: str, kind: str) -> None:
    settings = Settings(models=Models(scorer=scorer))  # type: ignore[arg-type]
    found = version_of(model(), settings)
    assert type(found.stage_two).__name__ == kind


def test_with_the_formula_wanted_nothing_is_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(registry.add(model()), known())
    assert liner(tmp_path, [], Settings(models=Models(scorer="formula"))).look() is None
