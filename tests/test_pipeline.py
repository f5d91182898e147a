"""The pipeline: equal to its plain twin, and the same to the byte whoever asks in whatever batches."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen.batch import AT_ONCE
from feedgen.config import Settings
from feedgen.events import Event
from feedgen.explaining import FeedExplainer
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk, encode_bulk
from feedgen.kernels.watch import STAGES
from feedgen.models.ranker import LineUp
from feedgen.pipeline import Pipeline
from feedgen.ranking.features import FEATURES
from feedgen.ranking.heads import Heads
from feedgen.selection.epoch import Epoch
from feedgen.state.state import State
from tests.twin import Twin
from tests.worlds import DAY, HOUR, NOW, PEOPLE, SMALL, Story, events, folded, items_of

LOOKS = (NOW, NOW + HOUR, NOW + 2 * DAY)


def encoded(state: State, now: float, settings: Settings = SMALL) -> list[bytes | None]:
    """Every viewer's feed as it is stored."""
    return stored(Pipeline(state, settings).generate(PEOPLE, now))


def stored(made: Sequence[Bulk | Exception | None]) -> list[bytes | None]:
    for feed in made:
        assert not isinstance(feed, Exception), feed
    return [encode_bulk(feed) if isinstance(feed, Bulk) else None for feed in made]


@settings(max_examples=300, deadline=None)
@given(events(), st.sampled_from(LOOKS))
def test_it_is_equal_to_its_plain_twin(found: list[Event], now: float) -> None:
    twin = Twin.of(found, SMALL)
    pipeline = Pipeline(folded(found), SMALL)
    for viewer, bulk in zip(PEOPLE, pipeline.generate(PEOPLE, now), strict=True):
        expected = twin.feed(viewer, now)
        if expected is None:
            assert bulk is None
            continue
        got = items_of(bulk)
        assert [item[:2] + item[3:] for item in got] == [item[:2] + item[3:] for item in expected]
        assert [item.score for item in got] == pytest.approx([item.score for item in expected], abs=1e-6)
    assert [item.item_id for item in items_of(pipeline.trending(now))] == twin.for_everyone(now)


@settings(max_examples=150, deadline=None)
@given(events(), st.sampled_from(LOOKS))
def test_candidates_and_features_are_equal_to_the_plain_twins(found: list[Event], now: float) -> None:
    twin = Twin.of(found, SMALL)
    pipeline = Pipeline(folded(found), SMALL)
    for viewer in PEOPLE:
        ranked = pipeline.rank_by_id(viewer, now)
        if ranked is None:
            continue
        candidates, names = twin.candidates(viewer, now), ranked.context.state.post_ids.names
        assert ranked.candidates == candidates.named
        assert ranked.removed["duplicate"] == candidates.twice
        assert sum(ranked.removed.values()) == sum(ranked.candidates.values()) - len(ranked.considered)
        kept = {names[post]: score for post, score in zip(ranked.considered, ranked.all_scores, strict=True)}
        assert kept == pytest.approx(twin.kept(viewer, now), abs=1e-6)
        for post, row in zip(ranked.posts, ranked.features.tolist(), strict=True):
            features = twin.features(viewer, names[post], now)
            assert dict(zip(FEATURES, row, strict=True)) == pytest.approx(features, abs=1e-9)
            assert tuple(features) == FEATURES


@settings(max_examples=30, deadline=None)
@given(events(), st.lists(st.sampled_from(LOOKS), min_size=1, max_size=4))
def test_neither_batches_nor_threads_nor_what_was_asked_before_matter(found: list[Event], looks: list[float]) -> None:
    state = folded(found)
    warm = Pipeline(state, SMALL)
    for now in looks:
        cold = encoded(state, now)
        assert [one for viewer in PEOPLE for one in stored(warm.generate([viewer], now))] == cold
        with ThreadPoolExecutor(4) as threads:
            made = threads.map(lambda viewer, now=now: warm.generate([viewer], now), PEOPLE * 2)
            assert [one for batch in made for one in stored(batch)] == cold * 2


