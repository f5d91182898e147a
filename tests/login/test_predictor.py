"""Features, network and predictor: finite, learnt by the right gradient, probabilities that come true."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.errors import ModelError
from feedgen.login.committee import MEMBERS, Committee
from feedgen.login.features import COUNT, features
from feedgen.login.network import SPAN_ENDS_S, fit
from feedgen.login.predictor import Learnt, Predictor, Rhythm, busy_s, survival
from feedgen.login.training import train
from feedgen.login.visits import Reader, Visits
from feedgen.state.habits import Habits
from tests.login.communities import DAY, START, visits
from tests.login.test_habits import absorbed, events

END = START + 90.0 * DAY


@pytest.fixture(scope="module")
def past() -> Visits:
    return visits()


@pytest.fixture(scope="module")
def committee(past: Visits) -> Committee:
    return train(past, START + 70.0 * DAY, moments=3_000)


@given(events, st.integers(0, 800 * DAY))
def test_features_are_finite_whatever_happened(found: list[tuple[int, int, bool]], later: int) -> None:
    habits = absorbed(found, [])
    seen = features(habits, np.arange(habits.count), float(START + later))
    assert seen.shape == (habits.count, COUNT)
    assert seen.dtype == np.float32
    assert np.isfinite(seen).all()


@given(events, st.floats(1.0, 30.0 * DAY), st.floats(1.0, 30.0 * DAY))
def test_a_longer_wait_is_never_less_likely(found: list[tuple[int, int, bool]], one: float, other: float) -> None:
    habits = absorbed(found, [])
    short, long = Predictor(habits, Rhythm()).within(
        np.arange(habits.count), START + 41.0 * DAY, min(one, other), max(one, other)
    )
    assert (short >= 0).all()
    assert (short <= long + 1e-12).all()
    assert (long <= 1).all()


def test_survival_is_the_product_of_the_spans() -> None:
    rng = np.random.default_rng(3)
    hazards = rng.random((5, len(SPAN_ENDS_S))) * 0.5
    for span_s in (1.0, 300.0, 1_000.0, 1_800.0, 50_000.0, 1_209_600.0, 2e6):
        for row, got in zip(hazards, survival(hazards, span_s), strict=True):
            kept, start = 1.0, 0.0
            for hazard, end in zip(row, SPAN_ENDS_S, strict=True):
                kept *= (1 - hazard) ** (min(max(span_s - start, 0), end - start) / (end - start))
                start = end
            if span_s > start:
                kept *= (1 - row[-1]) ** ((span_s - start) / (SPAN_ENDS_S[-1] - SPAN_ENDS_S[-2]))
            assert got == pytest.approx(kept)


def test_the_network_learns_what_decides() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40_000, COUNT)).astype(np.float32)
    chance = np.where(np.abs(rows[:, 0]) > 1, 0.3, 0.02)
    wait = np.where(rng.random(len(rows)) < chance, 100.0, np.inf)
    made = fit(rows, wait, np.full(len(rows), np.inf), np.ones(len(rows), np.float32), rng, epochs=10)
    fresh = rng.standard_normal((5_000, COUNT)).astype(np.float32)
    got = made.hazards(fresh)[:, 0]
    likely = np.abs(fresh[:, 0]) > 1
    assert got.mean() == pytest.approx(0.3 * likely.mean() + 0.02 * (~likely).mean(), rel=0.1)
    assert got[likely].mean() > 0.2
    assert got[~likely].mean() < 0.07


def weights(committee: Committee) -> list[np.ndarray]:
    return [each for network in committee.networks for each in network.weights]


def test_the_same_past_gives_the_same_networks(past: Visits) -> None:
    one, other = (weights(train(past, START + 60.0 * DAY, moments=300)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_what_comes_after_the_end_teaches_nothing(past: Visits) -> None:
    until = START + 60.0 * DAY
    whole, cut = train(past, until, moments=300), train(past.before(until), until, moments=300)
    assert all((a == b).all() for a, b in zip(weights(whole), weights(cut), strict=True))


def test_too_little_past_is_said(past: Visits) -> None:
    with pytest.raises(ModelError, match="too few to learn from"):
        train(past, START + 3.0 * DAY)


def test_a_committee_comes_back_from_its_file(committee: Committee, tmp_path: Path) -> None:
    committee.save(tmp_path / "a.npz")
    loaded = Committee.load(tmp_path / "a.npz")
    assert loaded is not None
    rows = np.random.default_rng(0).standard_normal((7, COUNT)).astype(np.float32)
    assert (loaded.agreed(rows) == committee.agreed(rows)).all()
    assert (loaded.hazards(rows) == committee.networks[0].hazards(rows)).all()
    assert Committee.load(tmp_path / "none.npz") is None
    np.savez(tmp_path / "other.npz", w0=rows)
    with pytest.raises(ModelError, match="of another version"):
        Committee.load(tmp_path / "other.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no model")
    with pytest.raises(ModelError, match=r"a\.npz is no login model"):
        Committee.load(tmp_path / "a.npz")


def test_what_is_agreed_is_the_mean_of_networks_that_differ(committee: Committee) -> None:
    rows = np.random.default_rng(0).standard_normal((7, COUNT)).astype(np.float32)
    each = [network.hazards(rows) for network in committee.networks]
    assert len(each) == MEMBERS
    assert not np.allclose(each[0], each[1])
    assert committee.agreed(rows) == pytest.approx(sum(each) / MEMBERS, rel=1e-5)


@given(
    st.lists(st.floats(0, 50), min_size=168, max_size=168),
    st.floats(0, 60 * DAY),
    st.lists(st.floats(0, 15 * DAY), min_size=1, max_size=2),
)
def test_busy_time_is_counted_hour_by_hour(weekly: list[float], later: float, spans: list[float]) -> None:
    now = START + later
    mean = sum(weekly) / 168 + 1
    for span, got in zip(spans, busy_s(np.array(weekly), now, np.array(spans)), strict=True):
        busy, at = 0.0, now
        while at < now + span:
            ends = min((at // 3_600 + 1) * 3_600, now + span)
            busy += (ends - at) * (weekly[int(at // 3_600) % 168] + 1) / mean
            at = ends
        assert got == pytest.approx(busy, rel=1e-6, abs=1e-2)


def test_what_is_predicted_comes_true(committee: Committee, past: Visits) -> None:
    """On twenty days it has not seen: as many logins as promised, and nearly all of them in the likeliest tenth."""
    habits = Habits()
    reader, logins, predictor = Reader(past, habits), past.logins(), Predictor(habits, Learnt(committee))
    promised, came = [], []
    for now in np.arange(START + 70.0 * DAY, END, 1_800.0).tolist():
        reader.read_before(now)
        away = np.flatnonzero(habits.away(np.arange(habits.count), now))
        promised.append(predictor.within(away, now, 1_800.0)[0])
        came.append(logins.until_next(away, now) < 1_800)
    chances, happened = np.concatenate(promised), np.concatenate(came)
    assert chances.sum() == pytest.approx(happened.sum(), rel=0.2)
    likeliest = np.argsort(-chances)[: len(chances) // 10]
    assert happened[likeliest].sum() > 0.8 * happened.sum()


def test_eviction_asks_who_comes_next(committee: Committee, past: Visits) -> None:
    habits = Habits()
    now = START + 80.0 * DAY + 3 * 3_600
    Reader(past, habits).read_before(now)
    worth = Predictor(habits, Learnt(committee)).soon(np.arange(habits.count), now, 21_600.0)
    by_name = dict(zip(past.names, worth, strict=True))
    assert by_name["u6"] > by_name["u4"]  # comes at six nearly daily; at twenty
    assert by_name["u6"] > by_name["u1"]  # comes at five, one day in five
