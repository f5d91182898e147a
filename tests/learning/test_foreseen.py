"""Measures of probabilities: against plain counts, and against a world whose probabilities are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.learning.foreseen import SHARED, Foreseen, by_action, by_slice, curve, joined, sliced

rows_of = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans(), st.sampled_from([1.0, 20.0])),
    min_size=1,
    max_size=40,
)


def foreseen(rows: list[tuple[int, float, bool, float]]) -> Foreseen:
    viewers, odds, happened, counts = zip(*rows, strict=True)
    count = len(rows)
    return Foreseen(
        np.array([f"v{viewer}" for viewer in viewers]),
        {SHARED: np.array(odds)},
        {SHARED: np.array(happened)},
        np.array(counts),
        {"activity": np.arange(count) * 3.0, "network": np.ones(count), "age_hours": np.arange(count) * 9.0},
    )


@settings(max_examples=50, deadline=None)
@given(rows_of)
def test_measures_are_plain_counts(rows: list[tuple[int, float, bool, float]]) -> None:
    said = by_action(foreseen(rows))[SHARED]
    yes = [(odds, count) for _, odds, came, count in rows if came]
    no = [(odds, count) for _, odds, came, count in rows if not came]
    assert said["positives"] == len(yes)
    if not yes or not no:
        return
    wins = sum(a * b * ((p > q) + (p == q) / 2) for p, a in yes for q, b in no)
    assert said["auc"]["mean"] == pytest.approx(wins / (sum(a for _, a in yes) * sum(b for _, b in no)), abs=1e-6)
    there = sum(count for _, count in yes)
    assert said["calibration"]["mean"] == pytest.approx(sum(o * c for _, o, _, c in rows) / there, abs=1e-5)
    assert said["auc"]["low"] <= said["auc"]["high"]


def test_what_is_right_is_found_right_though_rows_were_left_out() -> None:
    """One row in ten of those in which nothing happened is kept: counted ten times, the curve is that of all."""
    rng = np.random.default_rng(5)
    odds = rng.beta(1, 8, 60_000)
    happened = rng.random(60_000) < odds
    kept = happened | (rng.random(60_000) < 0.1)
    counts = np.where(happened, 1.0, 10.0)[kept]
    for point in curve(odds[kept], happened[kept], counts):
        assert point["happened"] == pytest.approx(point["foreseen"], rel=0.15)
    plain = curve(odds[kept], happened[kept], np.ones(int(kept.sum())))
    assert all(point["happened"] > 1.5 * point["foreseen"] for point in plain)


@settings(max_examples=50, deadline=None)
@given(rows_of)
def test_slices_part_the_rows(rows: list[tuple[int, float, bool, float]]) -> None:
    whole = foreseen(rows)
    for name, column in whole.slices.items():
        masks = [mask for _, mask in sliced(name, column)]
        assert (np.sum(masks, axis=0) == 1).all()
    said = by_slice(joined([whole, whole]))
    for slices in said.values():
        assert sum(each["rows"] for each in slices.values()) == 2 * len(rows)
        assert sum(each["positives"] for each in slices.values()) == 2 * sum(row[2] for row in rows)