def test_one_viewer_who_fails_does_not_take_the_batch_along(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    story.tell("a", "post", "p")
    story.tell("v", "login")
    batches = story.pipeline._batches
    make = batches.make

    def breaks(viewers: NDArray[np.int64], heads: Heads, epoch: Epoch, now: float) -> Any:
        if story.state.users.find("v") in viewers:
            raise ValueError("a broken scorer")
        return make(viewers, heads, epoch, now)

    monkeypatch.setattr(batches, "make", breaks)
    failed, unknown, made = story.pipeline.generate(["v", "nobody", "a"], NOW)
    assert isinstance(failed, ValueError)
    assert unknown is None
    assert items_of(made) == []


def test_older_posts_leave_the_epoch_of_generation_alone() -> None:
    story = Story()
    story.tell("a", "post", "p", days=3)
    story.tell("v", "follow", "a")
    story.feed("v")
    epoch = story.pipeline._epochs._epoch
    assert story.pipeline.older("v", until=NOW - DAY, after=None, exclude=(), limit=9)
    assert epoch is not None
    assert story.pipeline._epochs._epoch is epoch


def adds_up(item: dict[str, Any]) -> None:
    """Assert that the parts lead to the score, the score to the adjusted one, and the moves to the place."""
    parts = sum(feature["part"] for feature in item["features"].values())
    assert item["ranked_score"] == pytest.approx(parts - item["spam_penalty"], abs=1e-5)
    moves = item["diversity"]
    assert moves["author_penalty"] == pytest.approx(SMALL.diversity.author_penalty * moves["author_repeats"])
    adjusted = moves["normalised"] + moves["fresh_lift"] - moves["author_penalty"]
    assert item["score"] == pytest.approx(adjusted, abs=1e-5)
    places = moves["score_places"] + moves["media_places"] + moves["explore_places"]
    assert item["ranked_at"] + places == item["shown_at"]


@settings(max_examples=40, deadline=None)
@given(events(), st.sampled_from(LOOKS))
def test_an_explanation_is_of_the_feed_that_is_made(found: list[Event], now: float) -> None:
    state = folded(found)
    pipeline = Pipeline(state, SMALL)
    for viewer, bulk in zip(PEOPLE, pipeline.generate(PEOPLE, now), strict=True):
        told = FeedExplainer(state, pipeline).explain(viewer, now)
        if told is None:
            assert bulk is None
            continue
        assert [(item["item_id"], item["reason"]) for item in told["items"]] == [
            (item.item_id, item.reason) for item in items_of(bulk)
        ]
        assert sorted(item["ranked_at"] for item in told["items"]) == list(range(1, len(told["items"]) + 1))
        for item, stored in zip(told["items"], items_of(bulk), strict=True):
            adds_up(item)
            assert item["score"] == pytest.approx(stored.score, abs=1e-6)
            assert item["diversity"]["propensity"] == pytest.approx(FeedMap(bulk).propensity(stored.item_id), abs=1e-6)
        kept = sum(told["candidates"].values()) - sum(told["removed"].values())
        assert len(told["items"]) == min(kept, SMALL.feed.items)
        json.dumps(told, allow_nan=False)


def test_candidates_and_removals_are_counted_by_name() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    for post in ("p", "q", "r"):
        story.tell("ann", "post", post, days=2)
    story.tell("ann", "delete", "q")
    story.tell("vic", "hide", "r")
    story.explainer.explain("vic", NOW)  # looking counts nothing
    story.feed("vic")
    story.feed("vic")
    counted = story.pipeline.counted
    assert (counted["source_followed"], counted["filter_hidden"], counted["filter_deleted"]) == (4, 2, 0)
    assert counted["filter_seen"] == 0


@pytest.mark.parametrize("line_up", [LineUp(), LineUp(missing=True)], ids=["one stage", "two"])
def test_of_each_batch_one_viewer_is_timed_stage_by_stage(line_up: LineUp) -> None:
    story, people = Story(), [f"v{number}" for number in range(AT_ONCE + 1)]
    for person in people:
        story.tell(person, "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=1)
    story.pipeline.ranker.line_up = line_up
    began = time.thread_time()
    story.pipeline.generate(people, NOW)
    passed = time.thread_time() - began
    timed, took_s = story.pipeline.stage_times()
    assert timed == 2
    assert tuple(took_s) == STAGES
    assert min(took_s.values()) > 0
    assert sum(took_s.values()) < passed
