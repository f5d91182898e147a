"""What the predictor looks at, of many viewers at one moment: habits → a matrix."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.habits import (
    COUNT_DAYS,
    DAY_S,
    GAP_EDGES_S,
    HOUR_S,
    RHYTHM_DAYS,
    WEEKLY_DAYS,
    Floats,
    Habits,
    Ints,
    Rows,
    hour_of,
    is_weekend,
)

Matrix = NDArray[np.float32]

LOOK_S: Final = 1_800.0
"""The span whose hazards the features describe: rhythms are read at its middle."""
_FULL_DAYS: Final = np.array([1.0, 7 / 5, 7 / 2])
_LN2: Final = float(np.log(2))
_GAP_PRIOR: Final = 3.0
COUNT: Final = 46


def features(habits: Habits, viewers: Ints, now: float) -> Matrix:
    """float32[viewers, COUNT], every one finite. Of viewers who never came, what is known of everyone. ~3 µs each."""
    rows = habits.rows[viewers]
    came = rows["came"].astype(np.float64)
    local = now + 60.0 * rows["offset"]
    since_days = np.maximum(now - came, 0.0) / DAY_S
    away_s = np.maximum(now - np.maximum(came, rows["left"]), 0.0)
    columns = [
        *_rhythms(rows, local, np.maximum(now - rows["first"], 0.0) / DAY_S, since_days),
        *_counts(rows, since_days),
        *_returns(rows, away_s, habits.gaps),
        *_sessions(rows, away_s, since_days, now),
        *_days(rows, local, came),
        1.0 - habits.away(viewers, now),
        *_clock(local),
        *(np.full(len(rows), value) for value in _together(habits, now)),
    ]
    return np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")


def _log(values: Floats, least: float) -> Floats:
    logarithm: Floats = np.log(values + least)
    return logarithm


def _rhythms(rows: Rows, local: Floats, age_days: Floats, since_days: Floats) -> list[Floats]:
    """Logins a day in the hour, in the hours around it and in all, by each histogram."""
    each = np.arange(len(rows))
    hour, share = hour_of(local + LOOK_S / 2)
    near = np.stack([(hour + step) % 24 for step in range(-2, 4)])
    narrow, wide, total = [], [], []
    rhythm = rows["rhythm"].astype(np.float32)
    kind = np.where(is_weekend(local + LOOK_S / 2), 2, 1)
    for which in (np.zeros(len(rows), np.int64), kind, 3 - kind):
        days = RHYTHM_DAYS[which]
        # A viewer known for a day has had a day's time to be counted.
        rate = _LN2 / days / (1 - 0.5 ** ((age_days + 1) / days)) * 0.5 ** (since_days / days) * _FULL_DAYS[which]
        at = rhythm[each, which, near] * rate
        narrow.append(_log(at[2] * (1 - share) + at[3] * share, 1e-3))
        wide.append(_log(_around(at, share), 1e-3))
        total.append(_log(rhythm[each, which].sum(axis=1) * rate, 1e-2))
    shape = rhythm[:, 3]
    at = (shape[each, near] + 0.05) / (shape.sum(axis=1) + 1.2)
    ahead, behind = _log(at[4] + at[5], 1e-3), _log(at[0] + at[1], 1e-3)
    return [
        *narrow,
        *wide,
        *total,
        _log(at[2] * (1 - share) + at[3] * share, 0),
        _log(_around(at, share), 0),
        ahead,
        behind,
    ]


def _around(at: Floats, share: Floats) -> Floats:
    mean: Floats = (at[0] * (1 - share) + at[1] + at[2] + at[3] + at[4] + at[5] * share) / 5
    return mean


def _counts(rows: Rows, since_days: Floats) -> list[Floats]:
    counts = rows["counts"].astype(np.float64) * 0.5 ** (since_days[:, None] / COUNT_DAYS)
    return [*_log(counts, 0.02).T, np.log1p(rows["total"].astype(np.float64))]


def _returns(rows: Rows, away_s: Floats, everyone: Floats) -> list[Floats]:
    """The chance to return within LOOK_S after being away so long, by the viewer's past and by everyone's."""
    prior = everyone / everyone.sum()
    gaps = rows["gaps"].astype(np.float64) + _GAP_PRIOR * prior
    first = np.clip(np.searchsorted(GAP_EDGES_S, away_s, side="right") - 1, 0, len(prior) - 1)
    each = np.arange(len(rows))
    passed = (away_s - GAP_EDGES_S[first]) / (GAP_EDGES_S[first + 1] - GAP_EDGES_S[first])
    own, all_ = np.zeros(len(rows)), np.zeros(len(rows))
    for step in range(3):  # no LOOK_S spans more bins
        at = np.minimum(first + step, len(prior) - 1)
        low, high = GAP_EDGES_S[at], np.minimum(GAP_EDGES_S[at + 1], 60 * DAY_S)
        within = np.minimum(away_s + LOOK_S, high) - np.maximum(away_s, low)
        part = np.clip(within / np.maximum(high - low, 1.0), 0, 1) * (first + step < len(prior))
        own += part * gaps[each, at]
        all_ += part * prior[at]
    tail, prior_tail = np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1], np.cumsum(prior[::-1])[::-1]
    own_left = tail[each, first] - passed * gaps[each, first]
    all_left = prior_tail[first] - passed * prior[first]
    return [
        _log(own / (own_left + 1e-6), 3e-3),
        _log(all_ / (all_left + 1e-9), 1e-4),
        _log(own_left / tail[:, 0], 1e-3),
    ]


def _sessions(rows: Rows, away_s: Floats, since_days: Floats, now: float) -> list[Floats]:
    away_min = away_s / 60
    return [
        np.log1p(away_min),
        np.log1p(since_days * 1_440),
        np.log1p(rows["length"].astype(np.float64)),
        np.log1p(rows["gap"].astype(np.float64)),
        np.exp(-away_min / 30),
        np.where(away_min < 30, away_min / 30, 0.0),
        np.log1p(np.maximum(now - rows["first"], 0.0) / DAY_S),
        np.log1p(np.maximum(now - rows["began"], 0.0) / 60),
        np.log1p(rows["today"].astype(np.float64)),
    ]


def _days(rows: Rows, local: Floats, came: Floats) -> list[Floats]:
    """When the viewer's day began, as an angle from now; on which of the last days there was a login."""
    angle = (rows["began"].astype(np.float64) + 60.0 * rows["offset"] - local) * (2 * np.pi / DAY_S)
    passed = np.clip(local // DAY_S - (came + 60.0 * rows["offset"]) // DAY_S, 0, 63).astype(np.uint64)
    shifted = rows["days"].astype(np.uint64) << np.minimum(passed, np.uint64(32))
    days = (shifted & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    weekday = np.uint32(1 << 7 | 1 << 14 | 1 << 21 | 1 << 28)
    return [
        np.sin(angle),
        np.cos(angle),
        np.bitwise_count(days & np.uint32(0xFE)) / 7.0,
        np.bitwise_count(days & np.uint32(0x1FFFFFFE)) / 28.0,
        np.bitwise_count(days & weekday) / 4.0,
        (days & np.uint32(2)) / 2.0,
        (days & np.uint32(1)) / 1.0,
    ]


def _clock(local: Floats) -> list[Floats]:
    angle = (local % DAY_S) * (2 * np.pi / DAY_S)
    return [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle), is_weekend(local).astype(np.float64)]


def _together(habits: Habits, now: float) -> list[float]:
    """How busy everyone is at this hour of the week, and now beside that; how many are on."""
    known_days = 1.0 if habits.first is None else max(1.0, (now - habits.first) / DAY_S)
    weeks = min(known_days, WEEKLY_DAYS / _LN2) / 7
    weekly = habits.weekly * (0.5 ** ((now - habits.weekly_at) / DAY_S / WEEKLY_DAYS) / weeks)
    hour = int((now + LOOK_S / 2) // HOUR_S) % 168
    coming = (weekly[hour - 1] + weekly[hour] + weekly[(hour + 1) % 168]) / 3
    mean = weekly.mean()
    last_hour = sum(ts > now - HOUR_S for ts in habits.recent)
    last_quarter = sum(ts > now - HOUR_S / 4 for ts in habits.recent)
    expected = weekly[int((now - HOUR_S / 2) // HOUR_S) % 168]
    ratios = [
        (coming + 0.1) / (mean + 0.1),
        (last_hour + 1) / (expected + 1),
        (4 * last_quarter + 1) / (last_hour + 1),
        (max(habits.online, 0) + 1) / (mean + 1),
    ]
    return [float(np.log(ratio)) for ratio in ratios]
