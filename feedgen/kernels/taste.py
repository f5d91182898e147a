"""Which topics a viewer cares for: selection.taste, one viewer at a time."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, PostColumns, Shared
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import Marks, Past
from feedgen.kernels.network import Network
from feedgen.selection.taste import GRID, PRIOR, ROUNDS, SMOOTH, UNDECIDED
from feedgen.state.attributes import TOPICS_MAX

WIDTH: Final = TOPICS_MAX + 1
"""Cells of a topic in Marks.cell: one for each number of topics a post may have."""


class _Votes(NamedTuple):
    """What followees posted about: `times` posts by `owner` with `topic` among so many that each gets `share`."""

    topic: NDArray[np.int32]
    owner: NDArray[np.int32]
    share: NDArray[np.float64]
    times: NDArray[np.float64]


@inner
def _on_grid(value: float) -> float:
    return np.rint(value * GRID) / GRID


@inner
def _tally(columns: Columns, marks: Marks, network: Network) -> _Votes:
    """Posts of one owner are neighbours, so a cell is in use for one owner at a time."""
    posts = columns.posts
    most, counts = 0, posts.topic_count
    for post in network.posts:
        most += counts[post]
    topic, owner = np.empty(most, np.int32), np.empty(most, np.int32)
    share, times = np.empty(most, np.float64), np.empty(most, np.float64)
    first, count = 0, 0
    owners, which, cells = network.owner, network.posts, marks.cell
    starts, counts, topics = posts.topic_at, posts.topic_count, posts.topics
    for at in range(len(which)):
        post = which[at]
        if at and owners[at] != owners[at - 1]:
            _forget(cells, topic, share, first, count)
            first = count
        many, start = np.int64(counts[post]), starts[post]
        for place in range(start, start + many):
            cell = topics[place] * WIDTH + many
            if cells[cell] < 0:
                cells[cell] = count
                topic[count], owner[count] = topics[place], owners[at]
                share[count], times[count] = 1.0 / many, 0.0
                count += 1
            times[cells[cell]] += 1.0
    _forget(cells, topic, share, first, count)
    return _Votes(topic[:count], owner[:count], share[:count], times[:count])


@inner
def _forget(
    cells: NDArray[np.int32], topic: NDArray[np.int32], share: NDArray[np.float64], first: int, count: int
) -> None:
    for at in range(first, count):
        cells[topic[at] * WIDTH + np.int64(np.rint(1.0 / share[at]))] = -1


@inner
def _counted(votes: _Votes, weight: NDArray[np.float64], owners: int, topics: int) -> NDArray[np.float64]:
    """Share of each topic in the votes, one for each owner; sums to 1. What is added is on the grid: exact."""
    whole, found = np.zeros(owners), np.zeros(topics)
    owner, times, topic_of = votes.owner, votes.times, votes.topic
    for at in range(len(weight)):
        weight[at] = _on_grid(weight[at]) + 1 / GRID
        whole[owner[at]] += times[at] * weight[at]
    total = 0.0
    for at in range(len(weight)):
        vote = times[at] * _on_grid(weight[at] / whole[owner[at]])
        found[topic_of[at]] += vote
        total += vote
    for topic in range(topics):
        found[topic] /= total
    return found


@inner
def _of_follows(votes: _Votes, owners: int, shared: Shared, count: int) -> NDArray[np.float64]:
    topics = len(shared.rarity)
    if not len(votes.topic):
        return np.full(topics, 1.0 / count)
    plain = _counted(votes, votes.share.copy(), owners, topics)
    cares = np.ones(topics)
    weight = np.empty(len(votes.topic))
    for _ in range(ROUNDS):
        for topic in range(topics):
            cares[topic] = shared.rarity[topic] * cares[topic]
        for at in range(len(weight)):
            weight[at] = votes.share[at] * cares[votes.topic[at]]
        cares = _counted(votes, weight, owners, topics)
        for topic in range(topics):
            cares[topic] += SMOOTH * plain[topic]
    for topic in range(topics):
        cares[topic] = _on_grid(cares[topic] + UNDECIDED / owners / count)
    return cares


@inner
def _topic_counts(posts: PostColumns, which: NDArray[np.int32], topics: int) -> NDArray[np.float64]:
    found = np.zeros(topics)
    starts, counts, of = posts.topic_at, posts.topic_count, posts.topics
    for post in which:
        for place in range(starts[post], starts[post] + np.int64(counts[post])):
            found[of[place]] += 1.0
    return found


@inner
def taste(columns: Columns, marks: Marks, network: Network, owners: int, past: Past) -> NDArray[np.float64]:
    """By topic, mean 1. O(topics of all these posts and of the state)."""
    shared = columns.shared
    topics = len(shared.rarity)
    count = 0
    for alive in shared.topics_alive:
        count += alive
    if not count:
        return np.ones(topics)
    cares = _of_follows(_tally(columns, marks, network), owners, shared, count)
    met = _topic_counts(columns.posts, past.favoured, topics)
    there = _topic_counts(columns.posts, past.viewed if len(past.viewed) else network.posts, topics)
    scale = met.sum() / max(there.sum(), 1.0)
    total = 0.0
    for topic in range(topics):
        ratio = (met[topic] + PRIOR) / (there[topic] * scale + PRIOR)
        worth = count * cares[topic] * ratio
        cares[topic] = _on_grid(worth) + 1 / GRID if shared.topics_alive[topic] else 0.0
        total += cares[topic]
    for topic in range(topics):
        cares[topic] *= count / total
    return cares


@inner
def match(posts: PostColumns, cares: NDArray[np.float64], which: NDArray[np.int32], into: NDArray[np.float64]) -> None:
    """Mean of `cares` over the topics of each post; 1 for a post without topics."""
    starts, counts, topics = posts.topic_at, posts.topic_count, posts.topics
    for at in range(len(which)):
        many, start = np.int64(counts[which[at]]), starts[which[at]]
        total = 0.0
        for place in range(start, start + many):
            total += cares[topics[place]]
        into[at] = total / many if many else 1.0
