"""The scheduler and its budget: rules by example, and a machine of random visits held to what must always be true."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from feedgen.login.budget import OVERSPENT_MOST, Budget
from feedgen.login.features import Matrix
from feedgen.login.network import SPAN_ENDS_S
from feedgen.login.predictor import Predictor
from feedgen.login.scheduler import Gains, Scheduler
from feedgen.state.habits import Floats, Habits, Ints
from tests.login.communities import DAY, START

TICK = 300.0
FRESH = 1_800.0


class Given:
    """Hazards by viewer, the same at any time: P(login while fresh), evenly over the span; and in each span after."""

    def __init__(self, chances: dict[int, float], late: frozenset[int] = frozenset(), after: float = 0.0) -> None:
        self.chances = chances
        self.late = late
        self.after = after

    def hazards(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        made = np.full((len(viewers), len(SPAN_ENDS_S)), self.after, np.float32)
        for row, viewer in enumerate(viewers.tolist()):
            chance = self.chances.get(viewer, 0.01)
            made[row, 0] = 0.0 if viewer in self.late else 1 - (1 - chance) ** (TICK / FRESH)
            made[row, 1] = 1 - (1 - chance) / (1 - made[row, 0])
        return made


def purse(amount: float = 1e9, price: float = 0.1) -> Budget:
    made = Budget(price, np.array([amount]), START, least_price=1e-4, reserve_days=0.0)
    made.earned += amount
    return made


def known(viewers: int, ago_s: float = DAY) -> Habits:
    """All came and left that long before START."""
    habits = Habits()
    everyone = np.arange(viewers)
    habits.absorb(everyone, np.full(viewers, START - ago_s - 60), np.ones(viewers, np.bool_))
    habits.absorb(everyone, np.full(viewers, START - ago_s), np.zeros(viewers, np.bool_))
    return habits


def scheduler(
    given: Given,
    habits: Habits,
    budget: Budget | None = None,
    gains: Gains | None = None,
    longest_s: float = 1e12,
    tick_s: float = TICK,
) -> Scheduler:
    made = Scheduler(
        Predictor(habits, given), budget or purse(), fresh_s=FRESH, tick_s=tick_s, longest_s=longest_s,
        active_s=14 * DAY, gains=gains,
    )  # fmt: skip
    made.visited(np.arange(habits.count), START)
    return made


def step(plan: Scheduler, now: float, room: int | None = None) -> list[int]:
    """Whom the step chooses; their feeds are made at once."""
    chosen = plan.step(now, room)
    plan.made(chosen, np.full(len(chosen), now))
    return chosen.tolist()


def held(budget: Budget) -> Budget:
    """The price stays where it is."""
    budget.settle = lambda now: None  # type: ignore[method-assign]
    return budget


def test_the_likely_are_chosen_the_likeliest_first_and_not_again_while_fresh() -> None:
    plan = scheduler(Given({0: 0.2, 1: 0.6, 2: 0.05}), known(3), held(purse()))
    assert step(plan, START) == [1, 0]
    for ticks in range(1, 6):
        assert step(plan, START + ticks * TICK) == []
    assert step(plan, START + 6 * TICK) == [1, 0]
    assert plan.counts.chosen == 4


def test_who_is_there_costs_nothing_and_is_looked_at_on_leaving() -> None:
    habits = known(2)
    plan = scheduler(Given({0: 0.5, 1: 0.5}), habits, held(purse()))
    habits.absorb(np.array([0]), np.array([START - 5.0]), np.array([True]))
    assert step(plan, START) == [1]
    habits.absorb(np.array([0]), np.array([START + 400.0]), np.array([False]))
    plan.visited(np.array([0]), START + 2 * TICK)
    assert step(plan, START + TICK) == []
    assert step(plan, START + 2 * TICK) == [0]


def test_a_chance_that_lies_ahead_is_waited_for() -> None:
    plan = scheduler(Given({0: 0.5, 1: 0.5}, late=frozenset({1})), known(2), held(purse()))
    assert step(plan, START) == [0]
    assert plan.counts.waited == 1


def test_who_is_there_is_refreshed_where_no_live_updates_are() -> None:
    habits = known(3)
    plan = Scheduler(
        Predictor(habits, Given({2: 0.5})), held(purse()), fresh_s=FRESH, tick_s=TICK, longest_s=1e12, active_s=DAY,
        refresh_present=True, gains=lambda viewers, made: (viewers != 1) * 1.0,
    )  # fmt: skip
    habits.absorb(np.array([0, 1]), np.array([START - 5.0, START - 5.0]), np.array([True, True]))
    plan.visited(np.arange(3), START)
    assert step(plan, START) == [0, 2]  # for 1 there is nothing new
    assert step(plan, START + TICK) == []
    assert 0 in step(plan, START + 6 * TICK)
    assert plan.counts.nothing_new > 0


def test_what_is_earned_and_not_spent_lapses() -> None:
    budget = Budget(0.1, np.array([100.0]), 0.0, least_price=1e-4, reserve_days=0.0)
    for day in range(1, 30):
        budget.earn(np.array([100.0]), 1.0)
        budget.settle(day * float(DAY))
    assert budget.earned[0] == pytest.approx(100.0)
    assert budget.price[0] < 0.1
    budget.spend(np.zeros(100, np.int64))
    budget.earn(np.array([100.0]), 1.0)
    assert budget.earned[0] == pytest.approx(200.0)


def test_nothing_new_is_skipped_and_counted() -> None:
    def gains(viewers: Ints, made: Floats) -> Floats:
        return np.where(viewers == 0, 0.0, 1.0)

    plan = scheduler(Given({0: 0.9, 1: 0.5}), known(2), held(purse()), gains, longest_s=1.0)
    assert step(plan, START) == [1]
    assert plan.counts.nothing_new == 1


def test_no_room_sheds_the_least_valuable_until_the_next_tick() -> None:
    plan = scheduler(Given({0: 0.2, 1: 0.9, 2: 0.5}), known(3), held(purse()))
    assert step(plan, START, room=1) == [1]
    assert step(plan, START + TICK, room=1) == [2]
    assert plan.counts.shed == 2
    assert step(plan, START + 2 * TICK, room=1) == [0]
    assert plan.counts.shed == 3


def test_whom_there_was_no_room_for_is_chosen_between_two_steps() -> None:
    chances = {0: 0.2, 1: 0.9, 2: 0.5, 3: 0.4, 4: 0.3}
    habits = known(5)
    plan = scheduler(Given(chances), habits, held(purse()))
    assert step(plan, START, room=1) == [1]
    plan.made(np.array([2]), np.array([START + 5.0]))  # by somebody else
    habits.absorb(np.array([3]), np.array([START + 5.0]), np.array([True]))
    assert plan.further(START + 10.0, room=3).tolist() == [4]
    assert plan.further(START + 11.0, room=5).tolist() == [0]
    assert plan.further(START + 12.0, room=5).tolist() == []
    assert (plan.counts.chosen, plan.budget.spent[0]) == (3, 3)
    assert step(plan, START + TICK) == []  # they wait until their feeds go stale, made or not
    assert plan.counts.shed == 0
    plan.budget.spent += plan.budget.earned
    assert plan.further(START + TICK, room=5).tolist() == []


def test_no_budget_no_generation() -> None:
    plan = scheduler(Given({0: 0.9}), known(1), purse(0.0))
    assert step(plan, START) == []
    plan.budget.earned += 10
    assert step(plan, START + TICK) == [0]


def test_the_rare_viewer_waits_no_longer_than_the_bound() -> None:
    plan = scheduler(Given({0: 1e-5}), known(1), held(purse()), longest_s=1.7 * DAY)
    chosen = [now for now in np.arange(START, START + 12 * DAY, TICK) if len(step(plan, now))]
    assert len(chosen) == 7
    assert max(np.diff(chosen)) <= 1.7 * DAY + 2 * TICK
    assert plan.counts.overdue == 7
    gone = scheduler(Given({0: 1e-5}), known(1, ago_s=15 * DAY), held(purse()), longest_s=2.0 * DAY)
    assert not any(len(step(gone, now)) for now in np.arange(START, START + 3 * DAY, TICK))


def test_after_a_pause_everyone_due_is_found() -> None:
    plan = scheduler(Given(dict.fromkeys(range(50), 0.5)), known(50), held(purse()))
    assert len(step(plan, START)) == 50
    assert len(step(plan, START + 30 * DAY)) == 50
    plan.check()


@pytest.mark.parametrize("late_s", [0.0, 0.7])
@pytest.mark.parametrize("tick_s", [30.0, 300.0, 420.0, 1_800.0, 7_200.0, 10_000.0])
@pytest.mark.parametrize(
    ("after", "apart_s"), [(0.2, 7_200.0), (0.012, 28_800.0), (0.0, 86_400.0)], ids=["today", "some day", "hardly"]
)
def test_the_unlikely_are_looked_at_as_seldom_as_their_chance_of_the_day_allows(
    after: float, apart_s: float, tick_s: float, late_s: float
) -> None:
    plan = scheduler(Given({0: 1e-6}, after=after), known(1), held(purse()), tick_s=tick_s)
    looked = []
    for now in np.arange(np.ceil(START / tick_s) * tick_s, START + 4 * apart_s, tick_s) + late_s:
        before = plan.counts.looked
        step(plan, float(now))
        looked += [now] * (plan.counts.looked - before)
    apart = np.diff(looked)
    assert len(apart) >= 2
    assert (apart <= max(apart_s, tick_s) + 1e-6).all()
    assert (apart > apart_s - tick_s).all()  # a step costs what is due


def test_many_wait_and_a_step_looks_at_those_due_only() -> None:
    habits = known(100_000)
    plan = scheduler(Given({}), habits, held(purse()))
    plan.made(np.arange(100_000), np.full(100_000, float(START)))
    plan.visited(np.arange(100), START)
    assert plan.waiting() == 100_000
    step(plan, START + TICK)
    assert plan.counts.looked == 0
    assert plan.waiting() == 100_000


@pytest.mark.parametrize("worth", [0.3, 0.02])
def test_the_price_is_found_and_the_budget_kept(worth: float) -> None:
    """A market whose demand falls with the price and moves with the hour; ten logins a day at 20 generations each."""
    rng = np.random.default_rng(2)
    budget = Budget(0.1, np.array([200.0]), 0.0, least_price=1e-5, reserve_days=0.5)
    for tick in range(100 * 288):
        now = tick * TICK
        hour = 1 + np.sin(2 * np.pi * now / DAY)
        budget.earned += 20.0 * rng.poisson(10 / 288 * hour)
        budget.settle(now)
        demand = 2.0 * hour * min((worth / budget.price[0]) ** 0.8, 5.0)
        budget.spend(np.zeros(0 if budget.exhausted[0] else rng.poisson(demand / 3), np.int64))
    assert (budget.spent <= budget.earned * OVERSPENT_MOST + 20).all()
    assert (budget.spent >= budget.earned * 0.97).all()


class Life(RuleBasedStateMachine):
    """Random visits, generations and steps, time going on."""

    @initialize(chances=st.lists(st.sampled_from((1e-4, 0.01, 0.05, 0.3, 0.9)), min_size=5, max_size=5))
    def begin(self, chances: list[float]) -> None:
        self.now = float(START)
        self.habits = known(5)
        self.plan = scheduler(Given(dict(enumerate(chances))), self.habits, purse(50.0), longest_s=3.0 * DAY)
        self.made = dict.fromkeys(range(5), -np.inf)

    @rule(viewer=st.integers(0, 4), came=st.booleans(), later=st.integers(0, 7_200))
    def visit(self, viewer: int, came: bool, later: int) -> None:
        self.now += later
        self.habits.absorb(np.array([viewer]), np.array([self.now]), np.array([came]))
        self.plan.visited(np.array([viewer]), self.now)

    @rule(viewer=st.integers(0, 4))
    def generated_elsewhere(self, viewer: int) -> None:
        self.plan.made(np.array([viewer]), np.array([self.now]))
        self.made[viewer] = self.now

    @rule(later=st.sampled_from((TICK, 2 * TICK, 4_000.0, 3.0 * DAY)), room=st.sampled_from((None, 0, 1, 3)))
    def step(self, later: float, room: int | None) -> None:
        self.now += later
        self.chosen(step(self.plan, self.now, room), room)

    @rule(later=st.sampled_from((0.0, 20.0)), room=st.sampled_from((0, 1, 3)))
    def further(self, later: float, room: int) -> None:
        self.now += later
        chosen = self.plan.further(self.now, room)
        self.plan.made(chosen, np.full(len(chosen), self.now))
        self.chosen(chosen.tolist(), room)

    def chosen(self, chosen: list[int], room: int | None) -> None:
        assert len(chosen) == len(set(chosen)) <= (5 if room is None else room)
        assert self.habits.away(np.array(chosen, np.int64), self.now).all()
        for viewer in chosen:
            assert self.now - self.made[viewer] >= FRESH - 1e-6
            self.made[viewer] = self.now

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "plan"):
            self.plan.check()
            assert self.plan.waiting() == 5


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
