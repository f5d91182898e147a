"""The logins and logouts of a log, in columns: what the predictor is trained on and replayed over."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from feedgen.events import Event
from feedgen.state.habits import Floats, Habits, Ints

_STEP: Final = 1 << 34
"""More seconds than any time; viewer and second in one int64."""
_AT_ONCE: Final = 2_000


class Visits(NamedTuple):
    """By time, in the order they came where times are equal. `names` by viewer, numbered as they came; may be empty.

    `told`: which were reported, the others made out from what viewers did; None: all were.
    """

    viewers: Ints
    ts: Floats
    came: NDArray[np.bool_]
    names: Sequence[str]
    told: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """The logins and logouts among events, whatever their order. O(n log n)."""
        rows = [(event.ts, event.actor, event.type == "login") for event in events if event.type in ("login", "logout")]
        rows.sort(key=lambda row: row[0])
        numbers: dict[str, int] = {}
        viewers = np.array([numbers.setdefault(actor, len(numbers)) for _, actor, _ in rows], np.int64)
        ts, came = np.array([row[0] for row in rows], np.float64), np.array([row[2] for row in rows], np.bool_)
        return cls(viewers, ts, came, list(numbers))

    def before(self, moment: float) -> "Visits":
        """Those earlier than `moment` (s), and the viewers they are of: all that could be known then. O(log n)."""
        end = int(np.searchsorted(self.ts, moment))
        known = int(self.viewers[:end].max()) + 1 if end else 0
        told = None if self.told is None else self.told[:end]
        return Visits(self.viewers[:end], self.ts[:end], self.came[:end], self.names[:known], told)

    def logins(self) -> "Logins":
        """The logins alone, to be asked for the next one."""
        return Logins(self.viewers[self.came], self.ts[self.came])


class Logins:
    """Logins by viewer."""

    def __init__(self, viewers: Ints, ts: Floats) -> None:
        self._keys = np.sort(viewers * _STEP + ts.astype(np.int64))

    def until_next(self, viewers: Ints, now: float) -> Floats:
        """Seconds from `now` (whole) until the viewers' next login, one at `now` included; inf for none. O(n log)."""
        at = np.searchsorted(self._keys, viewers * _STEP + int(now))
        found = at < len(self._keys)
        keys = self._keys[np.minimum(at, len(self._keys) - 1)] if len(self._keys) else np.zeros(len(at), np.int64)
        found &= keys // _STEP == viewers
        return np.where(found, keys % _STEP - int(now), np.inf)


class Reader:
    """Feeds visits to habits up to one moment after the other."""

    def __init__(self, visits: Visits, habits: Habits) -> None:
        self._visits = visits
        self._habits = habits
        self._at = 0

    def read_before(self, moment: float) -> slice:
        """Absorb what comes before `moment` (s); which of the visits those were."""
        begin, end = self._at, int(np.searchsorted(self._visits.ts, moment))
        for start in range(begin, end, _AT_ONCE):
            part = slice(start, min(end, start + _AT_ONCE))
            visits = self._visits
            told = None if visits.told is None else visits.told[part]
            self._habits.absorb(visits.viewers[part], visits.ts[part], visits.came[part], told)
        self._at = end
        return slice(begin, end)
