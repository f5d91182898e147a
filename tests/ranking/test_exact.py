"""ln and σ made of sums and products: right to the last places, and the kernels have the same bits."""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.kernels import exact as compiled
from feedgen.ranking.exact import ln, ln1p, ln_32, sigmoid, signed_ln1p

EPS = float(np.finfo(np.float64).eps)
sums = st.one_of(st.floats(-40, 40), st.floats(-1e3, 1e3), st.sampled_from((0.0, -0.0, np.inf, -np.inf, np.nan, 1e308)))


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.floats(1e-300, 1e300), st.floats(0.5, 2.0), st.floats(1 - 1e-9, 1 + 1e-9)))
def test_ln_is_right_to_the_last_places(value: float) -> None:
    exact, found = np.log(np.longdouble(value)), ln(np.array([value]))[0]
    assert abs(found - exact) <= 3 * EPS * max(abs(exact), 0.3 * abs(value - 1.0), 1e-300)
    assert compiled.ln(value) == found


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.floats(1.0, 2.0**127, width=32), st.floats(0.5, 2.0, width=32)))
def test_ln_of_float32_is_right_to_its_last_places(value: float) -> None:
    exact, found = np.log(np.float64(value)), ln_32(np.array([value], np.float32))[0]
    assert found.dtype == np.float32
    assert abs(found - exact) <= 3 * float(np.finfo(np.float32).eps) * max(abs(exact), 0.3 * abs(value - 1.0))
    assert compiled.ln_32(np.float32(value)) == found


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e15, 1e15))
def test_of_one_plus_what_is_there_with_its_sign(value: float) -> None:
    found = signed_ln1p(np.array([value]))[0]
    assert abs(found - np.copysign(np.log1p(abs(value)), value)) <= 4 * EPS * max(1.0, abs(found))
    assert np.signbit(found) == np.signbit(value)
    assert compiled.signed_ln1p(value) == found
    assert ln1p(np.array([abs(value)]))[0] == abs(found)


@settings(max_examples=300, deadline=None)
@given(st.floats(-690, 690))
def test_sigma_is_right_to_the_last_places(value: float) -> None:
    exact = 1.0 / (1.0 + np.exp(-np.longdouble(value)))
    assert abs(sigmoid(np.array([value]))[0] / exact - 1.0) < 4 * EPS


@settings(max_examples=300, deadline=None)
@given(st.lists(sums, max_size=20))
def test_sigma_has_the_same_bits_in_a_kernel(values: list[float]) -> None:
    found = np.array(values, np.float64)
    with np.errstate(all="ignore"):
        expected = sigmoid(found)
    compiled.squash(found)
    assert found.tobytes() == expected.tobytes()


def test_sigma_at_its_ends() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        ends = sigmoid(np.array([-np.inf, -1e9, 0.0, 1e9, np.inf, np.nan]))
    assert ends[2:5].tolist() == [0.5, 1.0, 1.0]
    assert 0.0 < ends[0] == ends[1] < 1e-300
    assert np.isnan(ends[5])
