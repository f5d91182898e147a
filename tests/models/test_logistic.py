"""Lines: found by Newton's method from chunks, the same however the rows are cut."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.models.logistic import Chunk, Chunks, Line, logistic, sigmoid


def chunks_of(rows: np.ndarray, happened: np.ndarray, counts: np.ndarray, size: int) -> Chunks:
    def chunks() -> Iterator[Chunk]:
        for first in range(0, len(rows), size):
            part = slice(first, first + size)
            yield rows[part], happened[part], counts[part]

    return chunks


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(20, 300), st.integers(1, 4), st.integers(1, 400))
def test_no_line_is_better(seed: int, count: int, inputs: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(count, inputs)) * 10.0 ** rng.integers(-3, 4, inputs) + 5).astype(np.float32)
    happened = rng.random(count) < 0.4
    counts = rng.integers(1, 20, count).astype(np.float64)
    ridge = 0.5
    line = logistic(chunks_of(rows, happened, counts, size), inputs, ridge)
    mean = np.average(rows, axis=0, weights=counts)
    spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=counts))

    def loss(weights: np.ndarray, bias: float) -> float:
        logits = rows.astype(np.float64) @ weights + bias
        return float(
            counts @ (np.logaddexp(0, logits) - happened * logits) + ridge / 2 * ((weights * spread) ** 2).sum()
        )

    best = loss(line.weights, line.bias)
    for _ in range(10):
        step = rng.normal(size=inputs + 1) * 0.01
        assert loss(line.weights + step[:-1] / spread, line.bias + step[-1] - step[:-1] / spread @ mean) >= best - 1e-4


def test_sampled_rows_that_count_for_more_give_the_line_of_all() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60_000, 2)).astype(np.float32)
    happened = rng.random(60_000) < sigmoid(rows[:, 0].astype(np.float64) - 3)
    whole = logistic(chunks_of(rows, happened, np.ones(60_000), 9_999), 2, 1.0)
    kept = happened | (rng.random(60_000) < 0.2)
    sampled = logistic(chunks_of(rows[kept], happened[kept], np.where(happened, 1.0, 5.0)[kept], 999), 2, 1.0)
    assert sampled.weights.tolist() == pytest.approx(whole.weights.tolist(), abs=0.08)
    assert sampled.bias == pytest.approx(whole.bias, abs=0.08)
    assert whole.weights.tolist() == pytest.approx([1.0, 0.0], abs=0.08)


def test_one_kind_alone_and_a_constant_input_do_no_harm() -> None:
    rows = np.ones((50, 2), np.float32)
    rows[:, 1] = np.arange(50)
    rows[3, 1] = np.nan
    line = logistic(chunks_of(rows, np.zeros(50, np.bool_), np.ones(50), 7), 2, 1.0)
    assert np.isfinite([*line.weights, line.bias]).all()
    assert line.bias + np.nan_to_num(rows) @ line.weights == pytest.approx(np.full(50, line.bias), abs=1.0)
    assert sigmoid(np.array([line.bias]))[0] < 0.01


def test_weights_are_counted_from_the_prior() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(3.0, 2.0, size=(500, 3)).astype(np.float32)
    happened = rng.random(500) < 1 / (1 + np.exp(3.0 - rows[:, 0]))
    prior = Line(np.array([-0.5, 0.2, 0.0]), 0.1)

    def line(ridge: float, prior: Line | None) -> Line:
        return logistic(lambda: iter([(rows, happened, np.ones(500))]), 3, ridge, prior)

    assert line(1e9, prior).weights == pytest.approx(prior.weights, abs=1e-3)
    assert line(1e-6, prior).weights == pytest.approx(line(1e-6, None).weights, abs=1e-3)
    nothing = np.zeros(500, np.bool_)
    assert np.isfinite(logistic(lambda: iter([(rows, nothing, np.ones(500))]), 3, 1.0, prior).weights).all()
