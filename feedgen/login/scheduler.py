"""Whom to generate for, and when: where one more generation meets most logins for its cost.

A viewer is looked at again when something may have changed: when the feed goes stale, after a visit, or after a while
(the longer, the further the chance of a login is below the price). A step costs what is due in it, not what there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from feedgen.login.budget import Budget
from feedgen.login.predictor import Predictor
from feedgen.state.habits import FORGOTTEN_S, SILENT_S, Flags, Floats, Ints

_PATIENCE: Final = 0.8
"""A generation is put off while the chance within the next tick is below this share of the price's; 1 would be even."""
_TICKS_BY_SHARE: Final = ((1 / 3, 1), (1 / 20, 3), (1 / 200, 6))
"""Chance at least this share of the price: look again after so many ticks."""
_LOOK_AGAIN_S: Final = 7_200.0
"""Nobody is looked at later than that, unless a tick is longer or the chance far ahead is too small as well."""
_FAR_S: Final = (28_800.0, 86_400.0)
_FAR_SHARE: Final = 0.5
"""The chance in so long a span is below this share of the price: not looked at before its end. The price may fall."""
_LATELY_S: Final = 7_200.0
"""Away no longer, nobody is looked at more than three ticks later: many come back."""

Forecasts = Callable[[Ints, Floats, float], None]
"""Is told (viewers, P(login while a feed made now is fresh), now)."""
Gains = Callable[[Ints, Floats], Floats]
"""(viewers, when each one's feed was made) → what a generation would bring each, 0 nothing to 1."""


@dataclass(slots=True)
class Counts:
    """What became of those who were looked at."""

    looked: int = 0
    chosen: int = 0
    nothing_new: int = 0
    """Worth it by their chance, but no followee posted anything."""
    waited: int = 0
    """Worth it, and put off: nearly all of their chance lies later."""
    overdue: int = 0
    """Chosen because it had been too long, whatever their chance."""
    shed: int = 0
    """Worth it, but there was no budget, or no room until the next step."""


