"""Features and scores, against the formulas in their docstrings."""

from math import log, log1p

import numpy as np
import pytest

from feedgen.ranking.features import FEATURES, describe, weights_of
from feedgen.ranking.scorers import LinearScorer, finite_or_last
from tests.worlds import DAY, NOW, Story


@pytest.fixture
def story() -> Story:
    """`vic` follows `ann`, who wrote `past` (about tea) and then `p` (about tea and chess) a week ago."""
    told = Story()
    told.tell("vic", "follow", "ann", days=30)
    told.tell("ann", "post", "past", days=20, topics=["tea"])
    told.tell("ann", "post", "p", days=7, topics=["tea", "chess"])
    return told


def test_without_history_a_post_has_only_its_age(story: Story) -> None:
    assert story.score("vic", "p", "recency") == pytest.approx(-log(2))  # 168 hours
    assert story.score("vic", "p", "affinity") == pytest.approx(log(0.1))
    assert story.score("vic", "p", "engagement") == 0
    assert story.score("vic", "p", "topic") == pytest.approx(log(0.1))


def test_an_engagement_counts_for_its_author_and_its_topics(story: Story) -> None:
    story.tell("vic", "comment", "past", days=90)
    assert story.score("vic", "p", "affinity") == pytest.approx(log(0.1 + 3 / 2), rel=1e-6)  # a half-life ago
    assert story.score("vic", "p", "topic") == pytest.approx(log(0.1 + log1p(1) / 3))


def test_an_unlike_takes_the_affinity_back(story: Story) -> None:
    story.tell("vic", "like", "past", days=1)
    assert story.score("vic", "p", "affinity") > 0
    story.tell("vic", "unlike", "past")
    assert story.score("vic", "p", "affinity") == pytest.approx(log(0.1))
    assert story.score("vic", "p", "topic") == pytest.approx(log(0.1))


def test_a_later_like_replaces_an_earlier_one(story: Story) -> None:
    story.tell("vic", "like", "past", days=90)
    story.tell("vic", "like", "past", days=0)
    story.tell("vic", "like", "past", days=45)
    assert story.score("vic", "p", "affinity") == pytest.approx(log(0.1 + 1))
    assert story.score("vic", "p", "topic") == pytest.approx(log(0.1 + log1p(1) / 3))


def test_everyones_engagements_count_for_the_post_and_fade_in_a_day(story: Story) -> None:
    story.tell("wes", "share", "p", days=1)
    story.tell("xia", "save", "p", days=0)
    story.tell("xia", "dwell", "p", value=40.0)
    assert story.score("vic", "p", "engagement") == pytest.approx(log1p(4 / 2 + 2))
    assert story.score("vic", "p", "engagement", NOW + DAY) == pytest.approx(log1p(4 / 4 + 1))


def test_an_engagement_dated_ahead_counts_as_of_now(story: Story) -> None:
    story.tell("wes", "like", "p", days=-1)
    assert story.score("vic", "p", "engagement") == pytest.approx(log1p(1))


def test_an_edit_moves_the_taste_to_the_new_topics(story: Story) -> None:
    story.tell("vic", "like", "past", days=1)
    story.tell("ann", "edit", "past", topics=["jazz"])
    assert story.score("vic", "p", "topic") == pytest.approx(log(0.1))


def test_the_score_is_the_weighted_sum() -> None:
    features = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0]])
    assert LinearScorer(np.array([1.0, 0.5, -1.0, 2.0])).score(features).tolist() == [7.0, 2.0]
    assert LinearScorer(np.ones(4)).score(np.empty((0, 4))).tolist() == []


def test_what_is_not_finite_is_last() -> None:
    scores = np.array([3.0, np.nan, -2.0, np.inf, -np.inf])
    assert finite_or_last(scores).tolist() == [3.0, -3.0, -2.0, -3.0, -3.0]
    assert finite_or_last(np.array([np.nan, np.inf])).tolist() == [0.0, 0.0]
    assert finite_or_last(np.empty(0)).tolist() == []


def test_a_description_names_every_part(story: Story) -> None:
    weights = weights_of(story.settings.ranking).tolist()
    assert weights == [1.0, 1.0, 0.5, 1.0]
    told = describe([-1.0, 2.0, 4.0, 0.0], weights)
    assert list(told) == list(FEATURES)
    assert told["engagement"] == {"value": 4.0, "weight": 0.5, "part": 2.0}
