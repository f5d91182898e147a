"""The judge, and what it says of the feeds of the default network."""

from itertools import permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import Settings
from feedgen.pipeline import Pipeline
from feedgen.state.state import State, kind_weights
from feedgen.synthetic import NetworkSpec, generate
from feedgen.synthetic.judge import Judge, ndcg

DAY = 86_400.0


def plain(gains: list[float], order: list[int], depth: int) -> float:
    """The definition: the best order is found by trying them all."""

    def dcg(found: list[int]) -> float:
        return sum(gains[at] / log2(place + 1) for place, at in enumerate(found[:depth], start=1))

    best = max(dcg(list(one)) for one in permutations(range(len(gains))))
    return dcg(order) / best if best > 0 else 1.0


@given(
    st.lists(st.sampled_from((0.0, 0.1, 0.5, 3.0)), max_size=5), st.randoms(use_true_random=False), st.integers(1, 4)
)
def test_ndcg_is_the_share_of_what_the_best_order_gains(gains: list[float], rng, depth: int) -> None:
    order = list(range(len(gains)))
    rng.shuffle(order)
    found = ndcg(np.array(gains, np.float64), np.array(order, np.intp), depth)
    assert found == pytest.approx(plain(gains, order, depth))


def test_what_would_harm_gains_nothing_and_what_is_worth_more_gains_more() -> None:
    network = generate(NetworkSpec(viewers=40, days=6, followees_mean=8.0, history_days=10.0, seed=3))
    state = State(Settings().state, Settings().ranking)
    state.fold(enumerate(network.events(), 1))
    pipeline, now = Pipeline(state, Settings()), float(network.spec.end)
    posts = [f"p{row}" for row in range(20)]
    likes = network.truth.probability("like", "u1", posts, now)
    shares = network.truth.probability("share", "u1", posts, now)
    both = Judge(pipeline, network.truth, {"like": 1.0, "share": 4.0}).gains("u1", posts, now)
    assert both.tolist() == pytest.approx((likes + 4 * shares).tolist())
    assert not Judge(pipeline, network.truth, {"report": -1.0}).gains("u1", posts, now).any()
    assert Judge(pipeline, network.truth, {}).judge(["nobody"], now)["viewers"] == 0


def test_feeds_of_the_default_network_are_close_to_the_oracles(record_property) -> None:
    network, settings = generate(NetworkSpec()), Settings()
    state = State(settings.state, settings.ranking)
    state.fold(enumerate(network.events(), 1))
    now = float(network.spec.end)
    active = [name for name in map(state.users.name, state.logins.active_since(now - 14 * DAY)) if name[0] == "u"]
    judge = Judge(Pipeline(state, settings), network.truth, kind_weights(settings.ranking))
    found = judge.judge(active[::20], now)
    record_property("ndcg_at_20", found)
    assert found["viewers"] > 200
    assert found["served"] >= 0.85, found
    assert found["served"] > max(found["newest"], found["popularity"]) + 0.2, found
