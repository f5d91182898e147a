"""Scoring heads: σ of weighted sums, times what each action is worth; the kernel has the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen import config
from feedgen.kernels import scoring
from feedgen.ranking.features import FEATURES
from feedgen.ranking.heads import Heads, configured, formula
from feedgen.ranking.scorers import finite_or_last

numbers = st.one_of(
    st.floats(-30, 30), st.floats(-1e3, 1e3), st.sampled_from((0.0, -0.0, np.inf, -np.inf, np.nan, 1e308, -1e308))
)


def heads_of(seed: int, count: int, squashed: bool) -> Heads:
    rng = np.random.default_rng(seed)
    actions = tuple(f"a{number}" for number in range(count))
    return Heads(actions, rng.normal(size=(count, len(FEATURES))), *rng.normal(size=(2, count)), squashed)


def by_kernel(heads: Heads, features: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = np.empty(len(features))
    parts = scoring.Scoring(heads.weights, heads.bias, heads.values, heads.squashed, 2.0, 500)
    scoring.score(np.ascontiguousarray(features.T), parts, scores)
    return scores


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans(), st.lists(numbers, max_size=3 * len(FEATURES)))
def test_the_kernel_scores_as_the_heads_do(seed: int, count: int, squashed: bool, found: list[float]) -> None:
    heads, rows = heads_of(seed, count, squashed), len(found) // len(FEATURES)
    features = np.array(found[: rows * len(FEATURES)]).reshape(rows, len(FEATURES))
    with np.errstate(all="ignore"):
        expected = finite_or_last(heads.score(features))
    assert by_kernel(heads, features).tobytes() == expected.tobytes()


def test_the_kernel_scores_many_candidates_as_the_heads_do() -> None:
    features = np.random.default_rng(1).normal(size=(999, len(FEATURES))) * 3.0
    for squashed in (False, True):
        heads = heads_of(7, 3, squashed)
        assert by_kernel(heads, features).tobytes() == finite_or_last(heads.score(features)).tobytes()


def test_without_heads_the_score_is_the_weighted_sum() -> None:
    settings = config.Ranking(topic_weight=2.0)
    heads = configured(settings)
    assert heads.weights.tolist() == [[getattr(settings, f"{name}_weight") for name in FEATURES]]
    features = np.zeros((2, len(FEATURES)))
    features[0, FEATURES.index("topic")] = 3.0
    assert heads.score(features).tolist() == [6.0, 0.0]
    assert heads.score(features[:0]).tolist() == []


def test_with_heads_it_is_the_worth_of_what_is_likely() -> None:
    like = config.Head(value=1.0, bias=1.0, weights={"topic": 2.0})
    hide = config.Head(value=-3.0, weights={"recency": -1.0})
    heads = configured(config.Ranking(heads={"like": like, "hide": hide}))
    row = np.zeros(len(FEATURES))
    row[FEATURES.index("topic")], row[FEATURES.index("recency")] = 0.5, 4.0
    chances = [1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(4.0))]
    assert heads.outputs(row[None, :])[0].tolist() == pytest.approx(chances)
    assert heads.score(row[None, :]).tolist() == pytest.approx([chances[0] - 3 * chances[1]])
    told = heads.describe(row)
    assert told["features"]["topic"] == {"value": 0.5, "weights": {"like": 2.0, "hide": 0.0}}
    assert told["heads"]["hide"] == {
        "probability": pytest.approx(chances[1]),
        "value": -3.0,
        "part": pytest.approx(-3 * chances[1]),
    }


def test_a_description_of_the_formula_names_every_part() -> None:
    heads = formula(config.Ranking(network_weight=0.5))
    told = heads.describe(np.array([*([0.0] * (len(FEATURES) - 1)), 4.0]))
    assert list(told) == ["features"]
    assert list(told["features"]) == list(FEATURES)
    assert told["features"]["network"] == {"value": 4.0, "weight": 0.5, "part": 2.0}


def test_heads_that_do_not_fit_are_refused() -> None:
    one, short = np.ones(1), np.ones((1, len(FEATURES) - 1))
    with pytest.raises(ValueError, match="do not fit"):
        Heads(("like",), short, one, one)
    with pytest.raises(ValueError, match="not finite"):
        Heads(("like",), np.ones((1, len(FEATURES))), one, one * np.nan)


def test_what_is_not_finite_is_last() -> None:
    scores = np.array([3.0, np.nan, -2.0, np.inf, -np.inf])
    assert finite_or_last(scores).tolist() == [3.0, -3.0, -2.0, -3.0, -3.0]
    assert finite_or_last(np.array([np.nan, np.inf])).tolist() == [0.0, 0.0]
    assert finite_or_last(np.empty(0)).tolist() == []
