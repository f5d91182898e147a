"""Growth is a ratio of stretches of one round, so that what slows the machine for a round does not show in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.generate_table import table
from loadtest.speeds import Speed, growth

COSTS = st.floats(1.0, 1e4)


def stretches(cost: float, slow: list[float]) -> list[Speed]:
    """A caller's own time is three quarters of the cost, its server's a quarter; `slow` by round."""
    return [Speed(1e6 / (cost * times), cost * times * 0.75, cost * times * 0.25) for times in slow]


@given(st.lists(COSTS, min_size=1, max_size=4), st.lists(st.floats(0.2, 5.0), min_size=1, max_size=7))
def test_a_machine_that_slows_down_for_a_round_changes_no_growth(costs: list[float], slow: list[float]) -> None:
    grown = growth(range(len(costs)), [{"ours": stretches(cost, slow)} for cost in costs])["ours"]
    assert grown["sizes"] == list(range(len(costs)))
    assert grown["median"] == grown["least"] == pytest.approx([cost / costs[0] for cost in costs], abs=1e-3)


def test_median_is_of_the_rounds_and_least_of_the_least() -> None:
    small = [Speed(1.0, cpu, 0.0) for cpu in (100.0, 200.0, 100.0)]
    large = [Speed(1.0, cpu, 0.0) for cpu in (150.0, 240.0, 180.0)]
    assert growth([10, 20], [{"ours": small}, {"ours": large}]) == {
        "ours": {"sizes": [10, 20], "median": [1.0, 1.5], "least": [1.0, 1.5]}
    }


def test_growth_is_of_those_measured_at_every_size() -> None:
    speeds = stretches(5.0, [1.0])
    assert {*growth([10, 20], [{"ours": speeds, "sql": speeds}, {"ours": speeds}])} == {"ours"}


def test_the_table_has_a_line_for_each_size_and_caller_and_says_who_is_missing() -> None:
    measured = {
        "feeds_per_s": 5_000.0, "feeds_per_s_min": 4_000.0, "feeds_per_s_max": 6_000.0,
        "caller_cpu_us_per_feed": 150.0, "server_cpu_us_per_feed": 0.0,
    }  # fmt: skip
    peer = {**measured, "feeds_per_s": 500.0, "server_cpu_us_per_feed": 1_850.0, "ours_times_this": 10.0}
    sizes = [
        {"viewers": 10_000, "ours": measured, "sql": peer, "redis": {"skipped": "not asked for"}},
        {"viewers": 100_000, "ours": measured, "sql": peer, "redis": {"skipped": "needs 9 GB"}},
    ]
    grown = {"ours": {"sizes": [10_000, 100_000], "median": [1.0, 1.25], "least": [1.0, 1.3]}}
    lines = table({"sizes": sizes, "growth": grown}).splitlines()
    assert lines[1].split() == ["10,000", "ours", "5,000", "4,000-6,000", "150", "1", "1.00", "(1.00)"]
    assert lines[3].split() == ["100,000", "ours", "5,000", "4,000-6,000", "150", "1", "1.25", "(1.30)"]
    assert lines[4].split() == ["100,000", "sql", "500", "4,000-6,000", "2,000", "150+1,850", "10.0"]
    assert [line.split(maxsplit=2)[2] for line in lines[5:]] == ["left out: not asked for", "left out: needs 9 GB"]


def test_the_table_has_a_line_for_each_stage() -> None:
    sizes = [
        {"viewers": 10_000, "ours": {"stages_us": {"marks": 1.26, "heads": 20.0}}},
        {"viewers": 100_000, "ours": {"stages_us": {"marks": 2.5, "heads": 30.0}}, "sql": {}},
    ]
    head, *stages = (line.split() for line in table({"sizes": sizes, "growth": {}}).splitlines()[2:])
    assert head == ["us", "a", "feed", "ours", "10,000", "ours", "100,000"]
    assert stages == [["marks", "1.3", "2.5"], ["heads", "20.0", "30.0"]]
