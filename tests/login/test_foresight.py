"""Predictor and scheduler over a living state: gains, outcomes, and steps that name whom to generate for."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen import config
from feedgen.config import Settings
from feedgen.login.foresight import Foresight
from feedgen.login.gains import NewPosts
from feedgen.login.outcomes import BANDS, Outcomes
from tests.worlds import DAY, HOUR, NOW, Story, events, folded

FRESH, STALE = 1_800.0, 86_400.0
SETTINGS = Settings(scheduler=config.Scheduler(generations_per_s=1.0))


def story() -> Story:
    """Ann posts and comes daily at this hour; bea and cid follow her, and bea comes daily; dan follows nobody."""
    told = Story(SETTINGS)
    for viewer in ("bea", "cid"):
        told.tell(viewer, "follow", "ann", days=20)
    for days in range(12, 0, -1):
        for viewer in ("ann", "bea"):
            told.tell(viewer, "login", days=days - 0.01)
            told.tell(viewer, "logout", days=days - 0.015)
    told.tell("cid", "login", days=200)
    told.tell("dan", "login", days=0.5)
    told.tell("ann", "post", "p1", days=1.5)
    return told


def begun(told: Story, now: float = NOW) -> Foresight:
    foresight = Foresight(told.state, told.settings, now)
    foresight.begin({}, now)
    return foresight


def numbers(told: Story, *names: str) -> np.ndarray:
    return np.array([told.state.users.find(name) for name in names])


def test_those_likely_to_come_are_named_and_the_others_are_not() -> None:
    told = story()
    assert set(begun(told).step(NOW, 100)) == {"ann", "bea", "dan"}


def test_no_room_leaves_the_likeliest() -> None:
    assert begun(story()).step(NOW, 1) == begun(story()).step(NOW, 100)[:1]


def test_nothing_new_from_followees_gains_nothing_and_is_counted() -> None:
    told = story()
    foresight = begun(told)
    for viewer in foresight.step(NOW, 100):
        foresight.generated(viewer, NOW)
    assert foresight.step(NOW + 2 * HOUR, 100) == []
    assert foresight.scheduler.counts.nothing_new == 3
    told.tell("ann", "post", "p2", days=-3 * HOUR / DAY)
    assert foresight.step(NOW + 4 * HOUR, 100) == ["bea"]  # cid is not expected, ann and dan do not follow ann
    foresight.generated("bea", NOW + 4 * HOUR)
    assert set(foresight.step(NOW + STALE, 100)) == {"ann", "dan"}  # by then they have no feed to speak of
    foresight.scheduler.check()


def test_what_was_stored_before_is_known() -> None:
    told = story()
    foresight = Foresight(told.state, told.settings, NOW)
    foresight.begin({"bea": NOW - 60.0, "ann": NOW - 3 * DAY, "nobody": NOW}, NOW)
    assert set(foresight.step(NOW, 100)) == {"ann", "dan"}


def test_logins_are_counted_by_the_feed_that_met_them() -> None:
    told = story()
    foresight = begun(told)
    for viewer in foresight.step(NOW, 100):
        foresight.generated(viewer, NOW + 1.0)
    for viewer, minutes in (("bea", 10), ("ann", 40), ("cid", 41), ("eve", 42)):
        told.tell(viewer, "login", days=-minutes / 1_440)
    foresight.generated("cid", NOW + 41 * 60 + 0.2)  # made on demand for the login itself: it did not meet it
    foresight.step(NOW + HOUR, 100)
    met = foresight.outcomes.met
    assert (met.fresh, met.stale, met.missed) == (1, 1, 2)
    assert (met.used, met.wasted) == (1, 2)
    foresight.step(NOW + 2 * HOUR, 100)
    assert foresight.outcomes.met.missed == 2  # counted once
    assert foresight.outcomes.came.sum() == 1


def test_how_soon_each_is_expected() -> None:
    foresight = begun(story())
    soon = foresight.soon(["cid", "bea", "nobody"], NOW, 6 * HOUR)
    assert soon[1] > soon[0] > soon[2] == 0


def test_the_price_is_where_the_budget_ends() -> None:
    told = Story(SETTINGS)
    for number in range(60):
        for days in range(1, 2 + number // 4):
            told.tell(f"v{number}", "login", days=days - 0.001 * number)
    poor = Settings(scheduler=config.Scheduler(generations_per_s=10 / FRESH))
    foresight = Foresight(told.state, poor, NOW)
    foresight.begin({}, NOW)
    foresight.step(NOW, 100)
    foresight.step(NOW + 300, 100)
    price = foresight.scheduler.budget.price[0]
    worth = np.sort(foresight.scheduler._worth)[::-1]
    assert worth[14] < price < 1.2 * worth[9]  # ten feeds can be kept fresh; the empty purse makes it a little dearer
    assert foresight.scheduler.worth_of(10_000) == 0.0


@given(events(), st.lists(st.floats(-4 * DAY, DAY), min_size=1, max_size=5))
def test_gains_are_a_plain_look_at_every_followee(found: list, ages: list[float]) -> None:
    state = folded(found)
    gains = NewPosts(state, STALE)
    gains.now = NOW
    known = len(state.users)
    viewers = np.array([number % (known + 2) for number in range(len(ages))], np.int64)
    made = NOW + np.array(ages)
    got = gains(viewers, made)
    for viewer, at, gain in zip(viewers.tolist(), made.tolist(), got.tolist(), strict=True):
        authors = set(state.graph.followees(viewer).tolist()) if viewer < known else set()
        posts = [post for author in authors for post in state.posts._recent.of(author).tolist()]
        new = any(state.posts.created[post] > at for post in posts)
        assert gain == float(not state.posts.live_count or at < NOW - STALE or new)


rounds = st.lists(
    st.tuples(st.sampled_from(("made", "came", "said", "close")), st.integers(0, 3), st.integers(0, 2_500)), max_size=40
)


@given(rounds)
def test_outcomes_are_a_plain_count(found: list[tuple[str, int, int]]) -> None:
    outcomes = Outcomes(FRESH, STALE)
    now, made, open_made, forecast = NOW, defaultdict(lambda: -np.inf), {}, {}
    fresh = missed = used = wasted = came = 0
    for what, viewer, later in found:
        now += later
        one, at = np.array([viewer]), np.array([now])
        if what == "made":
            wasted += viewer in open_made
            made[viewer] = open_made[viewer] = now
            outcomes.generated(one, at)
        elif what == "came":
            age = now - made[viewer]
            fresh += age < FRESH
            missed += age >= STALE
            if viewer in open_made and age < FRESH:
                used += 1
                del open_made[viewer]
            came += viewer in forecast and now - forecast.pop(viewer) < FRESH
            outcomes.logged_in(one, at, np.array([made[viewer]]))
        elif what == "said":
            if viewer not in forecast or now - forecast[viewer] >= FRESH:
                forecast[viewer] = now
            outcomes.forecast(one, np.array([0.2]), now)
        else:
            over = [viewer for viewer, at_ in open_made.items() if now - at_ >= FRESH]
            wasted += len(over)
            for viewer in over:
                del open_made[viewer]
            outcomes.close(now)
    met = outcomes.met
    assert (met.fresh, met.missed, met.used, met.wasted) == (fresh, missed, used, wasted)
    assert met.fresh + met.stale + met.missed == sum(what == "came" for what, _, _ in found)
    assert outcomes.came.sum() == came
    assert outcomes.expected.sum() == pytest.approx(0.2 * outcomes.forecasts.sum())
    assert len(outcomes.forecasts) == len(BANDS) + 1
