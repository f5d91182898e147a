"""When each viewer comes and goes, in 256 bytes a viewer: what the login-time predictor knows."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Rows = NDArray[np.void]
Flags = NDArray[np.bool_]

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
RHYTHM_DAYS: Final = np.array([10.0, 60.0, 60.0])
"""Half-lives of the hour-of-day histograms: every day, Monday to Friday, the weekend. The fourth fades by login."""
SHAPE_KEEP: Final = 0.99
GAP_KEEP: Final = 0.97
COUNT_DAYS: Final = np.array([1.0, 7.0, 30.0])
WEEKLY_DAYS: Final = 30.0
GAP_EDGES_S: Final = 60.0 * np.array([0, 30, 45, 60, 90, 120, 180, 300, 480, 720, 1080, 1620, 2880, 14_400, 1e8])
"""Bounds of the time away before a login."""
BREAK_S: Final = 5 * HOUR_S
"""Away so long, a login begins a new day of the viewer's."""
SILENT_S: Final = 1_800.0
"""How long a login lasts whose viewer was never reported to leave."""
FORGOTTEN_S: Final = 86_400.0
"""How long one lasts whose viewer should have left by then."""

ROW: Final = np.dtype(
    [
        ("came", "u4"),  # s since the epoch, 0 for never: the last login, logout, first login, and when the day began
        ("left", "u4"),
        ("first", "u4"),
        ("began", "u4"),
        ("rhythm", "f2", (4, 24)),
        ("gaps", "f2", (14,)),
        ("counts", "f2", (3,)),
        ("length", "f2"),  # minutes: the last session, and the absence before it
        ("gap", "f2"),
        ("today", "u1"),
        ("days", "u4"),  # a bit for each of the last 32 days with a login, today's the lowest
        ("offset", "i2"),  # minutes from UTC
        ("total", "u2"),
        ("told", "?"),  # whether logins are reported of the viewer; else visits are made out from what the viewer does
    ]
)


