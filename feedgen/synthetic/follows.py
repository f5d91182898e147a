"""Who follows whom: drawn by popularity × shared topics × language, with some follow-backs. O(follows log viewers)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from feedgen.synthetic.people import LANGUAGES, People
from feedgen.synthetic.ragged import (
    Bools,
    Floats,
    Ints,
    Reals,
    chunks,
    cumulative,
    distinct,
    first_of_each,
    found_in,
    pick,
    rank_in_run,
    side_by_side,
    starts_of,
    viewers_at_once,
)
from feedgen.synthetic.spec import DAY_S, NetworkSpec

_SAME_LANGUAGE: Final = 0.85
_CELEBRITY: Final = 0.1
"""Share of follows drawn by popularity alone."""
_FOLLOW_BACK: Final = 0.15
"""Follow-backs a person makes, as a share of their other follows, at most."""
_ANSWERED: Final = 0.11
"""The share it comes to (measured): some are follows already."""
_IN_WINDOW: Final = 0.12
"""Share of the follows between old members that are made during the window."""
_ROUNDS: Final = 9
_MUTUAL, _LATENT = 1.0, 0.25
"""Closeness that shows in the graph, and the spread of what does not."""


class Follows(Struct, frozen=True):
    """One row per follow, sorted by (viewer, author)."""

    viewer: Ints
    author: Ints
    ts: Ints
    """When it was made, s since the epoch."""
    strength: Reals
    """Closeness: N(0, _LATENT²), + _MUTUAL when mutual."""
    starts: Ints
    """The rows of viewer v are starts[v]:starts[v + 1]."""


class _Pull:
    """Draws authors for viewers: (author, topic) pairs sorted by topic, then language, weighted by pull."""

    def __init__(self, people: People) -> None:
        n, topics = people.taste.shape
        self._topics = topics
        depth = people.interests.shape[1]
        author = np.repeat(np.arange(n, dtype=np.int64), depth)
        topic = people.interests.ravel()
        group = topic * len(LANGUAGES) + people.language[author]
        order = np.argsort(group, kind="stable")
        known_for = np.take_along_axis(people.taste, people.interests, axis=1).astype(np.float64)
        weight = np.repeat(people.popularity, depth) * np.maximum(known_for.ravel(), 1e-3) ** 1.5
        self._author = author[order]
        self._sums = cumulative(weight[order])
        self._starts = starts_of(group[order], topics * len(LANGUAGES))
        self._taste = cumulative(people.taste.astype(np.float64).ravel())
        self._language = people.language

    def draw(self, viewer: Ints, rngs: Sequence[np.random.Generator]) -> Ints:
        """An author for each row; may be the viewer, may come twice. `rngs`: four, one for each choice."""
        for_topic, for_language, for_celebrity, for_author = rngs
        topic = pick(self._taste, viewer * self._topics, (viewer + 1) * self._topics, for_topic) % self._topics
        group = topic * len(LANGUAGES) + self._language[viewer]
        low, high = self._starts[group], self._starts[group + 1]
        any_language = (for_language.random(len(viewer)) > _SAME_LANGUAGE) | (low == high)
        low = np.where(any_language, self._starts[topic * len(LANGUAGES)], low)
        high = np.where(any_language, self._starts[(topic + 1) * len(LANGUAGES)], high)
        anyone = (for_celebrity.random(len(viewer)) < _CELEBRITY) | (low == high)
        low, high = np.where(anyone, 0, low), np.where(anyone, len(self._author), high)
        return self._author[pick(self._sums, low, high, for_author)]


def draw_follows(spec: NetworkSpec, people: People, rng: np.random.Generator) -> Follows:
    """The graph. Where nearly everyone is followed already, a viewer may end a few short of the drawn number."""
    n = spec.viewers
    keys = _follow_back(_base(spec, people, rng), n, rng)
    viewer, author = np.divmod(keys, n)
    mutual, _ = found_in(np.sort(author * n + viewer), keys)  # both in order: a search in step is ten times as fast
    del keys
    ts = _made_at(spec, people, viewer, author, rng)
    strength = np.empty(len(viewer), np.float32)
    for rows in chunks(len(viewer)):
        close = _MUTUAL * mutual[rows]
        strength[rows] = rng.normal(0.0, _LATENT, len(close)) + close
    return Follows(viewer=viewer, author=author, ts=ts, strength=strength, starts=starts_of(viewer, n))


def _base(spec: NetworkSpec, people: People, rng: np.random.Generator) -> Ints:
    """Sorted keys viewer × n + author of the follows before anyone follows back."""
    n = spec.viewers
    wish = rng.lognormal(-0.32, 0.8, n) * spec.followees_mean / (1 + _ANSWERED)
    wanted = np.clip(np.rint(wish), min(1, n - 1) if spec.followees_mean else 0, n - 1).astype(np.int64)
    keys = np.zeros(0, np.int64)
    pull = _Pull(people)
    for turn in range(_ROUNDS):
        missing = wanted - np.bincount(keys // n, minlength=n)
        draws = np.where(missing > 0, missing + missing // 2 + 2, 0)
        if not draws.any():
            break
        keys = _round(keys, draws, missing, pull if turn < _ROUNDS - 3 else None, rng)
    return keys


def _round(keys: Ints, draws: Ints, missing: Ints, pull: _Pull | None, rng: np.random.Generator) -> Ints:
    """`keys` and the new ones among `draws` for each viewer, `missing` at most; some viewers at a time.

    The topics of a narrow taste have few authors; what they cannot fill is drawn from everyone at last (no `pull`).
    """
    n = len(draws)
    through = np.cumsum(draws)
    rngs = side_by_side(rng, 4, int(through[-1])) if pull else []
    parts = []
    for low, high in viewers_at_once(through):
        viewer = np.repeat(np.arange(low, high, dtype=np.int64), draws[low:high])
        author = pull.draw(viewer, rngs) if pull else rng.integers(0, n, len(viewer))
        known = keys[slice(*np.searchsorted(keys, (low * n, high * n)).tolist())]
        new = (viewer * n + author)[viewer != author]
        new = new[~found_in(known, new)[0]]
        new = new[first_of_each(new)]
        new = new[rank_in_run(new // n) < missing[new // n]]
        parts.append(np.sort(np.concatenate([known, new])))
    return np.concatenate(parts)


def _follow_back(keys: Ints, n: int, rng: np.random.Generator) -> Ints:
    """`keys` and the follows they are answered with: the more followers, the rarer an answer to one of them."""
    out = np.bincount(keys // n, minlength=n)
    followers = np.maximum(1, np.bincount(keys % n, minlength=n))
    chance: Floats = np.minimum(0.8, _FOLLOW_BACK * out / followers)
    back = []
    for rows in chunks(len(keys)):
        viewer, author = np.divmod(keys[rows], n)
        answered: Bools = rng.random(len(viewer)) < chance[author]
        back.append((author * n + viewer)[answered])
    return distinct(np.concatenate([keys, *back]))


def _made_at(spec: NetworkSpec, people: People, viewer: Ints, author: Ints, rng: np.random.Generator) -> Ints:
    """Most before the window, some in it; a newcomer's mostly in the first days, and none before both have joined."""
    ts = np.empty(len(viewer), np.int64)
    for_late, for_before, for_during = side_by_side(rng, 3, len(viewer))
    for rows in chunks(len(viewer)):
        who = viewer[rows]
        both = np.maximum(people.joined[who], people.joined[author[rows]])
        late = (both >= spec.start) | (for_late.random(len(who)) < _IN_WINDOW)
        fresh = people.joined[who] >= spec.start
        before = both + for_before.random(len(who)) * (spec.start - both)
        earliest = np.maximum(both, spec.start)
        during = earliest + for_during.random(len(who)) * (spec.end - earliest)
        first_days = earliest + rng.exponential(0.7, len(who)) * DAY_S
        made = np.where(late, np.where(fresh & (first_days < spec.end), first_days, during), before).astype(np.int64)
        ts[rows] = np.clip(made, both, spec.end - 1)
    return ts
