"""The predictor and the scheduler over a living state: who is to have a feed made now, and who will read soon."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from feedgen.config import Settings
from feedgen.login.budget import Budget
from feedgen.login.gains import NewPosts
from feedgen.login.outcomes import Outcomes
from feedgen.login.predictor import Hazards, Predictor, Rhythm
from feedgen.login.scheduler import Scheduler
from feedgen.login.visits import Visits
from feedgen.state.habits import DAY_S, Floats, Ints
from feedgen.state.state import State

_RESERVE_DAYS: Final = 0.5
_KEPT_DAYS: Final = 1.0
"""Of the budget that is not spent, so much is kept for later; the rest lapses."""


class Foresight:
    """Synchronous and without a clock. Everything but `generated` reads state, so it is for inside the gate.

    Viewers are named by their outside ids here and numbered inside.
    """

    def __init__(self, state: State, settings: Settings, now: float) -> None:
        """`now`: when the budget begins to be earned (s)."""
        self._state = state
        cache, scheduler = settings.cache, settings.scheduler
        a_day = np.array([scheduler.generations_per_s * DAY_S])
        self._rate = scheduler.generations_per_s
        self._earned_to = now
        self._tick_s = scheduler.tick_s
        self._kept_fresh = max(1, int(self._rate * cache.fresh_s))  # by so many viewers the budget is used up
        budget = Budget(
            scheduler.least_chance, a_day, now, least_price=scheduler.least_chance, reserve_days=_RESERVE_DAYS
        )
        budget.earned += a_day * _RESERVE_DAYS
        self._gains = NewPosts(state, cache.stale_s - cache.fresh_s)
        self.outcomes = Outcomes(cache.fresh_s, cache.stale_s)
        self.predictor = Predictor(state.presence.habits, Rhythm())
        self.scheduler = Scheduler(
            self.predictor,
            budget,
            fresh_s=cache.fresh_s,
            tick_s=scheduler.tick_s,
            longest_s=scheduler.longest_days * DAY_S,
            active_s=settings.worker.active_days * DAY_S,
            gains=self._gains,
            refresh_present=True,
            forecasts=self.outcomes.forecast,
        )
        self._generated: deque[tuple[str, float]] = deque()
        state.presence.followed = True
        state.presence.take()

    def begin(self, made: Mapping[str, float], now: float) -> None:
        """Know the feeds that are there already, by when they were made (s); look at everyone. O(viewers)."""
        for viewer, at in made.items():
            self.generated(viewer, at)
        self._take_in_generated()
        self._look_at(np.flatnonzero(self.predictor.habits.rows["came"] > 0), now)

    def learn(self, hazards: Hazards) -> None:
        """From now on, predict by these."""
        self.predictor.hazards = hazards

    def past(self) -> Visits:
        """What there is to learn from; copies. O(n log n)."""
        kept = self._state.presence.journal.visits()
        return Visits(kept.viewers, kept.ts, kept.came, (), kept.told)

    def generated(self, viewer: str, at: float) -> None:
        """The viewer has a new feed, whoever asked for it. May be called at any time. O(1)."""
        self._generated.append((viewer, at))

    def step(self, now: float, room: int) -> list[str]:
        """Whom to generate for, the most worth first, `room` of them at most. O(what changed and who is due)."""
        budget = self.scheduler.budget
        budget.earn(np.array([max(0.0, now - self._earned_to) * self._rate]), _KEPT_DAYS)
        self._earned_to = max(now, self._earned_to)
        budget.anchor(self.scheduler.worth_of(self._kept_fresh))
        self._gains.now = now
        new = self._state.presence.take()
        came, ts = new.viewers[new.came], new.ts[new.came]
        before = self.scheduler.made_at(came)
        self._take_in_generated()
        after = self.scheduler.made_at(came)
        # Made since the last step, some for this very login: what is younger than the login did not meet it.
        self.outcomes.logged_in(came, ts, np.where(after <= ts, after, before))
        self._look_at(np.unique(new.viewers), now)
        chosen = self.scheduler.step(now, room)
        self.outcomes.close(now)
        return self._named(chosen, now)

    def further(self, now: float, room: int) -> list[str]:
        """Between two steps: of those the last one had no room for, the most worth, `room` at most. O(room)."""
        return self._named(self.scheduler.further(now, room), now)

    @property
    def left_out(self) -> int:
        """For how many the last step had no room."""
        return len(self.scheduler.left_out)

    def _named(self, chosen: Ints, now: float) -> list[str]:
        self.outcomes.generated(chosen, np.full(len(chosen), now))
        name = self._state.users.name
        return [name(viewer) for viewer in chosen.tolist()]

    def soon(self, viewers: Sequence[str], now: float, tau_s: float) -> list[float]:
        """How soon each is expected: the mean of exp(−t/tau) over the time t to the next login; 0: never heard of."""
        found = [self._state.users.find(viewer) for viewer in viewers]
        rows = self.predictor.habits.count
        known = [at for at, viewer in enumerate(found) if viewer is not None and viewer < rows]
        soon: Floats = np.zeros(len(viewers))
        if known:
            soon[known] = self.predictor.soon(np.array([found[at] for at in known], np.int64), now, tau_s)
        return [float(one) for one in soon]

    def _look_at(self, viewers: Ints, now: float) -> None:
        """In the step of this very moment, wherever in its tick that is."""
        self.scheduler.visited(viewers, now - self._tick_s)

    def _take_in_generated(self) -> None:
        count = len(self._generated)
        found: list[tuple[int, float]] = []
        for _ in range(count):
            viewer, at = self._generated.popleft()
            if (number := self._state.users.find(viewer)) is not None:
                found.append((number, at))
        if found:
            viewers: Ints = np.array([number for number, _ in found], np.int64)
            self.scheduler.made(viewers, np.array([at for _, at in found]))