class Habits:
    """One row a viewer, and what everyone together does. Times are seconds since the epoch.

    A login that comes late counts in the histograms as what it is worth by now, and opens no session.
    """

    def __init__(self) -> None:
        self._rows = np.zeros(64, ROW)
        self.count = 0
        self.online = 0
        """Viewers who came and were not reported to leave, of those who ever were. May fall below 0 where logouts are
        reported and logins only begin to be."""
        self.first: float | None = None
        self.weekly: Floats = np.zeros(168)
        """Logins by hour of the week, decayed to `weekly_at`."""
        self.weekly_at = 0.0
        self.gaps: Floats = np.ones(len(GAP_EDGES_S) - 1)
        """How long everyone was away before a login, fading by login."""
        self.recent: deque[float] = deque()
        """Logins of the last hour."""

    @property
    def rows(self) -> Rows:
        """By viewer; a view until the next fold."""
        return self._rows[: self.count]

    def locate(self, viewer: int, offset_min: int) -> None:
        """The viewer's time zone. What is in the histograms stays where it is, and fades. O(1)."""
        self._reach(viewer + 1)
        self._rows["offset"][viewer] = offset_min

    def away(self, viewers: Ints, now: float) -> Flags:
        """Who of the viewers has come before and is not there now. O(viewers)."""
        rows = self._rows[viewers]
        came, left = rows["came"].astype(np.float64), rows["left"].astype(np.float64)
        lasts = np.where(left > 0, FORGOTTEN_S, SILENT_S)
        silent = now - np.maximum(came, left) >= SILENT_S
        return (came > 0) & np.where(rows["told"], (left >= came) | (now - came >= lasts), silent)

    def absorb(self, viewers: Ints, ts: Floats, came: Flags, told: Flags | None = None) -> None:
        """Logins (`came`) and logouts, in log order. Vectorised over viewers: 60 µs + 2 µs an event.

        `told`: which were reported; the others were made out from what viewers did. None: all of them.
        """
        if not len(viewers):
            return
        self._reach(int(viewers.max()) + 1)
        self._rows["told"][viewers[came if told is None else came & told]] = True
        order = np.lexsort((ts, viewers))
        of = viewers[order]
        starts = np.flatnonzero(np.concatenate(([True], of[1:] != of[:-1])))
        turn = np.arange(len(of)) - np.repeat(starts, np.diff(np.append(starts, len(of))))
        for number in range(int(turn.max()) + 1):  # the first event of each viewer, then everybody's second, …
            at = order[turn == number]
            coming = came[at]
            if coming.any():
                self._come(viewers[at[coming]], ts[at[coming]])
            if not coming.all():
                self._leave(viewers[at[~coming]], ts[at[~coming]])
        if came.any():
            self._together(np.sort(ts[came]))

    def columns(self) -> dict[str, NDArray[Any]]:
        """All of it in flat arrays, for `restore`; views until the next fold."""
        alone = [-1.0 if self.first is None else self.first, self.weekly_at, float(self.online)]
        return {
            "rows": self.rows.view(np.uint8),
            "weekly": self.weekly,
            "gaps": self.gaps,
            "recent": np.array(self.recent, np.float64),
            "alone": np.array(alone, np.float64),
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Become what `columns` were taken of; copies. O(viewers)."""
        self._rows = np.array(columns["rows"]).view(ROW)
        self.count = len(self._rows)
        self.weekly, self.gaps = np.array(columns["weekly"]), np.array(columns["gaps"])
        self.recent = deque(columns["recent"].tolist())
        first, self.weekly_at, online = columns["alone"].tolist()
        self.first, self.online = None if first < 0 else first, int(online)

    def _come(self, viewers: Ints, ts: Floats) -> None:
        rows = self._rows[viewers]
        last = rows["came"].astype(np.float64)
        new, late = last == 0, ts < last
        local = ts + 60.0 * rows["offset"]
        _beat(rows, local, np.where(new, 0.0, ts - last))
        in_order = ~late
        rows["first"] = np.where(new, ts, np.minimum(rows["first"], ts))
        rows["total"] = np.minimum(rows["total"].astype(np.int64) + 1, 65_535)
        seen = np.maximum(rows["left"].astype(np.float64), last)
        away = np.where(new, 0.0, np.maximum(ts - seen, 0.0))
        self._count_gap(rows, away, in_order & ~new)
        rows["gap"] = np.where(in_order, np.minimum(away / 60, 60_000), rows["gap"])
        passed = np.clip(local // DAY_S - (last + 60.0 * rows["offset"]) // DAY_S, 0, 32).astype(np.uint64)
        days = (rows["days"].astype(np.uint64) << passed) & np.uint64(0xFFFFFFFF) | np.uint64(1)
        rows["days"] = np.where(in_order, days, rows["days"])
        begins = in_order & (new | (away > BREAK_S))
        rows["began"] = np.where(begins, ts, rows["began"])
        rows["today"] = np.where(begins, 1, np.minimum(rows["today"].astype(np.int64) + in_order, 255))
        self.online += int((rows["told"] & (rows["left"] > 0) & (rows["left"] >= last) & in_order).sum())
        rows["came"] = np.maximum(ts, last)
        self._rows[viewers] = rows

    def _count_gap(self, rows: Rows, away: Floats, counts: Flags) -> None:
        bins = np.searchsorted(GAP_EDGES_S, away, side="right") - 1
        gaps = rows["gaps"].astype(np.float32)
        gaps[counts] *= GAP_KEEP
        gaps[counts, bins[counts]] += 1
        rows["gaps"] = gaps
        self.gaps *= 0.9999 ** int(counts.sum())
        np.add.at(self.gaps, bins[counts], 1.0)

    def _leave(self, viewers: Ints, ts: Floats) -> None:
        rows = self._rows[viewers]
        came, left = rows["came"].astype(np.float64), rows["left"].astype(np.float64)
        self.online -= int((rows["told"] & (left > 0) & (left < came)).sum())
        fits = ts >= came
        rows["length"] = np.where(fits, np.minimum((ts - came) / 60, 60_000), rows["length"])
        rows["left"] = np.maximum(ts, left)
        self._rows[viewers] = rows

    def _together(self, logins: Floats) -> None:
        if self.first is None:
            self.first = self.weekly_at = float(logins[0])
        now = max(self.weekly_at, float(logins[-1]))
        self.weekly *= 0.5 ** ((now - self.weekly_at) / DAY_S / WEEKLY_DAYS)
        self.weekly_at = now
        np.add.at(self.weekly, (logins // HOUR_S).astype(np.int64) % 168, 0.5 ** ((now - logins) / DAY_S / WEEKLY_DAYS))
        self.recent.extend(logins[logins > now - HOUR_S].tolist())
        while self.recent and self.recent[0] <= now - HOUR_S:
            self.recent.popleft()

    def _reach(self, count: int) -> None:
        if count > len(self._rows):
            grown = np.zeros(max(count, 2 * len(self._rows)), ROW)
            grown[: self.count] = self._rows[: self.count]
            self._rows = grown
        self.count = max(self.count, count)


def _beat(rows: Any, local: Floats, since_s: Floats) -> None:
    """Fade the histograms and counts of rows by the time since the last login, and count one at `local` time.

    A negative time since is a login that comes late: nothing fades, and it counts for less.
    """
    fade, late = np.maximum(since_s, 0.0)[:, None] / DAY_S, np.maximum(-since_s, 0.0)[:, None] / DAY_S
    rhythm = rows["rhythm"].astype(np.float32)
    rhythm[:, :3] *= (0.5 ** (fade / RHYTHM_DAYS))[:, :, None]
    rhythm[:, 3] *= SHAPE_KEEP
    worth = np.concatenate([0.5 ** (late / RHYTHM_DAYS), np.ones((len(rows), 1))], axis=1)
    weekend = is_weekend(local)
    worth[:, 1] *= ~weekend
    worth[:, 2] *= weekend
    hour, share = hour_of(local)
    each = np.arange(len(rows))
    rhythm[each, :, hour] += worth * (1 - share)[:, None]
    rhythm[each, :, (hour + 1) % 24] += worth * share[:, None]
    rows["rhythm"] = rhythm
    rows["counts"] = rows["counts"].astype(np.float32) * 0.5 ** (fade / COUNT_DAYS) + 0.5 ** (late / COUNT_DAYS)


def is_weekend(local: Floats) -> Flags:
    """Whether it is Saturday or Sunday at these local times (s)."""
    weekend: NDArray[np.bool_] = (local // DAY_S + 3) % 7 >= 5
    return weekend


def hour_of(local: Floats) -> tuple[Ints, Floats]:
    """The bin of the day whose middle lies before these local times (s), and how far they are towards the next's."""
    position = (local % DAY_S) / HOUR_S - 0.5
    below = np.floor(position)
    return below.astype(np.int64) % 24, position - below
