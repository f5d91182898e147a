"""The judge: its measure against the formula, and what it says of orders that are known to be good or bad."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import Settings
from feedgen.pipeline import Pipeline
from feedgen.state.state import kind_weights
from feedgen.synthetic import NetworkSpec, generate
from feedgen.synthetic.judge import Judge, ndcg
from tests.worlds import folded


def test_the_measure_is_the_formula() -> None:
    gains = np.array([1.0, 3.0, 0.0, 2.0])
    best = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert ndcg(gains, np.array([0, 1, 2, 3])) == pytest.approx((1 + 3 / log2(3) + 2 / log2(5)) / best)
    assert ndcg(gains, np.array([0, 1, 2, 3]), depth=1) == pytest.approx(1 / 3)
    assert ndcg(np.zeros(3), np.arange(3)) == 1.0
    assert ndcg(np.empty(0), np.arange(0)) == 1.0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_no_order_is_better_than_the_oracles(gains: list[int], rng: object) -> None:
    worth = np.array(gains, np.float64)
    order = list(range(len(gains)))
    rng.shuffle(order)  # type: ignore[attr-defined]
    assert 0.0 <= ndcg(worth, np.array(order)) <= 1.0 + 1e-12
    assert ndcg(worth, np.argsort(-worth)) == pytest.approx(1.0)


def test_the_served_order_is_above_newest_first_and_popularity() -> None:
    network = generate(NetworkSpec(viewers=300, days=20, followees_mean=40.0, seed=2))
    state = folded(list(network.events()), settings=Settings())
    judge = Judge(Pipeline(state, Settings()), network.truth, kind_weights(Settings().ranking))
    now = float(network.spec.end)
    told = judge.judge([f"u{row}" for row in range(0, 300, 4)], now)
    assert told["viewers"] == 75
    assert told["ranked"] > 0.75
    assert told["served"] > max(told["newest"], told["popularity"]) + 0.1
    assert judge.judge(["nobody"], now)["viewers"] == 0


def test_what_would_harm_gains_nothing() -> None:
    network = generate(NetworkSpec(viewers=60, days=5, followees_mean=10.0, seed=2))
    pipeline = Pipeline(folded([], settings=Settings()), Settings())
    posts, now = ["p0", "p1", "p2"], float(network.spec.end)
    assert Judge(pipeline, network.truth, {"report": -5.0}).gains("u1", posts, now).tolist() == [0.0] * 3
    likes = network.truth.probability("like", "u1", posts, now)
    assert Judge(pipeline, network.truth, {"like": 2.0}).gains("u1", posts, now) == pytest.approx(2 * likes)
