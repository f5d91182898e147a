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

    `owner`: the number of each vote's, of `owners`.
    """

    topic: NDArray[np.int32]
    owner: NDArray[np.int32]
    share: NDArray[np.float64]
    times: NDArray[np.float64]
    owners: int


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
    share, times = np.empty(most), np.empty(most)
    first, count, number, before = 0, 0, -1, np.int64(-1)
    for at in range(len(which)):
        moved, before = np.int64(owners[at]) != before, np.int64(owners[at])
        number, first = number + moved, count if moved else first
        many = np.int64(cards[which[at]].topics)
        for place in range(many):
            one = topic_of(cards, topics, which[at], place)
            cell = one * WIDTH + many
            if cells[cell] < first:
                cells[cell] = count
                topic[count], owner[count], cell_of[count] = one, number, cell
                share[count], times[count] = 1.0 / many, 0.0
                count += 1
            times[cells[cell]] += 1.0
    for place in range(count):
        cells[cell_of[place]] = -1
    return _Votes(topic[:count], owner[:count], share[:count], times[:count], number + 1)


@inner
def _counted(votes: _Votes, cares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each topic in the votes, one for each owner, weighed by `cares`; sums to 1.

    What is added is a multiple of 1 / GRID, counted in such units: below 2⁵³, so it is exact in any order.
    """
    topic, owner, share, times, owners = votes
    units, part, found = np.empty(len(topic)), np.zeros(owners), np.zeros(len(cares))
    for at in range(len(units)):
        units[at] = np.rint(share[at] * cares[topic[at]] * GRID) + 1.0
        part[owner[at]] += times[at] * units[at]
    for number in range(owners):
        part[number] = GRID / part[number]
    for at in range(len(units)):
        found[topic[at]] += times[at] * np.rint(units[at] * part[owner[at]])
    return found / found.sum()


@inner
def _of_follows(votes: _Votes, owners: int, rarity: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    topics = len(rarity)
    if not len(votes.topic):
        return np.full(topics, 1.0 / count)
    cares = np.ones(topics)
    plain = _counted(votes, cares)
    for _ in range(ROUNDS):
        cares = _counted(votes, rarity * cares)
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
