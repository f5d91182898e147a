"""Which topics a viewer cares for: selection.taste, one viewer at a time."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import topic_of
from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import Marks, Past
from feedgen.kernels.network import Network
from feedgen.selection.taste import GRID, PRIOR, ROUNDS, SETTLED, SMOOTH, UNDECIDED, WRITTEN
from feedgen.state.attributes import TOPICS_MAX

WIDTH: Final = TOPICS_MAX + 1
"""Cells of a topic in Marks.cell: one for each number of topics a post may have."""


class _Votes(NamedTuple):
    """What followees posted about: `times` posts by one owner with `topic` among so many that each gets `share`.

    Those of one owner are neighbours: `owner` is its number, and owner n's are those up to `ends[n]`.
    """

    topic: NDArray[np.int32]
    owner: NDArray[np.int32]
    share: NDArray[np.float64]
    times: NDArray[np.int64]
    ends: NDArray[np.int32]


@inner
def _on_grid(value: float) -> float:
    return np.rint(value * GRID) / GRID


@inner
def _tally(columns: Columns, marks: Marks, network: Network) -> _Votes:
    """Posts of one owner are neighbours, so a cell that names an earlier vote than the owner's first one is free."""
    owners, which, cells = network.owner, network.posts, marks.cell
    cards, topics, most = columns.cards.posts, columns.posts.topics, 0
    for post in which:
        most += cards[post].topics
    topic, owner, cell_of = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    share, times, ends = np.empty(most, np.float64), np.empty(most, np.int64), np.empty(most, np.int32)
    first, count, runs = 0, 0, 0
    for at in range(len(which)):
        if at and owners[at] != owners[at - 1] and count > first:
            ends[runs] = first = count
            runs += 1
        many = np.int64(cards[which[at]].topics)
        for place in range(many):
            one = topic_of(cards, topics, which[at], place)
            cell = one * WIDTH + many
            if cells[cell] < first:
                cells[cell] = count
                topic[count], owner[count], cell_of[count] = one, runs, cell
                share[count], times[count] = 1.0 / many, 0
                count += 1
            times[cells[cell]] += 1
    for place in range(count):
        cells[cell_of[place]] = -1
    if count > first:
        ends[runs] = count
        runs += 1
    return _Votes(topic[:count], owner[:count], share[:count], times[:count], ends[:runs])


@inner
def _counted(votes: _Votes, weight: NDArray[np.float64], topics: int) -> NDArray[np.float64]:
    """Share of each topic in the votes, one for each owner; sums to 1.

    What is added is a multiple of 1 / GRID, so it is added as integers, and in any order.
    """
    count, times, topic, owner, ends = len(weight), votes.times, votes.topic, votes.owner, votes.ends
    units, upto, part, found = (
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(len(ends)),
        np.zeros(topics, np.int64),
    )
    for at in range(count):
        units[at] = np.int64(np.rint(weight[at] * GRID)) + 1
    running = 0
    for at in range(count):
        running += times[at] * units[at]
        upto[at] = running
    before = 0
    for number in range(len(ends)):
        part[number] = GRID / np.float64(upto[ends[number] - 1] - before)
        before = upto[ends[number] - 1]
    for at in range(count):
        units[at] = times[at] * np.int64(np.rint(units[at] * part[owner[at]]))
    for at in range(count):
        found[topic[at]] += units[at]
    return found / np.float64(found.sum())


@inner
def _of_follows(votes: _Votes, owners: int, rarity: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    topics = len(rarity)
    if not len(votes.topic):
        return np.full(topics, 1.0 / count)
    plain = _counted(votes, votes.share, topics)
    cares, weight, share, topic_of = np.ones(topics), np.empty(len(votes.topic)), votes.share, votes.topic
    for _ in range(ROUNDS):
        for topic in range(topics):
            cares[topic] = rarity[topic] * cares[topic]
        for at in range(len(weight)):
            weight[at] = share[at] * cares[topic_of[at]]
        cares = _counted(votes, weight, topics)
        for topic in range(topics):
            cares[topic] += SMOOTH * plain[topic]
    for topic in range(topics):
        cares[topic] = _on_grid(cares[topic] + UNDECIDED / owners / count)
    return cares


@inner
def _topic_counts(columns: Columns, which: NDArray[np.int32]) -> NDArray[np.float64]:
    found, cards = np.zeros(len(columns.topics.rarity)), columns.cards.posts
    for post in which:
        for place in range(np.int64(cards[post].topics)):
            found[topic_of(cards, columns.posts.topics, post, place)] += 1.0
    return found


@inner
def taste(
    columns: Columns, marks: Marks, network: Network, written: NDArray[np.int32], owners: int, past: Past
) -> NDArray[np.float64]:
    """By topic, mean 1. O(topics of all these posts and of the state)."""
    rarity, alive = columns.topics
    topics, count = len(rarity), 0
    for one in alive:
        count += one
    if not count:
        return np.ones(topics)
    cares = _of_follows(_tally(columns, marks, network), owners, rarity, count)
    met = _topic_counts(columns, past.favoured)
    about = _topic_counts(columns, written)
    settled = about.sum() + SETTLED
    there = _topic_counts(columns, past.viewed if len(past.viewed) else network.posts)
    scale = met.sum() / max(there.sum(), 1.0)
    total = 0.0
    for topic in range(topics):
        ratio = (met[topic] + PRIOR) / (there[topic] * scale + PRIOR)
        own = _on_grid(WRITTEN * about[topic] / settled)
        worth = count * (cares[topic] + own) * ratio
        cares[topic] = _on_grid(worth) + 1 / GRID if alive[topic] else 0.0
        total += cares[topic]
    for topic in range(topics):
        cares[topic] *= count / total
    return cares


@inner
def match(columns: Columns, cares: NDArray[np.float64], which: NDArray[np.int32], into: NDArray[np.float64]) -> None:
    """Mean of `cares` over the topics of each post; 1 for a post without topics."""
    cards, topics = columns.cards.posts, columns.posts.topics
    for at in range(len(which)):
        many, total = np.int64(cards[which[at]].topics), 0.0
        for place in range(many):
            total += cares[topic_of(cards, topics, which[at], place)]
        into[at] = total / many if many else 1.0
