"""Figures of orders: beside a plain reading of their definitions, and intervals that know whose login it was."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.learning.orders import Scores, figures, interval

orders = st.permutations(range(30)).map(lambda order: order[:25])
wanted_ones = st.sets(st.integers(0, 40), min_size=1, max_size=25)


@settings(max_examples=50, deadline=None)
@given(orders, wanted_ones)
def test_figures_are_what_they_are_called(order: list[int], wanted: set[int]) -> None:
    got = figures(np.array(order), np.array(sorted(wanted)))
    hits = [place for place, post in enumerate(order) if post in wanted]
    gain = sum(1 / math.log2(2 + place) for place in hits if place < 20)
    most = sum(1 / math.log2(2 + place) for place in range(min(20, len(wanted))))
    near = sum(place < 20 for place in hits)
    plain = (gain / most, near / len(wanted), 1 / (1 + hits[0]) if hits else 0.0, len(hits) / len(wanted))
    assert got == pytest.approx(plain)


def test_an_order_that_holds_nothing_gains_nothing() -> None:
    assert figures(np.array([], np.int32), np.array([3])) == (0.0, 0.0, 0.0, 0.0)
    assert Scores().summary() == {}


def test_the_interval_is_of_viewers_not_of_logins() -> None:
    """Of two viewers with logins of one value each, the mean may be either's; drawing logins would all but fix it."""
    table = np.array([[0.0]] * 200 + [[1.0]] * 200)
    low, high = interval(["a"] * 200 + ["b"] * 200, table)
    assert (low[0], high[0]) == (0.0, 1.0)
    low, high = interval([f"v{at}" for at in range(400)], table)
    assert 0.4 < low[0] < 0.5 < high[0] < 0.6


def test_the_same_logins_give_the_same_interval() -> None:
    scores = Scores()
    for at in range(60):
        scores.add(f"v{at % 7}", (at / 60, 0.5, 0.25, 1.0))
    said = scores.summary()
    assert said == scores.summary()
    assert said["ndcg_at_20"]["low"] < said["ndcg_at_20"]["mean"] == 0.4917 < said["ndcg_at_20"]["high"]
    assert said["mrr"] == {"mean": 0.25, "low": 0.25, "high": 0.25}
