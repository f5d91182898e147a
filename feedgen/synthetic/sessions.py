"""Who comes when, and what each viewer is shown: slates of unseen posts, mixed from recency and chance.

Every post reaches a viewer once at most. A slate is drawn, not ranked: an author is picked among the viewer's
followees by how much they post and how close they are, then that author's latest post before a random recent moment;
one slot in ten is drawn from what is popular everywhere. So the log is no ranker's echo: beyond closeness, popularity
and recency, being shown does not depend on how the viewer would engage.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from feedgen.synthetic.follows import Follows
from feedgen.synthetic.people import People, moments
from feedgen.synthetic.posts import Posts
from feedgen.synthetic.ragged import (
    Bools,
    Floats,
    Ints,
    cumulative,
    first_of_each,
    pick,
    rank_in_run,
    rng_of,
    starts_of,
)
from feedgen.synthetic.spec import DAY_S, SESSION_MAX_S, NetworkSpec

_CHUNK_VIEWERS: Final = 500
"""Viewers whose slates are drawn at once, from one random stream each time: columns of some 2 MB, which a CPU's cache
holds (a quarter faster than 5,000 at once, measured)."""
_SPARE: Final = 2
"""Slots drawn for each one wanted: some are seen already, too old or gone."""
_LOOK_BACK_S: Final = 36_000.0
"""Mean of the random recent moment's distance."""
_OLDEST_S: Final = 7 * DAY_S
_POPULAR_S: Final = 2 * DAY_S
SHOWN_AFTER_S: Final = 2
"""Seconds from the login until the slate is shown."""
_STAGE: Final = 4


class Sessions(Struct, frozen=True):
    """One row per session, sorted by (viewer, start)."""

    viewer: Ints
    start: Ints
    """When the viewer logs in, s since the epoch."""


class Slots(Struct, frozen=True):
    """One row per shown post, sorted by (session, position)."""

    session: Ints
    viewer: Ints
    post: Ints
    ts: Ints
    """When the slate is shown, s since the epoch."""

    def rows(self, which: Ints | Bools) -> "Slots":
        """The rows at positions or under a mask. O(n); copies."""
        return Slots(self.session[which], self.viewer[which], self.post[which], self.ts[which])


class Shown(Struct, frozen=True):
    """All slots of a network, sorted by (session, position), 8 bytes each."""

    sessions: Sessions
    session: NDArray[np.int32]
    post: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.post)

    def slots(self, which: slice | Ints) -> Slots:
        """The slots at these rows. O(rows)."""
        session = self.session[which].astype(np.int64)
        viewer, start = self.sessions.viewer[session], self.sessions.start[session]
        return Slots(session, viewer, self.post[which].astype(np.int64), start + SHOWN_AFTER_S)

    def rows(self, which: Bools) -> "Shown":
        """Those under a mask. O(n)."""
        return Shown(self.sessions, self.session[which], self.post[which])

    def bounds(self, sessions: slice) -> Ints:
        """The rows of each of these sessions, i being the first one's: bounds[i]:bounds[i + 1]. O(sessions log n)."""
        numbers = np.arange(sessions.start, sessions.stop + 1, dtype=np.int32)
        return np.searchsorted(self.session, numbers).astype(np.int64)


def draw_sessions(spec: NetworkSpec, people: People, rng: np.random.Generator) -> Sessions:
    """All sessions of the window; none within SESSION_MAX_S of the one before or of the end."""
    viewer = np.repeat(np.arange(spec.viewers), rng.poisson(people.logins_per_day * spec.days)).astype(np.int64)
    start = moments(spec, people, viewer, rng)
    fits = (start > people.joined[viewer]) & (start < spec.end - SESSION_MAX_S)
    viewer, start = viewer[fits], start[fits]
    order = np.lexsort((start, viewer))
    viewer, start = viewer[order], start[order]
    apart = np.ones(len(viewer), np.bool_)
    apart[1:] = (viewer[1:] != viewer[:-1]) | (start[1:] - start[:-1] > SESSION_MAX_S)
    return Sessions(viewer[apart], start[apart])


