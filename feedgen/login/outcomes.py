"""How logins were met, what became of the generations made ahead, and whether the chances come true."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from feedgen.state.habits import Floats, Ints

BANDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Bounds of P(login while a feed is fresh) between which forecasts are counted together."""


@dataclass(slots=True)
class Met:
    """Logins by the age of the feed that met them, and generations by whether a login came while they were fresh."""

    fresh: int = 0
    stale: int = 0
    missed: int = 0
    used: int = 0
    wasted: int = 0


class Outcomes:
    """Told of forecasts, generations and logins. Arrays by viewer, 18 bytes each; times are seconds since the epoch.

    One forecast of a viewer is open at a time: it ends with a login, or when the feed it was made for would be stale.
    """

    def __init__(self, fresh_s: float, stale_s: float) -> None:
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._pending = np.zeros(64, np.bool_)  # a generation made ahead, that no login has used yet
        self._ahead_at = np.full(64, -np.inf)
        self._forecast_at = np.full(64, -np.inf)
        self._band = np.zeros(64, np.uint8)
        self.met = Met()
        self.forecasts = np.zeros(len(BANDS) + 1, np.int64)
        self.expected = np.zeros(len(BANDS) + 1)
        self.came = np.zeros(len(BANDS) + 1, np.int64)

    def generated(self, viewers: Ints, at: Floats) -> None:
        """Feeds were made ahead, one a viewer. What nobody came for until then was wasted. O(viewers)."""
        self._reach(viewers)
        self.met.wasted += int(self._pending[viewers].sum())
        self._pending[viewers] = True
        self._ahead_at[viewers] = at

    def logged_in(self, viewers: Ints, ts: Floats, made: Floats) -> None:
        """Logins, and when the feed that met each was made (−inf: none). One viewer may be named often. O(n)."""
        self._reach(viewers)
        age = ts - made
        fresh, kept = age < self._fresh_s, age < self._stale_s
        self.met.fresh += int(fresh.sum())
        self.met.stale += int((kept & ~fresh).sum())
        self.met.missed += int((~kept).sum())
        used = self._pending[viewers] & (ts - self._ahead_at[viewers] < self._fresh_s) & (ts >= self._ahead_at[viewers])
        using = np.unique(viewers[used])
        self.met.used += len(using)
        self._pending[using] = False
        since = ts - self._forecast_at[viewers]
        right = np.unique(viewers[(since >= 0) & (since < self._fresh_s)])
        np.add.at(self.came, self._band[right], 1)
        self._forecast_at[right] = -np.inf

    def forecast(self, viewers: Ints, chances: Floats, now: float) -> None:
        """P(login while a feed made now is fresh), of viewers who are away. O(viewers)."""
        self._reach(viewers)
        free = now - self._forecast_at[viewers] >= self._fresh_s
        viewers, chances = viewers[free], chances[free]
        band = np.searchsorted(BANDS, chances, side="right")
        self._forecast_at[viewers] = now
        self._band[viewers] = band
        np.add.at(self.forecasts, band, 1)
        np.add.at(self.expected, band, chances)

    def close(self, now: float) -> None:
        """Count what has gone stale unused by now. O(viewers)."""
        over = self._pending & (now - self._ahead_at >= self._fresh_s)
        self.met.wasted += int(over.sum())
        self._pending[over] = False

    def _reach(self, viewers: Ints) -> None:
        count = int(viewers.max(initial=-1)) + 1
        if count > len(self._band):
            more = max(count, 2 * len(self._band)) - len(self._band)
            self._pending = np.append(self._pending, np.zeros(more, np.bool_))
            self._band = np.append(self._band, np.zeros(more, np.uint8))
            self._ahead_at = np.append(self._ahead_at, np.full(more, -np.inf))
            self._forecast_at = np.append(self._forecast_at, np.full(more, -np.inf))
