"""Who engaged with what, in which hour: what popularity, windows and affinity are read from.

An engagement is a row: post, viewer, and in one int64 the hour since the epoch, the kind, and whether it is taken back.
Hours are the buckets, days are 24 of them; decay and windows are computed when read. Weights are rounded to integers
before they are added, so that sums do not depend on the order of arrival.
"""

import threading
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.bypost import ByPost, PostIndex, Rows
from feedgen.state.columns import SECONDS_PER_HOUR, Column
from feedgen.state.lists import Lists, Spans
from feedgen.state.toggles import NEVER, Before, Toggles
from feedgen.state.touched import Touched

KINDS: Final = ("like", "comment", "share", "save", "click", "dwell", "hide", "report", "not_interested")
KIND: Final = {name: number for number, name in enumerate(KINDS)}
AGAINST: Final = KIND["hide"]
"""Kinds from this one on count against a post, and are no sign that the viewer cares for its author or topics."""
UNIT: Final = 1 << 20
"""What an engagement of weight 1 counts before decay; 2⁻²⁰ is the smallest decay that is still seen."""
WINDOWS: Final = {"1h": 1, "1d": 24, "3d": 72, "7d": 168}
"""Hours of each window: so many whole ones, and the one that has begun."""

BACK: Final = 1
HOUR_MASK: Final = (1 << 27) - 1  # hours until the year 17,281; `--now` may be as far as 9,999
KIND_MASK: Final = (1 << 4) - 1
POST_SHIFT: Final = 32


