"""P(login within the next h), for any viewers at any moment."""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from feedgen.login.committee import Committee
from feedgen.login.features import Matrix, features
from feedgen.login.network import SPAN_ENDS_S
from feedgen.state.habits import DAY_S, HOUR_S, Floats, Habits, Ints, hour_of

NEVER_DAYS: Final = 120.0
"""Away longer than this, a viewer's chance is that of one who was away so long, fading on."""

_AT_ONCE: Final = 16_384
"""Viewers whose features are in memory at a time."""
_MIDDLES_S: Final = np.sqrt(np.concatenate(([150.0], SPAN_ENDS_S[:-1])) * SPAN_ENDS_S)
_COMES_S: Final = np.append(_MIDDLES_S, 2 * SPAN_ENDS_S[-1])
"""When a login of each span counts as coming, and one after them all."""


class Hazards(Protocol):
    """The chance of a login in each of the spans, given there was none before it."""

    def hazards(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """float32[viewers, len(SPAN_ENDS_S)]."""
        ...

    def agreed(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """The same, as exact as it can be had: for few viewers at a time."""
        ...


class Learnt:
    """By trained networks."""

    def __init__(self, committee: Committee) -> None:
        self._committee = committee

    def hazards(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """Hazards by one of them. About 3 µs a viewer."""
        return self._committee.hazards(features(habits, viewers, now))

    def agreed(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """Hazards by all of them. About 5 µs a viewer."""
        return self._committee.agreed(features(habits, viewers, now))


class Rhythm:
    """Until there is a network: the viewer's logins by hour of the day over the last 60 days, beside everyone's mean.

    Every login is taken to come by itself, at the rate of the hour it would come in.
    """

    def hazards(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """Hazards. About 1 µs a viewer."""
        rows = habits.rows[viewers]
        since_days = np.maximum(now - rows["came"].astype(np.float64), 0.0) / DAY_S
        age_days = np.maximum(now - rows["first"], 0.0) / DAY_S
        fade = 0.5 ** (since_days / 60)
        known_days = 60 / np.log(2) * (1 - 0.5 ** ((age_days + 1) / 60))
        own = rows["rhythm"][:, 1:3].astype(np.float64).sum(axis=1) * fade[:, None]
        a_day = (own.sum(axis=1) + 0.02) / (known_days + 1)
        shape = (own + 0.05) / (own.sum(axis=1, keepdims=True) + 1.2)
        each, starts = np.arange(len(rows)), np.concatenate(([0.0], SPAN_ENDS_S[:-1]))
        spans = []
        for start, end in zip(starts, SPAN_ENDS_S, strict=True):
            if end <= 28_800:
                hour, _ = hour_of(now + 60.0 * rows["offset"] + (start + end) / 2)
                near = (shape[each, hour - 1] + shape[each, hour] + shape[each, (hour + 1) % 24]) / 3
                spans.append(1 - np.exp(-a_day * near * ((end - start) / HOUR_S)))
            else:
                spans.append(1 - np.exp(-a_day * ((end - start) / DAY_S)))
        hazards: Matrix = np.clip(np.stack(spans, axis=1), 1e-7, 1 - 1e-7).astype(np.float32)
        return hazards

    def agreed(self, habits: Habits, viewers: Ints, now: float) -> Matrix:
        """There is one rule only."""
        return self.hazards(habits, viewers, now)


class Predictor:
    """Reads habits, changes nothing. `hazards` may be replaced between two questions."""

    def __init__(self, habits: Habits, hazards: Hazards) -> None:
        self.habits = habits
        self.hazards = hazards

    def within(self, viewers: Ints, now: float, *spans_s: float) -> Floats:
        """P(login in [now, now + span)) for viewers who are away at `now`; float64[spans, viewers].

        Within a span of the model the hazard is taken as even; past the last one it goes on as it was there.
        """
        hazards = self._asked(self.hazards.hazards, viewers, now)
        fading = self._fading(viewers, now)
        return np.stack([(1 - survival(hazards, span)) * fading for span in spans_s])

    def soon(self, viewers: Ints, now: float, tau_s: float) -> Floats:
        """What a feed in memory is worth: the mean of exp(−t / tau) over the time t to the next login; in (0, 1].

        t goes by how much everyone usually comes: a quiet night drives hardly a feed out of memory. For any viewers,
        those who are there as well. A login counts as coming in the (geometric) middle of its span.
        """
        hazards = self._asked(self.hazards.agreed, viewers, now)
        left = np.cumprod(1 - hazards, axis=1)
        before = np.concatenate([np.ones((len(viewers), 1)), left[:, :-1]], axis=1)
        counts = np.exp(-busy_s(self.habits.weekly, now, _COMES_S) / tau_s)
        worth: Floats = (before - left) @ counts[:-1] + left[:, -1] * counts[-1]
        return worth

    def _asked(self, hazards: Callable[[Habits, Ints, float], Matrix], viewers: Ints, now: float) -> Floats:
        parts = [viewers[at : at + _AT_ONCE] for at in range(0, max(len(viewers), 1), _AT_ONCE)]
        return np.concatenate([hazards(self.habits, part, now) for part in parts]).astype(np.float64)

    def _fading(self, viewers: Ints, now: float) -> Floats:
        absent = (now - self.habits.rows["came"][viewers].astype(np.float64)) / DAY_S
        fading: Floats = np.minimum(1.0, 0.5 ** ((absent - NEVER_DAYS) / NEVER_DAYS))
        return fading


def busy_s(weekly: Floats, now: float, spans_s: Floats) -> Floats:
    """Each span from `now` in seconds of an average hour, by everyone's logins by hour of the week. O(hours)."""
    begins = int(now // HOUR_S) % len(weekly)
    hours = np.roll(weekly, -begins) + 1.0  # one more in each: of a new community nothing is known
    passed = np.concatenate([[0.0], np.cumsum(hours / hours.mean())])
    part = now % HOUR_S / HOUR_S
    weeks, rest = np.divmod(part + spans_s / HOUR_S, len(weekly))
    until = weeks * len(weekly) + np.interp(rest, np.arange(len(passed)), passed)
    busy: Floats = (until - part * passed[1]) * HOUR_S
    return busy


def survival(hazards: Floats, span_s: float) -> Floats:
    """P(no login before `span_s`) from hazards by span. O(viewers)."""
    kept: Floats = np.ones(len(hazards))
    start = 0.0
    for at, end in enumerate(SPAN_ENDS_S):
        if span_s <= start:
            return kept
        kept = kept * (1 - hazards[:, at]) ** min(1.0, (span_s - start) / (end - start))
        start = float(end)
    last = SPAN_ENDS_S[-1] - SPAN_ENDS_S[-2]
    beyond: Floats = kept * (1 - hazards[:, -1]) ** max(0.0, (span_s - start) / last)
    return beyond
