"""What is posted: when, by whom, about what, and which posts are edited, deleted or reviewed later."""

from typing import Final

import numpy as np
from msgspec import Struct

from feedgen.synthetic.people import EXPERTISE, LANGUAGES, MEDIA, People, moments
from feedgen.synthetic.ragged import Bools, Ints, Reals
from feedgen.synthetic.spec import SESSION_MAX_S, NetworkSpec

NEVER: Final = 1 << 60
"""A moment that does not come."""
_OFF_TOPIC: Final = 0.12
_AUTHORS: Final = 0.9
"""Share of the variance of quality that is the author's."""
_FAME: Final = 0.7
"""Correlation of an author's skill with the logarithm of their popularity."""
_EDITED, _DELETED, _REVIEWED, _REJECTED = 0.02, 0.01, 0.004, 0.4
_ENGLISH: Final = 0.08
"""Share of posts written in English whatever the author's language."""
_LENGTHS: Final = (220.0, 90.0, 60.0, 140.0)
"""Median characters of a post with each of MEDIA."""


class Posts(Struct, frozen=True):
    """One row per post, in order of creation."""

    author: Ints
    created: Ints
    quality: Reals
    """Variance 1 over all posts, _AUTHORS of it the author's skill, which many follow the author for."""
    topics: Ints
    """int64[n, 3]; -1 where a post has fewer."""
    media: Ints
    language: Ints
    length: Ints
    min_age: Ints
    sensitive: Bools
    located: Bools
    """Whether the post names its author's location."""
    edited: Ints
    """Moments, s since the epoch; NEVER where it does not happen."""
    deleted: Ints
    pending: Ints
    decided: Ints
    rejected: Bools

    def shown_at(self, posts: Ints, ts: Ints) -> Bools:
        """Whether each post may be shown in a session that begins at `ts`: it is neither gone nor in review."""
        gone = np.minimum(self.deleted, self.pending)[posts] <= ts + SESSION_MAX_S
        back = (self.decided[posts] <= ts) & ~self.rejected[posts] & (self.pending[posts] < NEVER)
        return ~gone | back


def draw_posts(spec: NetworkSpec, people: People, rng: np.random.Generator) -> Posts:
    """All posts of the window. O(posts log posts)."""
    author = np.repeat(np.arange(spec.viewers), rng.poisson(people.posts_per_day * spec.days)).astype(np.int64)
    created = moments(spec, people, author, rng)
    member = created > people.joined[author]
    author, created = author[member], created[member]
    order = np.argsort(created, kind="stable")
    author, created = author[order], created[order]
    n = len(author)
    media = np.where(rng.random(n) < 0.7, people.main_media[author], rng.integers(0, len(MEDIA), n))
    own = rng.normal(0.0, 1.0, spec.viewers)
    fame = np.minimum(1.2 * np.log(people.popularity) - 1.0, 2.5)
    skill = _FAME * fame + np.sqrt(1 - _FAME**2) * own
    english = rng.random(n) < _ENGLISH
    edited, deleted, pending, decided = _fates(spec, created, rng)
    return Posts(
        author=author,
        created=created,
        quality=(np.sqrt(_AUTHORS) * skill[author] + np.sqrt(1 - _AUTHORS) * rng.normal(0.0, 1.0, n)).astype(
            np.float32
        ),
        topics=_topics(spec, people, author, rng),
        media=media,
        language=np.where(english, LANGUAGES.index("en"), people.language[author]),
        length=np.rint(np.array(_LENGTHS)[media] * rng.lognormal(0.0, 0.9, n)).astype(np.int64),
        min_age=np.where(rng.random(n) < 0.01, 18, 0),
        sensitive=rng.random(n) < 0.02,
        located=rng.random(n) < 0.15,
        edited=edited,
        deleted=deleted,
        pending=pending,
        decided=decided,
        rejected=rng.random(n) < _REJECTED,
    )


def _topics(spec: NetworkSpec, people: People, author: Ints, rng: np.random.Generator) -> Ints:
    """int64[n, 3]: mostly the author's; a second and third one now and then, never the same twice."""
    n, depth = len(author), min(len(EXPERTISE), people.interests.shape[1])
    shares = np.cumsum(np.array(EXPERTISE[:depth]) / sum(EXPERTISE[:depth]))
    topics = np.full((n, 3), -1, np.int64)
    for place, share in enumerate((1.0, 0.4, 0.1)):
        own = np.minimum(np.searchsorted(shares, rng.random(n)), depth - 1)
        drawn = np.where(rng.random(n) < _OFF_TOPIC, rng.integers(0, spec.topics, n), people.interests[author, own])
        keep = rng.random(n) < share
        for earlier in range(place):
            keep &= (topics[:, earlier] != drawn) & (topics[:, place - 1] >= 0)
        topics[keep, place] = drawn[keep]
    return topics


def _fates(spec: NetworkSpec, created: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """When each post is edited, deleted, taken into review and decided on; one of the three at most."""
    n = len(created)
    fate = rng.random(n)
    edges = np.cumsum([_EDITED, _DELETED, _REVIEWED])

    def moment(after: Ints, mean_s: float, chosen: Bools) -> Ints:
        at = after + 60 + rng.exponential(mean_s, n).astype(np.int64)
        return np.where(chosen & (at < spec.end), at, NEVER)

    edited = moment(created, 3_600.0, fate < edges[0])
    deleted = moment(created, 172_800.0, (fate >= edges[0]) & (fate < edges[1]))
    pending = moment(created, 14_400.0, (fate >= edges[1]) & (fate < edges[2]))
    decided = moment(pending, 21_600.0, pending < NEVER)
    return edited, deleted, pending, decided
