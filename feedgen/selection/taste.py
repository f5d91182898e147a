"""Which topics a viewer cares for: from whom they follow, what they write, and what they do with what they see."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import ragged
from feedgen.state.state import State

ROUNDS: Final = 3
"""Each round reads a followee's topics anew in the light of the others'; the fourth changes hardly anything."""
SMOOTH: Final = 0.3
"""Weight of a followee's topics as they are, beside those read in the light of the others'."""
_RAREST: Final = 64.0
"""A topic counts so many times an average one at most."""
GRID: Final = float(1 << 22)
"""What is summed is a multiple of 2⁻²² first: such sums are exact, so they do not depend on the order of arrival."""
UNDECIDED: Final = 15.0
"""Followees' votes thought to be spread over all topics: two followees alone say little, a hundred say much."""
WRITTEN: Final = 1.5
"""What the viewer's own posts count when there are many, the followees' votes together being 1."""
SETTLED: Final = 5.0
"""Topics of own posts at which they count half of that."""
PRIOR: Final = 2.0
"""Engagements with a topic that count as expected and met before there is any."""


class Offered(NamedTuple):
    """What the viewer's followees posted: the posts, and for each the position of its author among the followees."""

    posts: NDArray[np.int32]
    owner: NDArray[np.int64]
    followees: int


def taste(
    state: State,
    offered: Offered,
    written: NDArray[np.integer[Any]],
    exposed: NDArray[np.integer[Any]],
    engaged: NDArray[np.integer[Any]],
) -> NDArray[np.float64]:
    """float64 by topic, mean 1: how much more than the average topic the viewer cares for each.

    Whom one follows says more about common interests the rarer their topics are (as TF-IDF has it); what the viewer
    wrote is added; and that is multiplied with how much oftener the viewer engaged (`engaged`: posts, each once) with a
    topic than with the average one of what was there (`exposed`). O(topics of all these posts).
    """
    posts_about = state.about_posts.posts_about
    rare, alive = rarity(posts_about)
    count = int(np.count_nonzero(alive))
    if not count:
        return np.ones(len(posts_about))
    of_others, of_own = _of_follows(state, offered, rare, count), _of_posts(state, written)
    cares = count * (of_others + of_own) * _of_deeds(state, exposed, engaged)
    cares = np.where(alive, _on_grid(cares) + 1 / GRID, 0.0)
    mean_one: NDArray[np.float64] = cares * (count / cares.sum())
    return mean_one


def rarity(posts_about: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """By topic: how much rarer than the average one it is, at most 64, and whether any post is about it. O(topics)."""
    alive = posts_about > 0  # which topics only a superseded claim named depends on the order of arrival
    usual = posts_about.sum() / max(int(np.count_nonzero(alive)), 1)
    return np.where(alive, np.minimum(usual / np.maximum(posts_about, 1), _RAREST), 0.0), alive


def _of_follows(state: State, offered: Offered, rarity: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sums to about 1 over the `count` topics there are. Each followee is one vote, shared among their topics."""
    starts, counts, topics = state.about_posts.topics
    flat, row = ragged(starts[offered.posts], counts[offered.posts])
    if not len(flat):
        return np.full(len(rarity), 1.0 / count)
    topic, owner = topics[flat], offered.owner[row]
    share = 1.0 / counts[offered.posts][row]
    plain = _votes(share, topic, owner, offered.followees, len(rarity))
    cares: NDArray[np.float64] = np.ones(len(rarity))
    for _ in range(ROUNDS):
        weight = share * (rarity * cares)[topic]
        cares = _votes(weight, topic, owner, offered.followees, len(rarity)) + SMOOTH * plain
    return _on_grid(cares + UNDECIDED / offered.followees / count)


def _votes(
    weight: NDArray[np.float64], topic: NDArray[np.int32], owner: NDArray[np.int64], owners: int, topics: int
) -> NDArray[np.float64]:
    """Share of each topic in the votes; sums to 1."""
    weight = _on_grid(weight) + 1 / GRID
    whole = np.bincount(owner, weights=weight, minlength=owners)
    part = 1.0 / np.maximum(whole, 1 / GRID)  # a followee without posts has none
    votes = np.bincount(topic, weights=_on_grid(weight * part[owner]), minlength=topics)
    share: NDArray[np.float64] = votes / votes.sum()
    return share


def _on_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    on_grid: NDArray[np.float64] = np.rint(values * GRID) / GRID
    return on_grid


def _of_posts(state: State, written: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Share of each topic in the viewer's own posts, drawn to 0 where they are few; sums to WRITTEN at most."""
    about = _topic_counts(state, written)
    return _on_grid(WRITTEN * about / (about.sum() + SETTLED))


def _of_deeds(
    state: State, exposed: NDArray[np.integer[Any]], engaged: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """About 1 for a topic engaged with as often as its share of what was there would have it."""
    met = _topic_counts(state, engaged)
    there = _topic_counts(state, exposed)
    expected = there * (met.sum() / max(there.sum(), 1.0))
    ratio: NDArray[np.float64] = (met + PRIOR) / (expected + PRIOR)
    return ratio


def _topic_counts(state: State, posts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    starts, counts, topics = state.about_posts.topics
    flat, _ = ragged(starts[posts], counts[posts])
    return np.bincount(topics[flat], minlength=len(state.topic_names)).astype(np.float64)


def match(state: State, cares: NDArray[np.float64], posts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean of `cares` over the topics of each post; 1 for a post without topics. O(topics)."""
    starts, counts, topics = state.about_posts.topics
    flat, row = ragged(starts[posts], counts[posts])
    total = np.bincount(row, weights=cares[topics[flat]], minlength=len(posts))
    return np.where(counts[posts] > 0, total / np.maximum(counts[posts], 1), 1.0)