def hour_of(ts: float) -> int:
    """Whole hours since the epoch."""
    return int(ts // SECONDS_PER_HOUR)


def _pack(hour: int, kind: int, back: bool) -> int:
    return (hour << 4 | kind) << 1 | back


class Engagements(NamedTuple):
    """Unpacked columns of one length; `sign` is −1 for an engagement taken back."""

    post: NDArray[np.int64]
    viewer: NDArray[np.int64]
    hour: NDArray[np.int64]
    kind: NDArray[np.int64]
    sign: NDArray[np.int64]

    def rows(self, which: NDArray[np.bool_]) -> "Engagements":
        """Those under a mask; copies. O(n)."""
        return Engagements(*(column[which] for column in self))


def _unpack(rows: Rows) -> Engagements:
    value = rows.value
    return Engagements(rows.post, rows.who, value >> 5 & HOUR_MASK, value >> 1 & KIND_MASK, 1 - 2 * (value & BACK))


def by_half_life(hours: float) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """2^(−age / half-life), age in hours."""
    return lambda age: np.exp2(-age / hours)


def by_age(age: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / (age + 1), age in hours: a post that is talked about for days outlives a flash."""
    return 1.0 / (age.astype(np.float64) + 1.0)


class Decay:
    """Σ of integer weights: UNIT × weight of the kind × how much of it is left at its age."""

    def __init__(self, weights: Mapping[str, float], left: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> None:
        self._weights = np.array([weights.get(kind, 0.0) for kind in KINDS])
        self._left = left

    def units(self, engagements: Engagements, now_hour: int) -> NDArray[np.int64]:
        """What each engagement counts at `now_hour`, in UNITs; one dated ahead counts as of now. O(n)."""
        age = np.maximum(now_hour - engagements.hour, 0)
        weight = self._weights[engagements.kind] * self._left(age)
        units: NDArray[np.int64] = np.rint(weight * UNIT).astype(np.int64) * engagements.sign
        return units


def within(engagements: Engagements, now_hour: int, hours: int) -> NDArray[np.bool_]:
    """Which of them lie in the window of so many hours up to `now_hour`."""
    inside: NDArray[np.bool_] = engagements.hour >= now_hour - hours
    return inside


def windows(engagements: Engagements, now_hour: int) -> dict[str, dict[str, int]]:
    """How many of each kind there are within each of WINDOWS, and in all (`ever`); kinds there are none of left out."""
    spans = {**WINDOWS, "ever": now_hour + 1}
    inside = {name: within(engagements, now_hour, hours) for name, hours in spans.items()}
    return {
        kind: {name: int(engagements.sign[mask & of_kind].sum()) for name, mask in inside.items()}
        for number, kind in enumerate(KINDS)
        if (of_kind := engagements.kind == number).any()
    }


class Engagement:
    """Engagements of everyone, by post and by viewer."""

    def __init__(self, popularity: Decay) -> None:
        self._switches = {kind: Toggles() for kind in ("like", *KINDS[AGAINST:])}
        self._rows = ByPost()
        self._by_viewer = Lists(np.int64)
        self.touched = Touched()
        """When each post was first and last engaged with in its favour."""
        self._counts = array("q")
        self._popularity = popularity
        self._cache_lock = threading.Lock()
        self._cache_hour = -1
        self._cache = Column(np.int64, 0)
        self._cached_count = 0

    def engage(self, viewer: int, post: int, kind: str, ts: float) -> None:
        """Count one engagement. Amortised O(1)."""
        self._enter(viewer, post, _pack(hour_of(ts), KIND[kind], False))
        self.touched.touch(post, ts)

    def like(self, viewer: int, post: int, on: bool, ts: float, event_id: str) -> None:
        """Like or unlike: the greatest (ts, id) decides, and a like counts in the hour of the one that stands. O(1)."""
        self._switch(viewer, post, KIND["like"], on, ts, event_id)
        if on:
            self.touched.touch(post, ts)

    def reject(self, viewer: int, post: int, kind: str, ts: float, event_id: str) -> None:
        """Hidden, reported or found not interesting: once per viewer however often it is said, the last time. O(1)."""
        self._switch(viewer, post, KIND[kind], True, ts, event_id)

    def _switch(self, viewer: int, post: int, kind: int, on: bool, ts: float, event_id: str) -> None:
        before = self._switches[KINDS[kind]].decide(viewer, post, on, ts, event_id)
        if before is None:
            return
        if before is NEVER and not on:  # who takes a like back has seen the post, whichever event comes first
            before = Before(True, ts)
            self._enter(viewer, post, _pack(hour_of(ts), kind, False))
        if before.on:
            self._enter(viewer, post, _pack(hour_of(before.ts), kind, True))
        if on:
            self._enter(viewer, post, _pack(hour_of(ts), kind, False))

    def _enter(self, viewer: int, post: int, value: int) -> None:
        self._rows.append(post, viewer, value)
        if value >> 1 & KIND_MASK >= AGAINST:
            return
        self._by_viewer.append(viewer, post << POST_SHIFT | value)
        if post >= len(self._counts):
            self._counts.extend([0] * (post + 1 - len(self._counts)))
        self._counts[post] += -1 if value & BACK else 1

    def of_viewer(self, viewer: int) -> Engagements:
        """Everything the viewer did in favour of a post; copies. O(n)."""
        packed = self._by_viewer.of(viewer)
        return _unpack(Rows(packed >> POST_SHIFT, np.full(len(packed), viewer), packed))

    @property
    def by_viewer(self) -> Spans:
        """What each viewer did in favour of posts, as post << POST_SHIFT | value; views until the next fold."""
        return self._by_viewer.spans

    @property
    def by_post(self) -> tuple[PostIndex, PostIndex]:
        """Everything done with each post, in two parts; see ByPost.indices."""
        return self._rows.indices

    def of_posts(self, posts: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], Engagements]:
        """Everything done with `posts`, and the position among them of each one's post; copies. See ByPost.of."""
        place, rows = self._rows.of(posts)
        return place, _unpack(rows)

    def counts(self, posts: int) -> NDArray[np.int64]:
        """Standing engagements in favour of each post, whatever their kind; a copy of `posts` entries. O(posts)."""
        counts = np.zeros(posts, np.int64)
        counts[: len(self._counts)] = self._counts
        return counts

    def popularity(self, now_hour: int, posts: int) -> NDArray[np.int64]:
        """Decayed weighted engagements of everyone by post, in UNITs; a copy of `posts` entries.

        O(all engagements) once an hour, then O(new ones + posts). Safe in several threads at once.
        """
        with self._cache_lock:
            if now_hour != self._cache_hour:
                self._cache = Column(np.int64, 0)
                self._cache_hour, self._cached_count = now_hour, 0
            self._cache.reach(posts)
            if self._cached_count < len(self._rows):
                fresh = _unpack(self._rows.since(self._cached_count))
                np.add.at(self._cache.values, fresh.post, self._popularity.units(fresh, now_hour))
                self._cached_count = len(self._rows)
            return self._cache.values.copy()

    def __len__(self) -> int:
        return len(self._rows)