class Slates:
    """Draws what each session shows."""

    def __init__(self, spec: NetworkSpec, people: People, follows: Follows, posts: Posts, sessions: Sessions) -> None:
        self._spec, self._people, self._follows, self._posts, self._sessions = spec, people, follows, posts, sessions
        written = np.bincount(posts.author, minlength=spec.viewers)
        closeness: Floats = follows.strength.astype(np.float64)
        self._edges = cumulative(np.exp(0.8 * np.log1p(written[follows.author]) + 0.5 * closeness))
        self._popular = cumulative(people.popularity[posts.author] ** 0.5 * np.exp(posts.quality.astype(np.float64)))
        self._by_author = np.argsort(posts.author, kind="stable")
        self._span = spec.days * DAY_S + 1
        self._author_keys = (posts.author * self._span + posts.created - spec.start)[self._by_author]
        self._first_of = starts_of(posts.author, spec.viewers)
        shown = sessions.start + SHOWN_AFTER_S
        self._trending_from = np.searchsorted(posts.created, shown - _POPULAR_S).astype(np.int64)
        self._trending_to = np.searchsorted(posts.created, shown).astype(np.int64)

    def shown(self, on_viewers: Callable[[int], None]) -> Shown:
        """What every session shows. `on_viewers` gets how many viewers are done."""
        parts: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
        for done, part in self._chunks():
            parts.append((part.session.astype(np.int32), part.post.astype(np.int32)))
            on_viewers(done)
        session, post = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
        return Shown(self._sessions, session, post)

    def _chunks(self) -> Iterator[tuple[int, Slots]]:
        """(viewers done, their slots), viewers in order."""
        n = self._spec.viewers
        bounds = starts_of(self._sessions.viewer, n)
        for chunk, low in enumerate(range(0, n, _CHUNK_VIEWERS)):
            high = min(n, low + _CHUNK_VIEWERS)
            rng = rng_of(self._spec.seed, _STAGE, chunk)
            yield high, self._fill(np.arange(bounds[low], bounds[high], dtype=np.int64), rng)

    def _fill(self, session: Ints, rng: np.random.Generator) -> Slots:
        """The slates of `session`s, which hold all of their viewers' sessions."""
        depth = np.minimum(rng.geometric(1 / self._spec.seen_per_session, len(session)), self._spec.slate_max)
        owner = np.repeat(session, depth * _SPARE)
        depth = np.repeat(depth, depth * _SPARE)
        viewer, ts = self._sessions.viewer[owner], self._sessions.start[owner] + SHOWN_AFTER_S
        trending = pick(self._popular, self._trending_from[owner], self._trending_to[owner], rng)
        latest, followed = self._from_followees(viewer, ts, rng)
        popular = rng.random(len(owner)) < self._spec.popular_share
        slots = Slots(owner, viewer, np.where(popular, trending, latest), ts)
        kept = np.flatnonzero(self._allowed(slots, popular | followed))
        kept = kept[first_of_each(slots.viewer[kept] * len(self._posts.author) + slots.post[kept])]
        kept = kept[rank_in_run(slots.session[kept]) < depth[kept]]
        age_h = (slots.ts[kept] - self._posts.created[slots.post[kept]]) / 3_600
        place = np.log1p(age_h) + rng.normal(0.0, 0.7, len(kept))
        kept = kept[np.lexsort((place, slots.session[kept]))]
        return slots.rows(kept)

    def _from_followees(self, viewer: Ints, ts: Ints, rng: np.random.Generator) -> tuple[Ints, Bools]:
        """A followee's latest post before a recent moment for each row (-1: none), and if it is followed by then."""
        posts, follows = self._posts, self._follows
        edge = pick(self._edges, follows.starts[viewer], follows.starts[viewer + 1], rng)
        back = 1 + rng.exponential(_LOOK_BACK_S, len(viewer)).astype(np.int64)
        if not len(posts.author) or not len(follows.author):
            return np.full(len(viewer), -1, np.int64), np.zeros(len(viewer), np.bool_)
        author = follows.author[edge]
        moment = ts - back - self._spec.start
        key = author * self._span + np.maximum(moment, 0)
        row = np.searchsorted(self._author_keys, key, side="right").astype(np.int64) - 1
        known = (edge >= 0) & (moment >= 0) & (row >= self._first_of[author])
        return np.where(known, self._by_author[np.maximum(row, 0)], -1), follows.ts[edge] <= ts

    def _allowed(self, slots: Slots, followed: Bools) -> Bools:
        """Whether each drawn post exists, is someone else's, recent, and fit to be shown to this viewer."""
        posts, post = self._posts, np.maximum(slots.post, 0)
        if not len(posts.author):
            return np.zeros(len(post), np.bool_)
        year = 1970 + slots.ts / (365.2425 * DAY_S)
        grown: Floats = year - self._people.birth_year[slots.viewer] - 1
        allowed: Bools = (
            followed
            & (slots.post >= 0)
            & (posts.author[post] != slots.viewer)
            & (slots.ts - posts.created[post] < _OLDEST_S)
            & (grown >= posts.min_age[post])
            & posts.shown_at(post, slots.ts)
        )
        return allowed
