"""What the scheduler is measured against: rebuild for everyone active lately, and an hour-of-day histogram."""

from typing import Final

import numpy as np

from feedgen.login.replay import Replayed
from feedgen.login.scheduler import Counts
from feedgen.login.visits import Visits
from feedgen.state.habits import DAY_S, Floats, Ints

_SLOT_S: Final = 900
_SLOTS: Final = DAY_S // _SLOT_S
_HALF_LIFE_DAYS: Final = 30.0
_PAST_DAYS: Final = 730
_AIM_DAYS: Final = 180


def active_lately(visits: Visits, begin: float, until: float, fresh_s: float, days: float) -> Replayed:
    """A generation every `fresh_s` for whoever logged in within the last `days`. O(generations)."""
    moments = np.arange(begin, until, fresh_s)
    viewers, times = [], []
    for viewer, logins in enumerate(_by_viewer(visits)):
        last = np.searchsorted(logins, moments) - 1  # a login at the moment itself is not known yet
        due = (
            moments[(last >= 0) & (moments - logins[np.maximum(last, 0)] < days * DAY_S)]
            if len(logins)
            else moments[:0]
        )
        viewers.append(np.full(len(due), viewer))
        times.append(due)
    return _in_order(viewers, times)


def histogram(visits: Visits, begin: float, until: float, budget: float, fresh_s: float) -> Replayed:
    """Generations in the quarter hours in which a viewer's logins of the days before were most frequent.

    Histograms fade with a half-life of 30 days, each day's read before it begins. The least frequency worth a
    generation is the one that would have met `budget` over the 180 days before `begin`, so the budget is met roughly.
    """
    start = begin - _PAST_DAYS * DAY_S
    begins = int((begin - start) // _SLOT_S)
    slots = int((until - start) // _SLOT_S)
    apart = max(1, int(fresh_s // _SLOT_S))
    rates = [_rates(logins, start, slots) for logins in _by_viewer(visits)]
    aim = visits.came & (visits.ts >= begin - _AIM_DAYS * DAY_S) & (visits.ts < begin)
    allowed = budget * max(int(aim.sum()), 1)
    low, high = 0.0, 1.0
    for _ in range(18):
        middle = (low + high) / 2
        spent = sum(len(_plan(rate[begins - _AIM_DAYS * _SLOTS : begins], middle, apart)) for rate in rates)
        low, high = (middle, high) if spent > allowed else (low, middle)
    plans = [_plan(rate[begins:], high, apart) for rate in rates]
    times = [start + (plan + begins).astype(np.float64) * _SLOT_S for plan in plans]
    return _in_order([np.full(len(each), viewer) for viewer, each in enumerate(times)], times)


def _by_viewer(visits: Visits) -> list[Floats]:
    viewers, ts = visits.viewers[visits.came], visits.ts[visits.came]
    order = np.argsort(viewers, kind="stable")
    ends = np.cumsum(np.bincount(viewers, minlength=len(visits.names)))
    return np.split(ts[order], ends[:-1]) if len(ends) else []


def _rates(logins: Floats, start: float, slots: int) -> Floats:
    """By slot, how often the viewer came in it on the days before; float64[whole days × slots a day]."""
    at = ((logins - start) // _SLOT_S).astype(np.int64)
    count = np.bincount(at[(at >= 0) & (at < slots)], minlength=slots)[:slots].astype(np.float64)
    smooth = np.mean([np.roll(count, step) for step in (-2, -1, 0, 1, 2)], axis=0)
    days = slots // _SLOTS
    out = np.zeros((days, _SLOTS))
    fade, weight, kept = 0.5 ** (1 / _HALF_LIFE_DAYS), 0.0, np.zeros(_SLOTS)
    for day in range(days):
        out[day] = kept / max(weight, 1e-6)
        kept = kept * fade + smooth[day * _SLOTS : (day + 1) * _SLOTS]
        weight = weight * fade + 1
    return out.ravel()


def _plan(rate: Floats, least: float, apart: int) -> Ints:
    kept: list[int] = []
    for slot in np.flatnonzero(rate >= least).tolist():
        if not kept or slot - kept[-1] >= apart:
            kept.append(slot)
    return np.array(kept, np.int64)


def _in_order(viewers: list[Ints], times: list[Floats]) -> Replayed:
    of, ts = np.concatenate([np.zeros(0, np.int64), *viewers]), np.concatenate([np.zeros(0), *times])
    order = np.argsort(ts, kind="stable")
    return Replayed(of[order], ts[order], Counts(chosen=len(ts)))
