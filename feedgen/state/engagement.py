"""Who engaged with what, in which hour: what popularity, windows and affinity are read from.

An engagement is the other one's index and, in 32 bits, the hour since the epoch, the kind, and whether it is taken
back: 8 bytes in the list of its post and, if in favour, 8 in that of its viewer. Hours are the buckets, days are 24 of
them; decay and windows are computed when read. Weights are rounded to integers before they are added, so that sums do
not depend on the order of arrival.

What was done with a post is kept as long as the post can be shown, and of what a viewer did the latest.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.changes import Changes
from feedgen.state.columns import SECONDS_PER_HOUR, Column, Composite, Part
from feedgen.state.counting import add_units, sum_units
from feedgen.state.lists import Lists, Spans
from feedgen.state.symbols import Symbols
from feedgen.state.tally import Tally
from feedgen.state.toggles import Toggles
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
"""Of what stands above a packed engagement: its post in a viewer's list, its viewer in a post's."""
_SWITCHED: Final = np.array([0, -1, -1, -1, -1, -1, 1, 2, 3])
"""By kind: its number among those that are switched, in the keys of Toggles."""
_WAYS: Final = 4
_FRESH_MAX: Final = 1 << 20
"""Engagements kept to bring popularity forward; past that, it is counted anew."""


def hour_of(ts: float) -> int:
    """Whole hours since the epoch."""
    return int(ts // SECONDS_PER_HOUR)


def _pack(ts: NDArray[np.float64], kind: NDArray[np.integer[Any]], back: bool) -> NDArray[np.int64]:
    hours = (ts // SECONDS_PER_HOUR).astype(np.int64)
    return (hours << 4 | kind) << 1 | int(back)


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


def _unpack(post: NDArray[np.int64], viewer: NDArray[np.int64], value: NDArray[np.int64]) -> Engagements:
    return Engagements(post, viewer, value >> 5 & HOUR_MASK, value >> 1 & KIND_MASK, 1 - 2 * (value & BACK))


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

    def table(self, now_hour: int) -> NDArray[np.int64]:
        """What one counts, by kind and age in hours up to `now_hour`; past its end, nothing. O(its size)."""
        end, most = 1, float(np.abs(self._weights).max()) * UNIT
        while end <= now_hour and np.rint(most * self._left(np.array([end]))[0]) > 0:
            end *= 2
        left = self._left(np.arange(min(end, max(now_hour, 0)) + 1))
        found: NDArray[np.int64] = np.rint(self._weights[:, None] * left * UNIT).astype(np.int64)
        return found


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


class Engagement(Composite):
    """Engagements of everyone, by post and by viewer: 16 bytes, a like or rejection 12 more and its event's id.

    And 32 bytes a post, 40 a viewer; what Lists and Toggles leave unused.
    """

    def __init__(self, popularity: Decay, engaged: Tally, changes: Changes, ids: Symbols, per_viewer: int) -> None:
        """`engaged`: where those in favour are counted; `ids`: those of posts. Of a viewer the latest `per_viewer` are
        kept, by hour, ties by id."""
        self._ids = ids
        self._per_viewer = per_viewer
        self._switches = Toggles()  # right: post × _WAYS + _SWITCHED
        self._by_post = Lists(np.int64)
        self._by_viewer = Lists(np.int64)
        self._engaged = engaged
        self._changes = changes
        self.touched = Touched()
        """When each post was first and last engaged with in its favour."""
        self._size = Column(np.int64, 0, 1)
        self._popularity = popularity
        self._cache_lock = threading.Lock()
        self._cache_hour = -1
        self._cache = Column(np.int64)
        self._fresh = Column(np.int32), Column(np.int64)  # post and value of what is not in the cache yet

    def _parts(self) -> Mapping[str, Part]:
        return {
            "switches": self._switches,
            "by_post": self._by_post,
            "by_viewer": self._by_viewer,
            "touched": self.touched,
            "size": self._size,
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See columns.Part. Of viewers with more than `per_viewer`, as an older version kept them, the latest stay."""
        super().restore(columns)
        self._forget()
        self._cut(np.arange(len(self._by_viewer.spans.counts)))

    def engage_many(
        self,
        viewers: NDArray[np.integer[Any]],
        posts: NDArray[np.integer[Any]],
        kinds: NDArray[np.integer[Any]],
        ts: NDArray[np.float64],
        *,
        bulk: bool = False,
    ) -> None:
        """Count engagements that cannot be taken back; `kinds` by their place in KINDS. 0.2 µs each."""
        self._enter(viewers, posts, _pack(ts, kinds, False), bulk=bulk)
        self.touched.touch(posts, ts)

    def switch_many(
        self,
        viewers: NDArray[np.integer[Any]],
        posts: NDArray[np.integer[Any]],
        kinds: NDArray[np.integer[Any]],
        on: NDArray[np.bool_],
        ts: NDArray[np.float64],
        ids: Sequence[str] | None,
    ) -> None:
        """Likes, unlikes (not `on`), hides, reports, not_interested: the greatest (ts, id) of each decides.

        A like counts in the hour of the one that stands; what is said twice counts once. `ids` None for a bulk.
        """
        keys = posts.astype(np.int64) * _WAYS + _SWITCHED[kinds]
        decided = self._switches.decide_many(viewers, keys, on, ts, ids)
        never = decided.first & ~on  # who takes a like back has seen the post, whichever event comes first
        back, given = decided.won & decided.was_on, (decided.won & on) | never
        parts = [(given, ts, False), (back, decided.was_ts, True), (never, ts, True)]
        for which, at, taken in parts:
            found = np.flatnonzero(which)
            if len(found):
                values = _pack(at[found], kinds[found], taken)
                self._enter(viewers[found], posts[found], values, bulk=ids is None)
        likes = np.flatnonzero(on & (kinds == KIND["like"]))
        self.touched.touch(posts[likes], ts[likes])

    def _enter(
        self,
        viewers: NDArray[np.integer[Any]],
        posts: NDArray[np.integer[Any]],
        values: NDArray[np.int64],
        *,
        bulk: bool,
    ) -> None:
        if not len(posts):
            return
        self._size[0] += len(posts)
        self._by_post.append_many(posts, viewers.astype(np.int64) << POST_SHIFT | values, bulk=bulk)
        self._changes.note(posts)
        self._remember(posts, values)
        favour = np.flatnonzero(values >> 1 & KIND_MASK < AGAINST)
        viewers, posts, values = viewers[favour], posts[favour], values[favour]
        self._by_viewer.append_many(viewers, posts.astype(np.int64) << POST_SHIFT | values, bulk=bulk)
        self._cut(viewers)
        self._engaged.add(posts, 1 - 2 * (values & BACK))

    def _cut(self, viewers: NDArray[np.integer[Any]]) -> None:
        for viewer in np.unique(viewers[self._by_viewer.spans.counts[viewers] > self._per_viewer]).tolist():
            self._by_viewer.put(viewer, self._latest(self._by_viewer.of(viewer)))

    def _latest(self, packed: NDArray[np.int64]) -> NDArray[np.int64]:
        """The latest `per_viewer` of more; copies. To cut again, with others, comes to the same as to cut once."""
        hours = packed >> 5 & HOUR_MASK
        edge = np.partition(hours, -self._per_viewer)[-self._per_viewer]
        kept, tied = packed[hours > edge], packed[hours == edge].tolist()
        tied.sort(key=lambda value: (self._ids.name(value >> POST_SHIFT), value & (1 << 5) - 1))
        return np.concatenate((kept, np.array(tied[: self._per_viewer - len(kept)], np.int64)))

    def forget(self, posts: NDArray[np.integer[Any]]) -> None:
        """Let go of what was done with posts that can be shown no more. O(all posts)."""
        counts = self._by_post.spans.counts
        posts = posts[posts < len(counts)]
        posts = posts[counts[posts] > 0]
        if len(posts):
            self._by_post.clear(posts)
            self._changes.note(posts)

    def _remember(self, posts: NDArray[np.integer[Any]], values: NDArray[np.int64]) -> None:
        if self._cache_hour < 0:
            return
        if self._fresh[0].count + len(posts) > _FRESH_MAX:
            self._forget()
            return
        self._fresh[0].extend(posts.astype(np.int32))
        self._fresh[1].extend(values)

    def _forget(self) -> None:
        self._cache_hour = -1
        self._cache, self._fresh = Column(np.int64), (Column(np.int32), Column(np.int64))

    def of_viewer(self, viewer: int) -> Engagements:
        """What the viewer did in favour of posts, the latest; copies. O(n)."""
        packed = self._by_viewer.of(viewer)
        return _unpack(packed >> POST_SHIFT, np.full(len(packed), viewer), packed)

    @property
    def by_viewer(self) -> Spans:
        """The latest of what each viewer did in favour of posts, as post << POST_SHIFT | value; views until the next
        fold."""
        return self._by_viewer.spans

    @property
    def by_post(self) -> Spans:
        """Everything done with each post that can be shown, as viewer << POST_SHIFT | value; views until the next
        fold."""
        return self._by_post.spans

    @property
    def layout(self) -> int:
        """See Lists.layout, of `by_post`."""
        return self._by_post.layout

    def of_posts(self, posts: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], Engagements]:
        """Everything done with `posts`, and the position among them of each one's post; copies. O(found)."""
        packed, place = self._by_post.of_all(posts)
        return place, _unpack(posts[place].astype(np.int64), packed >> POST_SHIFT, packed)

    def counts(self, posts: int) -> NDArray[np.int64]:
        """Standing engagements in favour of each post, whatever their kind; a copy of `posts` entries. O(posts)."""
        counts = np.zeros(posts, np.int64)
        counts[: len(self._engaged.by_post)] = self._engaged.by_post
        return counts

    def popularity(self, now_hour: int, posts: int) -> NDArray[np.int64]:
        """Decayed weighted engagements of everyone by post, in UNITs; `posts` entries, a view until the next fold.

        O(posts + all engagements) once an hour, then O(new ones). Safe in several threads at once.
        """
        with self._cache_lock:
            table = self._popularity.table(now_hour)
            if now_hour != self._cache_hour:
                self._forget()
                self._cache.reach(posts)
                sum_units(table, *self.by_post, now_hour, self._cache.values)
                self._cache_hour = now_hour
            self._cache.reach(posts)
            posts_, values = self._fresh
            add_units(table, posts_.values, values.values, now_hour, self._cache.values)
            posts_.count = values.count = 0
            return self._cache.values[:posts]

    def __len__(self) -> int:
        return int(self._size[0])
