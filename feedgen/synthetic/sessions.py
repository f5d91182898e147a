"""Who comes when, and what each viewer is shown: slates of unseen posts, mixed from recency and chance.

Every post reaches a viewer once at most. A slate is drawn, not ranked: an author is picked among the viewer's followees by how
much they post and how close they are, then that author's latest post before a random recent moment; one slot in ten is
drawn from what is popular everywhere. The chance of being shown thus does not depend on how the viewer would engage,
beyond closeness.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct

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

_CHUNK_VIEWERS: Final = 5_000
"""Viewers whose slates are drawn at once: some 300 MB at the default rates."""
_SPARE: Final = 2
"""Slots drawn for each one wanted: some are seen already, too old or gone."""
_LOOK_BACK_S: Final = 72_000.0
"""Mean of the random recent moment's distance."""
_OLDEST_S: Final = 7 * DAY_S
_POPULAR_S: Final = 2 * DAY_S
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

    def where(self, keep: Bools) -> "Slots":
        """The rows for which `keep` holds. O(n); copies."""
        return Slots(self.session[keep], self.viewer[keep], self.post[keep], self.ts[keep])


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
        self._edges = cumulative(written[follows.author] ** 0.8 * np.exp(0.5 * follows.strength.astype(np.float64)))
        self._popular = cumulative(people.popularity[posts.author] ** 0.5 * np.exp(posts.quality.astype(np.float64)))
        self._by_author = np.argsort(posts.author, kind="stable")
        self._span = spec.days * DAY_S + 1
        self._author_keys = (posts.author * self._span + posts.created - spec.start)[self._by_author]
        self._first_of = starts_of(posts.author, spec.viewers)

    def chunks(self) -> Iterator[tuple[int, Slots]]:
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
        slots = Slots(owner, self._sessions.viewer[owner], np.zeros(0, np.int64), self._sessions.start[owner] + 2)
        post, followed = self._draw(slots.viewer, slots.ts, rng)
        slots = Slots(slots.session, slots.viewer, post, slots.ts)
        kept = np.flatnonzero(self._allowed(slots, followed))
        kept = kept[first_of_each(slots.viewer[kept] * len(self._posts.author) + slots.post[kept])]
        kept = kept[rank_in_run(slots.session[kept]) < depth[kept]]
        age_h = (slots.ts[kept] - self._posts.created[slots.post[kept]]) / 3_600
        place = np.log1p(age_h) + rng.normal(0.0, 0.7, len(kept))
        kept = kept[np.lexsort((place, slots.session[kept]))]
        return Slots(slots.session[kept], slots.viewer[kept], slots.post[kept], slots.ts[kept])

    def _draw(self, viewer: Ints, ts: Ints, rng: np.random.Generator) -> tuple[Ints, Bools]:
        """A post for each row (-1: none), and whether it may be shown as far as following goes."""
        posts, follows = self._posts, self._follows
        edge = pick(self._edges, follows.starts[viewer], follows.starts[viewer + 1], rng)
        popular = rng.random(len(viewer)) < self._spec.popular_share
        back = 1 + rng.exponential(_LOOK_BACK_S, len(viewer)).astype(np.int64)
        if not len(posts.author):
            return np.full(len(viewer), -1, np.int64), popular
        low = np.searchsorted(posts.created, ts - _POPULAR_S).astype(np.int64)
        trending = pick(self._popular, low, np.searchsorted(posts.created, ts).astype(np.int64), rng)
        if not len(follows.author):
            return np.where(popular, trending, -1), popular
        author = follows.author[edge]
        moment = np.maximum(ts - back - self._spec.start, -1)
        row = np.searchsorted(self._author_keys, author * self._span + moment, side="right").astype(np.int64) - 1
        known = (edge >= 0) & (row >= self._first_of[author]) & (moment >= 0)
        latest = np.where(known, self._by_author[np.maximum(row, 0)], -1)
        return np.where(popular, trending, latest), popular | (follows.ts[edge] <= ts)

    def _allowed(self, slots: Slots, followed: Bools) -> Bools:
        """Whether each drawn post exists, is someone else's, recent, and fit to be shown to this viewer."""
        posts, post = self._posts, np.maximum(slots.post, 0)
        if not len(posts.author):
            return np.zeros(len(post), np.bool_)
        year = 1970 + slots.ts / (365.2425 * DAY_S)
        grown: Floats = year - self._people.birth_year[slots.viewer] - 1
        return (
            followed
            & (slots.post >= 0)
            & (posts.author[post] != slots.viewer)
            & (slots.ts - posts.created[post] < _OLDEST_S)
            & (grown >= posts.min_age[post])
            & posts.shown_at(post, slots.ts)
        )