class Scheduler:
    """Pure: told of visits and generations, asked at every tick. Times are seconds since the epoch."""

    def __init__(
        self,
        predictor: Predictor,
        budget: Budget,
        *,
        fresh_s: float,
        tick_s: float,
        longest_s: float,
        active_s: float,
        gains: Gains | None = None,
        account_of: Ints | None = None,
        refresh_present: bool = False,
        forecasts: Forecasts = lambda viewers, chances, now: None,
    ) -> None:
        """`longest_s`: who did come within `active_s` waits no longer for a generation.

        `refresh_present`: a viewer who is there gets a generation when the feed goes stale; else live updates do that.

        `account_of`: the budget's account by viewer, the last one for viewers past its end; else there is one account.
        """
        self._predictor = predictor
        self.budget = budget
        self._fresh_s = fresh_s
        self._tick_s = tick_s
        self._longest_s = longest_s
        self._active_s = active_s
        self._gains = gains
        self._refresh_present = refresh_present
        self._forecasts = forecasts
        self._account_of = np.zeros(0, np.int64) if account_of is None else account_of
        self._made = np.full(64, -np.inf)
        self._look = np.full(64, -1, np.int64)
        self._worth = np.zeros(64, np.float32)
        self._wheel: dict[int, list[Ints]] = {}
        self._passed = 0
        self.left_out: Ints = np.zeros(0, np.int64)
        """For whom the last step had no room, the most worth first; `further` chooses of them until the next step."""
        self.counts = Counts()

    def made(self, viewers: Ints, at: Floats) -> None:
        """Feeds were generated; they are fresh for a while. O(viewers)."""
        self._reach(viewers)
        np.maximum.at(self._made, viewers, at)
        self._look_at(viewers, self._made[viewers] + self._fresh_s)

    def visited(self, viewers: Ints, now: float) -> None:
        """These viewers came or left before `now`: they are looked at with the next step. O(viewers)."""
        self._reach(viewers)
        self._look_at(viewers, np.maximum(self._made[viewers] + self._fresh_s, now))

    def waiting(self) -> int:
        """Viewers that some step will look at. O(viewers)."""
        return int((self._look >= 0).sum())

    def made_at(self, viewers: Ints) -> Floats:
        """When the viewers' feeds were made (s); −inf for never. O(viewers)."""
        self._reach(viewers)
        return self._made[viewers]

    def worth_of(self, rank: int) -> float:
        """What a generation was worth for the viewer of this rank (1: the best) when last looked at; 0 past the end.

        At this price, viewers of better ranks are kept fresh all the time. O(viewers), 10 ns each.
        """
        if rank > len(self._worth):
            return 0.0
        return float(np.partition(self._worth, len(self._worth) - rank)[len(self._worth) - rank])

    def step(self, now: float, room: int | None = None) -> Ints:
        """Whom to generate for now, the most worth first, `room` of them at most. Tell `made` when they are.

        Who is chosen is not looked at again while the feed would be fresh, made or not. O(viewers due). Those left
        out for want of budget are looked at again with the next tick; those for want of room as well, unless `further`
        chooses them before.
        """
        self.counts.shed += len(self.left_out)
        self.left_out = self.left_out[:0]
        self.budget.settle(now)
        due = self._due(now)
        if not len(due):
            return due
        away = self._predictor.habits.away(due, now)
        there = self._there(due[~away], now)
        due = np.concatenate([there, due[away]])
        chance = np.ones((2 + len(_FAR_S), len(due)))  # who is there reads now
        chance[0, : len(there)] = np.inf  # and nobody waits for that to rise
        chance[:, len(there) :] = self._predictor.within(due[len(there) :], now, self._tick_s, self._fresh_s, *_FAR_S)
        self._forecasts(due[len(there) :], chance[1, len(there) :], now)
        return self._chosen(due, chance, now, room)

    def further(self, now: float, room: int) -> Ints:
        """Between two steps: of those the last one had no room for, the most worth, `room` of them at most.

        Who has a fresh feed or came meanwhile is passed over. Tell `made` as after a step. O(room).
        """
        left, self.left_out = self.left_out[:room], self.left_out[room:]
        left = left[now - self._made[left] >= self._fresh_s]
        if not self._refresh_present:
            left = left[self._predictor.habits.away(left, now)]
        chosen: Ints = left[~self.budget.exhausted[self._accounts(left)]]
        self.counts.shed += len(left) - len(chosen)
        self._take(chosen, now)
        return chosen

    def _take(self, chosen: Ints, now: float) -> None:
        self.budget.spend(self._accounts(chosen))
        self._look_at(chosen, np.full(len(chosen), now + self._fresh_s))
        self.counts.chosen += len(chosen)

    def _chosen(self, due: Ints, chance: Floats, now: float, room: int | None) -> Ints:
        """Of those due, by P(login) within a tick, while the feed is fresh, and in each of _FAR_S."""
        self.counts.looked += len(due)
        soon, fresh = chance[:2]
        account = self._accounts(due)
        price = self.budget.price[account]
        likely = fresh >= price
        overdue = self._overdue(due, now)
        gain = self._gain(due, likely | overdue)
        worth = self._worth[due] = fresh * gain
        rises = soon < _PATIENCE * price * self._tick_s / self._fresh_s
        self.counts.nothing_new += int((likely & (gain == 0)).sum())
        self.counts.waited += int(((worth >= price) & rises).sum())
        wanted = ((worth >= price) & ~rises) | overdue & (gain > 0)
        chosen = self._affordable(due, worth, wanted, overdue, room)
        self.counts.overdue += int((overdue[chosen] & ~(worth >= price)[chosen]).sum())
        kept = np.ones(len(due), np.bool_)
        kept[chosen] = False
        self._look_later(due[kept], (chance[1:] / price)[:, kept], now)
        self._take(due[chosen], now)
        return due[chosen]

    def _gain(self, due: Ints, asked: Flags) -> Floats:
        gain = np.ones(len(due))
        if self._gains is not None and asked.any():
            gain[asked] = self._gains(due[asked], self._made[due[asked]])
        return gain

    def _affordable(
        self,
        due: Ints,
        worth: Floats,
        wanted: Flags,
        overdue: Flags,
        room: int | None,
    ) -> Ints:
        order = np.flatnonzero(wanted)
        order = order[np.lexsort((due[order], -worth[order], ~overdue[order]))]
        paid = order[~self.budget.exhausted[self._accounts(due[order])]]
        self.counts.shed += len(order) - len(paid)
        affordable: Ints = paid[:room]
        self.left_out = due[paid[len(affordable) :]]
        return affordable

    def _accounts(self, viewers: Ints) -> Ints:
        if not len(self._account_of):
            return np.zeros(len(viewers), np.int64)
        last = len(self._account_of) - 1
        known = self._account_of[np.minimum(viewers, last)]
        accounts: Ints = np.where(viewers > last, len(self.budget.price) - 1, known)
        return accounts

    def _overdue(self, due: Ints, now: float) -> Flags:
        came = self._predictor.habits.rows["came"][due].astype(np.float64)
        since = np.maximum(self._made[due], came)  # a visit keeps a feed fresh as well
        overdue: Flags = (now - since >= self._longest_s) & (now - came < self._active_s)
        return overdue

    def _there(self, there: Ints, now: float) -> Ints:
        """Of those who are there, whose feed has to be kept fresh by generations: all, or none (`refresh_present`)."""
        rows = self._predictor.habits.rows[there]
        lasts = np.where(rows["told"] & (rows["left"] > 0), FORGOTTEN_S, SILENT_S)
        came = np.where(rows["told"], rows["came"], np.maximum(rows["came"], rows["left"]))
        if self._refresh_present:
            return there[rows["came"] > 0]  # who never came has only been heard of
        self._look_at(there, np.maximum(came + lasts, now + self._tick_s))
        return there[:0]

    def _look_later(self, viewers: Ints, share: Floats, now: float) -> None:
        """`share`: chance over price, while a feed is fresh and in each of _FAR_S; float64[spans, viewers]."""
        at_most = max(1, int(_LOOK_AGAIN_S / self._tick_s))
        ticks = np.full(len(viewers), at_most)
        for far_s, far in zip(_FAR_S, share[1:], strict=True):
            # No half hour of the next day is likelier than the day as a whole.
            ticks[far < _FAR_SHARE] = max(1, int(far_s / self._tick_s))
        for least, count in reversed(_TICKS_BY_SHARE):
            ticks[share[0] >= least] = min(count, at_most)
        rows = self._predictor.habits.rows[viewers]
        overdue_s = np.maximum(self._made[viewers], rows["came"]) + self._longest_s - now
        soon = (overdue_s > 0) & (overdue_s < _FAR_S[-1])
        ticks[soon] = np.minimum(ticks[soon], np.ceil(overdue_s[soon] / self._tick_s))
        lately = now - np.maximum(rows["came"], rows["left"]).astype(np.float64) < _LATELY_S
        ticks[lately] = np.minimum(ticks[lately], 3)
        self._put(viewers, int(now // self._tick_s) + ticks)  # by ticks: a step late by a moment does not cost one more

    def _look_at(self, viewers: Ints, at: Floats) -> None:
        """Put viewers where the step at or after `at` finds them; an earlier wish is forgotten."""
        self._put(viewers, np.ceil(at / self._tick_s).astype(np.int64))

    def _put(self, viewers: Ints, ticks: Ints) -> None:
        self._reach(viewers)
        ticks = np.maximum(ticks, self._passed + 1)
        self._look[viewers] = ticks
        order = np.argsort(ticks, kind="stable")
        firsts = np.flatnonzero(np.diff(ticks[order], prepend=-1))
        for part in np.split(order, firsts[1:]) if len(order) else ():
            self._wheel.setdefault(int(ticks[part[0]]), []).append(viewers[part])

    def _due(self, now: float) -> Ints:
        tick = int(now // self._tick_s)
        # After a pause the whole of it is due; a step past what the wheel holds costs what it holds.
        passed = range(self._passed + 1, tick + 1)
        spokes = passed if len(passed) <= len(self._wheel) else sorted(at for at in self._wheel if at <= tick)
        due = [self._still(viewers, at) for at in spokes for viewers in self._wheel.pop(at, ())]
        self._passed = max(self._passed, tick)
        return np.unique(np.concatenate(due)) if due else np.zeros(0, np.int64)

    def _still(self, viewers: Ints, tick: int) -> Ints:
        still: Ints = viewers[self._look[viewers] == tick]
        self._look[still] = -1
        return still

    def _reach(self, viewers: Ints) -> None:
        count = int(viewers.max(initial=-1)) + 1
        if count > len(self._made):
            more = max(count, 2 * len(self._made)) - len(self._made)
            self._made = np.append(self._made, np.full(more, -np.inf))
            self._look = np.append(self._look, np.full(more, -1, np.int64))
            self._worth = np.append(self._worth, np.zeros(more, np.float32))

    def check(self) -> None:
        """Assert every invariant. For tests. O(viewers + wheel)."""
        held = {(tick, int(viewer)) for tick, parts in self._wheel.items() for part in parts for viewer in part}
        for viewer in np.flatnonzero(self._look >= 0).tolist():
            assert (int(self._look[viewer]), viewer) in held, "a viewer would never be looked at"
        assert all(tick > self._passed for tick in self._wheel), "a spoke of the past is left"
