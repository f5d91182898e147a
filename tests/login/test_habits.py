"""Habits: the same however the events are cut into batches, small, and equal to a plain count."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedgen.state.habits import ROW, SILENT_S, Habits
from tests.login.communities import DAY, START

events = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40 * DAY), st.booleans()), min_size=1, max_size=40)


def absorbed(found: list[tuple[int, int, bool]], cuts: list[int]) -> Habits:
    habits = Habits()
    bounds = [0, *sorted(cut for cut in cuts if cut < len(found)), len(found)]
    for begin, end in pairwise(bounds):
        part = found[begin:end]
        habits.absorb(
            np.array([viewer for viewer, _, _ in part], np.int64),
            np.array([START + ts for _, ts, _ in part], np.float64),
            np.array([came for _, _, came in part], np.bool_),
        )
    return habits


def test_a_viewer_costs_at_most_256_bytes() -> None:
    assert ROW.itemsize <= 256


@given(events, st.lists(st.integers(1, 40), max_size=6))
def test_batches_make_no_difference(found: list[tuple[int, int, bool]], cuts: list[int]) -> None:
    found.sort(key=lambda event: event[1])
    whole, parts = absorbed(found, []), absorbed(found, cuts)
    assert whole.count == parts.count
    assert whole.rows.tobytes() == parts.rows.tobytes()
    assert whole.online == parts.online
    assert list(whole.recent) == list(parts.recent)
    np.testing.assert_allclose(whole.weekly, parts.weekly, rtol=1e-9)


@given(events)
def test_no_order_breaks_it(found: list[tuple[int, int, bool]]) -> None:
    rows = absorbed(found, list(range(40))).rows
    last: dict[int, int] = {}
    total: Counter[int] = Counter()
    for viewer, ts, came in found:
        if came:
            last[viewer] = max(last.get(viewer, 0), START + ts)
            total[viewer] += 1
    for viewer, came_at in last.items():
        assert rows["came"][viewer] == came_at
        assert rows["total"][viewer] == total[viewer]
    for name in ("rhythm", "gaps", "counts", "length", "gap"):
        assert np.isfinite(rows[name].astype(np.float64)).all()
        assert (rows[name].astype(np.float64) >= 0).all()


def test_the_histogram_is_a_decayed_count_of_hours() -> None:
    hours = [8.5, 8.5, 9.0, 20.75]  # an hour's middle, the same a day later, the border of two hours, …
    found = [(0, int(day * DAY + hour * 3_600), True) for day, hour in enumerate(hours)]
    rhythm = absorbed(found, []).rows["rhythm"][0].astype(np.float64)
    expected = np.zeros(24)
    for day, hour in enumerate(hours):
        worth = 0.5 ** (((3 - day) + (20.75 - hour) / 24) / 10)
        low = int(np.floor(hour - 0.5))
        share = hour - 0.5 - low
        expected[low] += worth * (1 - share)
        expected[(low + 1) % 24] += worth * share
    np.testing.assert_allclose(rhythm[0], expected, rtol=5e-3, atol=1e-3)  # float16, rounded at every login
    weekend, weekdays = rhythm[2].sum(), rhythm[1].sum()
    assert weekend > 1.9
    assert weekdays > 1.9


def test_hours_are_the_viewers_own_where_the_zone_is_known() -> None:
    habits = Habits()
    habits.locate(0, -300)
    habits.absorb(np.array([0]), np.array([START + 8.5 * 3_600]), np.array([True]))
    assert int(np.argmax(habits.rows["rhythm"][0, 0])) == 3


def test_who_is_there_and_who_is_not() -> None:
    habits = absorbed([(0, 0, True), (0, 600, False), (0, 4_000, True), (1, 5_000, True), (2, 9, False)], [])
    everyone = np.arange(3)
    now = START + 5_100.0
    assert habits.away(everyone, now).tolist() == [False, False, False]  # there, there, never came
    assert habits.online == 1  # viewer 1 was never reported to leave: nobody knows how to tell
    assert habits.away(everyone, now + SILENT_S).tolist() == [False, True, False]
    assert habits.away(everyone, now + DAY).tolist() == [True, True, False]


def test_a_late_login_counts_and_opens_no_session() -> None:
    habits = absorbed([(0, 10 * DAY, True), (0, 10 * DAY + 60, False)], [])
    before = habits.rows[0].copy()
    habits.absorb(np.array([0]), np.array([START + 9.0 * DAY]), np.array([True]))
    after = habits.rows[0]
    assert after["came"] == before["came"]
    assert after["counts"][0] > before["counts"][0]
    assert habits.away(np.array([0]), START + 10.0 * DAY + 61).all()
