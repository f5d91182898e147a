"""Logins replayed with a virtual clock through the predictor and the scheduler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from feedgen.login.budget import Budget
from feedgen.login.predictor import Hazards, Predictor
from feedgen.login.scheduler import Counts, Scheduler
from feedgen.login.visits import Reader, Visits
from feedgen.state.habits import DAY_S, Flags, Floats, Habits, Ints

_YEARS_S: Final = 730 * DAY_S
REGULAR_LOGINS: Final = 20
"""A viewer with so many logins in the two years before the period is a regular: there is something to predict from."""
_WARM_DAYS: Final = 28
"""Before the period, spent on finding the price."""
_RESERVE_DAYS: Final = 0.5


@dataclass(frozen=True)
class Met:
    """Logins of one kind of viewers in the period, and what they cost."""

    viewers: int
    logins: int
    fresh: int
    stale: int
    generations: int

    def figures(self) -> dict[str, float | int]:
        """For people and programs. Rates of nothing are 0."""
        logins = max(self.logins, 1)
        return {
            "viewers": self.viewers,
            "logins": self.logins,
            "hit_rate": round(self.fresh / logins, 4),
            "stale_rate": round(self.stale / logins, 4),
            "generations_per_login": round(self.generations / logins, 3),
        }


@dataclass(frozen=True)
class Replayed:
    """`viewers` and `ts`: each generation, by time. `price`: that of regular viewers' generations at the end."""

    viewers: Ints
    ts: Floats
    counts: Counts
    price: float = 0.0


@dataclass(frozen=True)
class Pace:
    """How a replay runs; times in seconds."""

    fresh_s: float
    tick_s: float
    longest_s: float
    active_s: float
    least_price: float


def regulars(visits: Visits, begin: float) -> Flags:
    """Who of the viewers is a regular at `begin` (s); bool[viewers]."""
    of = visits.viewers[visits.came & (visits.ts >= begin - _YEARS_S) & (visits.ts < begin)]
    counts: Ints = np.bincount(of, minlength=len(visits.names))
    return counts >= REGULAR_LOGINS


def replay(
    visits: Visits,
    begin: float,
    until: float,
    budget: float,
    hazards: Hazards,
    pace: Pace,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Replayed:
    """Generations in [begin, until) at `budget` a login: regular viewers by themselves, and the others.

    A step at `t` knows what came before t, and nothing else. About 30 s for half a year and 500 viewers.
    """
    warm = max(begin - _WARM_DAYS * DAY_S, float(visits.ts[0]) if len(visits.ts) else begin)
    known = regulars(visits, begin)
    habits = Habits()
    reader = Reader(visits, habits)
    before = reader.read_before(warm)
    earlier = Visits(visits.viewers[before], visits.ts[before], visits.came[before], visits.names).ts
    lately = visits.came[before] & (earlier >= warm - _WARM_DAYS * DAY_S)
    account_of = np.where(known, 0, 1)
    of_lately = account_of[visits.viewers[before][lately]]
    a_day: Floats = np.bincount(of_lately, minlength=2) * np.float64(budget / _WARM_DAYS)
    account = Budget(min(0.3 / budget, 0.5), a_day, warm, least_price=pace.least_price, reserve_days=_RESERVE_DAYS)
    account.earned += a_day  # a day on account: the price is not to be found in a famine
    scheduler = Scheduler(
        Predictor(habits, hazards),
        account,
        fresh_s=pace.fresh_s,
        tick_s=pace.tick_s,
        longest_s=pace.longest_s,
        active_s=pace.active_s,
        account_of=account_of,
    )
    scheduler.visited(np.arange(habits.count), warm)
    chosen: list[Ints] = []
    times: list[Floats] = []
    first = np.ceil(warm / pace.tick_s) * pace.tick_s
    begun = False
    for number, now in enumerate(np.arange(first, until, pace.tick_s).tolist()):
        if not begun and now >= begin:
            account.begin()
            begun = True
        came = reader.read_before(now)
        viewers = visits.viewers[came]
        logins = viewers[visits.came[came] & (visits.ts[came] >= begin if begun else True)]
        account.earned += budget * np.bincount(account_of[logins], minlength=2)
        if len(viewers):
            scheduler.visited(np.unique(viewers), now)
        made = scheduler.step(now)
        scheduler.made(made, np.full(len(made), now))
        if begun and len(made):
            chosen.append(made)
            times.append(np.full(len(made), now))
        if number % 256 == 0:
            on_progress((now - warm) / (until - warm))
    none: Ints = np.zeros(0, np.int64)
    return Replayed(
        np.concatenate([none, *chosen]),
        np.concatenate([np.zeros(0), *times]),
        scheduler.counts,
        float(account.price[0]),
    )


def met(
    visits: Visits, begin: float, until: float, viewers: Ints, ts: Floats, who: Ints, fresh_s: float, stale_s: float
) -> Met:
    """How the logins of `who` in [begin, until) were met by generations for `viewers` at `ts`. O(n log n)."""
    wanted = np.zeros(len(visits.names), np.bool_)
    wanted[who] = True
    inside = visits.came & (visits.ts >= begin) & (visits.ts < until) & wanted[visits.viewers]
    ours = wanted[viewers]
    made = np.sort(_moments(viewers[ours], ts[ours]))
    login = _moments(visits.viewers[inside], visits.ts[inside])
    at = np.searchsorted(made, login, side="right") - 1
    age = (
        np.where(at >= 0, (login - made[np.maximum(at, 0)]) / 1_000, np.inf)
        if len(made)
        else np.full(len(login), np.inf)
    )
    fresh, kept = age < fresh_s, age < stale_s
    return Met(int(wanted.sum()), len(login), int(fresh.sum()), int((kept & ~fresh).sum()), int(ours.sum()))


def _moments(viewers: Ints, ts: Floats) -> Ints:
    """Viewer and millisecond in one number; one viewer's are not near another's. For two million viewers."""
    return (viewers << 42) + np.round(ts * 1_000).astype(np.int64)
