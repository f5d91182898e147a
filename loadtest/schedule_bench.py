"""How fast the login predictor is, and what a step of the scheduler costs as the community grows."""

import time
from itertools import pairwise
from statistics import median
from typing import Any, Final

import numpy as np

from feedgen.login.budget import Budget
from feedgen.login.committee import Committee
from feedgen.login.features import COUNT
from feedgen.login.network import HIDDEN, SPAN_ENDS_S, Network
from feedgen.login.predictor import Learnt, Predictor, Rhythm
from feedgen.login.scheduler import Scheduler
from feedgen.state.habits import DAY_S, Habits, Ints

_START: Final = 19_000.0 * DAY_S
_TICK_S: Final = 300.0
_FRESH_S: Final = 1_800.0
_PAST_DAYS: Final = 10
_ASKED: Final = 50_000
_RATE: Final = 1 / 3_600
"""Budget, generations a second and viewer: each could have a new feed every hour."""


def measure(sizes: list[int], steps: int, seed: int = 1) -> dict[str, Any]:
    """Figures by size. Times are of this process' CPU, so that other work on the machine counts for less."""
    return {"predictor": _predictor(seed), "scheduler": [_scheduler(size, steps, seed) for size in sizes]}


def _community(viewers: int, rng: np.random.Generator) -> Habits:
    """A tenth come daily at an hour of their own, the others once in the time that is looked back on."""
    habits = Habits()
    hour = rng.normal(18, 4, viewers) % 24
    once = rng.integers(0, _PAST_DAYS, viewers)
    for day in range(_PAST_DAYS):
        coming = np.flatnonzero((np.arange(viewers) % 10 == 0) | (once == day))
        came = _START - (_PAST_DAYS - day) * DAY_S + 3_600 * hour[coming] + rng.normal(0, 900, len(coming))
        for at, kind in ((np.floor(came), True), (np.floor(came) + 600, False)):
            habits.absorb(coming, at, np.full(len(coming), kind))
    return habits


def _predictor(seed: int) -> dict[str, float]:
    """Viewers a second, features and network together; the network's weights do not matter to its speed."""
    rng = np.random.default_rng(seed)
    habits = _community(_ASKED, rng)
    sizes = (COUNT, *HIDDEN, len(SPAN_ENDS_S))
    weights = tuple(rng.standard_normal(shape).astype(np.float32) for shape in pairwise(sizes))
    biases = tuple(np.zeros(size, np.float32) for size in sizes[1:])
    network = Network(weights, biases, np.zeros(COUNT, np.float32), np.ones(COUNT, np.float32))
    learnt = Learnt(Committee((network,)))
    predictor, everyone = Predictor(habits, learnt), np.arange(_ASKED)
    rates = []
    for number in range(7):
        began = time.process_time()
        predictor.within(everyone, _START + number * _TICK_S, _TICK_S, _FRESH_S)
        rates.append(_ASKED / (time.process_time() - began))
    return {"viewers_per_s": round(median(rates)), "least": round(min(rates)), "greatest": round(max(rates))}


def _scheduler(viewers: int, steps: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    habits = _community(viewers, rng)
    a_day = np.array([viewers * _RATE * DAY_S])
    budget = Budget(0.01, a_day, _START, least_price=1e-3, reserve_days=0.5)
    budget.earned += a_day
    scheduler = Scheduler(
        Predictor(habits, Rhythm()), budget, fresh_s=_FRESH_S, tick_s=_TICK_S, longest_s=7.0 * DAY_S,
        active_s=14.0 * DAY_S,
    )  # fmt: skip
    scheduler.visited(np.arange(viewers), _START)
    took, looked = [], []
    for number in range(steps + 1):
        now = _START + number * _TICK_S
        came: Ints = np.unique(rng.integers(0, viewers, viewers // 2_000))
        before = scheduler.counts.looked
        began = time.process_time()
        scheduler.visited(came, now)
        chosen = scheduler.step(now)
        scheduler.made(chosen, np.full(len(chosen), now))
        took.append(1_000 * (time.process_time() - began))
        looked.append(scheduler.counts.looked - before)
    return {
        "viewers": viewers,
        "first_step_ms": round(took[0], 1),
        "step_ms": round(median(took[1:]), 1),
        "step_ms_greatest": round(max(took[1:]), 1),
        "looked_at": round(median(looked[1:])),
        "us_per_look": round(1_000 * sum(took[1:]) / max(1, sum(looked[1:])), 2),
    }
