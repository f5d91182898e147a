"""Who engaged with what, in which hour: what popularity and affinity are read from.

An engagement is one int64: post (31 bits), hour since the epoch (22), kind (4), and whether it takes one back (1).
Decay is computed when read. Weights are rounded to integers before they are added, so that sums do not depend on the
order of arrival.
"""

import threading
from array import array
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import SECONDS_PER_HOUR, Column, copied
from feedgen.state.toggles import NEVER, Before, Toggles

KINDS: Final = ("like", "comment", "share", "save", "click", "dwell")
KIND: Final = {name: number for number, name in enumerate(KINDS)}
UNIT: Final = 1 << 20
"""What an engagement of weight 1 counts before decay; 2⁻²⁰ is the smallest decay that is still seen."""

_BACK: Final = 1
_HOUR_MASK: Final = (1 << 22) - 1
_KIND_MASK: Final = (1 << 4) - 1


def hour_of(ts: float) -> int:
    """Whole hours since the epoch."""
    return int(ts // SECONDS_PER_HOUR)


def _pack(post: int, hour: int, kind: int, back: bool) -> int:
    return ((post << 22 | hour) << 4 | kind) << 1 | back


class Engagements(NamedTuple):
    """Unpacked columns of one length; `sign` is −1 for an engagement taken back."""

    post: NDArray[np.int64]
    hour: NDArray[np.int64]
    kind: NDArray[np.int64]
    sign: NDArray[np.int64]


def _unpack(packed: NDArray[np.int64]) -> Engagements:
    return Engagements(
        packed >> 27,
        packed >> 5 & _HOUR_MASK,
        packed >> 1 & _KIND_MASK,
        1 - 2 * (packed & _BACK),
    )


class Decay:
    """Σ of integer weights: UNIT × weight of the kind × 2^(−age in hours / half-life)."""

    def __init__(self, weights: Mapping[str, float], half_life_hours: float) -> None:
        self._weights = np.array([weights.get(kind, 0.0) for kind in KINDS])
        self._half_life_hours = half_life_hours

    def units(self, engagements: Engagements, now_hour: int) -> NDArray[np.int64]:
        """What each engagement counts at `now_hour`, in UNITs; one dated ahead counts as of now. O(n)."""
        age = np.maximum(now_hour - engagements.hour, 0)
        weight = self._weights[engagements.kind] * np.exp2(-age / self._half_life_hours)
        units: NDArray[np.int64] = np.rint(weight * UNIT).astype(np.int64) * engagements.sign
        return units


class Engagement:
    """Engagements of everyone, by post and by viewer."""

    def __init__(self, popularity: Decay) -> None:
        self._likes = Toggles()
        self._all = array("q")
        self._by_viewer: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
        self._popularity = popularity
        self._cache_lock = threading.Lock()
        self._cache_hour = -1
        self._cache = Column(np.int64, 0)
        self._cached_count = 0

    def engage(self, viewer: int, post: int, kind: str, ts: float) -> None:
        """Count one engagement. Amortised O(1)."""
        self._enter(viewer, _pack(post, hour_of(ts), KIND[kind], False))

    def like(self, viewer: int, post: int, on: bool, ts: float, event_id: str) -> None:
        """Like or unlike: the greatest (ts, id) decides, and a like counts in the hour of the one that stands. O(1)."""
        before = self._likes.decide(viewer, post, on, ts, event_id)
        if before is None:
            return
        if before is NEVER and not on:  # who takes a like back has seen the post, whichever event comes first
            before = Before(True, ts)
            self._enter(viewer, _pack(post, hour_of(ts), KIND["like"], False))
        if before.on:
            self._enter(viewer, _pack(post, hour_of(before.ts), KIND["like"], True))
        if on:
            self._enter(viewer, _pack(post, hour_of(ts), KIND["like"], False))

    def _enter(self, viewer: int, packed: int) -> None:
        self._all.append(packed)
        self._by_viewer[viewer].append(packed)

    def of_viewer(self, viewer: int) -> Engagements:
        """Everything the viewer did; copies. O(n)."""
        own = self._by_viewer.get(viewer)
        return _unpack(copied(own) if own is not None else np.empty(0, np.int64))

    def popularity(self, now_hour: int, posts: int) -> NDArray[np.int64]:
        """Decayed weighted engagements of everyone by post, in UNITs; a copy of `posts` entries.

        O(all engagements) once an hour, then O(new ones + posts). Safe in several threads at once.
        """
        with self._cache_lock:
            if now_hour != self._cache_hour:
                self._cache = Column(np.int64, 0)
                self._cache_hour, self._cached_count = now_hour, 0
            self._cache.reach(posts)
            if self._cached_count < len(self._all):
                fresh = _unpack(copied(self._all[self._cached_count :]))
                np.add.at(self._cache.values, fresh.post, self._popularity.units(fresh, now_hour))
                self._cached_count = len(self._all)
            return self._cache.values.copy()

    def __len__(self) -> int:
        return len(self._all)
