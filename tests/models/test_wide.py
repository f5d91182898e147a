"""What the wide lines read: each input on the scale that is promised, and a sum that no batch shape changes."""

from math import copysign, inf, isnan, log1p, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.models.wide import levelled, logits_of
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS
from feedgen.ranking.signals import SIGNALS

UNITS = [None] * len(FEATURES) + [signal.unit for signal in SIGNALS]


def plain(value: float, unit: str | None) -> float:
    if isnan(value):
        value = 87_600.0 if unit == "h" else 0.0
    value = min(max(value, -87_600.0), 87_600.0) if value in (inf, -inf) else value
    return value if unit is None else copysign(log1p(abs(value)), value)


@given(st.lists(st.sampled_from((nan, inf, -inf, 0.0, -3.5, 0.2, 1e6)), min_size=1, max_size=40), st.integers(0, 200))
def test_each_input_is_on_its_scale(values: list[float], begin: int) -> None:
    row = [values[(begin + at) % len(values)] for at in range(len(INPUTS))]
    found = levelled(np.array([row, row[::-1]], np.float32))
    wanted = [plain(float(np.float32(value)), unit) for value, unit in zip(row, UNITS, strict=True)]
    assert found[0].tolist() == pytest.approx(wanted, rel=1e-6)
    assert np.isfinite(found).all()


def test_rows_have_the_same_sums_alone_and_among_others() -> None:
    rng = np.random.default_rng(2)
    level = levelled(rng.normal(size=(70, len(INPUTS))).astype(np.float32))
    weights, bias = rng.normal(size=(3, len(INPUTS))), rng.normal(size=3)
    found = logits_of(level, weights, bias)
    assert found == pytest.approx(level @ weights.T + bias)
    for first, last in ((0, 1), (3, 20), (69, 70)):
        assert logits_of(level[first:last], weights, bias).tolist() == found[first:last].tolist()
