"""Which topics a viewer cares for: selection.taste, one viewer at a time."""

from typing import Final, NamedTuple

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray

from feedgen.kernels.cards import TOPICS, topic_of
from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import Marks, Past
from feedgen.kernels.network import Network
from feedgen.prefetch import prefetch
from feedgen.selection.taste import GRID, PRIOR, ROUNDS, SETTLED, SMOOTH, UNDECIDED, WRITTEN
from feedgen.state.attributes import TOPICS_MAX

WIDTH: Final = TOPICS_MAX + 1
"""Cells of a topic in Marks.cell: one for each number of topics a post may have."""
NOTHING: Final = 0
"""The cell of no topic: it has no vote."""


class _Votes(NamedTuple):
    """Two topics of a followee's post a row; a post with more has several rows, and NOTHING stands where there is none.

    `first`, `second`: their cells, the same for posts by anyone that share a topic and have as many of them; `owner`:
    the number of the row's, of `owners`. By cell: its `topic`, and the `share` of a post that such a topic gets.
    """

    first: NDArray[np.uint32]
    second: NDArray[np.uint32]
    owner: NDArray[np.uint32]
    owners: int
    topic: NDArray[np.uint32]
    share: NDArray[np.float64]


@inner
def _on_grid(value: float) -> float:
    return np.rint(value * GRID) / GRID


@inner
def _tally(columns: Columns, marks: Marks, network: Network) -> _Votes:
    """Posts of one owner are neighbours. Cells are numbered as they are met, by `marks.cell`, whose first is free for
    NOTHING: no post has a topic and no topics. O(topics of the posts).

    The numbering stands here twice, for a function that is given arrays has them counted by each call.
    """
    owners, which, cells = network.owner, network.posts, marks.cell
    cards, topics, most = columns.cards.posts, columns.posts.topics, 1
    for post in which:
        most += (np.int64(cards[post].topics) + 1) >> 1
    room = np.empty((5, most), np.uint32)
    first, second, owner, keys = room[0], room[1], room[2], room[3:].reshape(-1)
    cells[0], keys[NOTHING] = NOTHING, 0
    count, known, number, before = 0, np.int32(1), -1, np.int64(-1)
    for at in range(len(which)):
        card = cards[which[at]]
        prefetch(columns.posts.talk, which[at])  # for talk.talk_rows
        many = np.int64(card.topics)
        for place in range(0, many, 2):
            if place == 0:
                one, other = np.int64(card.first_topic), np.int64(card.second_topic)
            else:
                one = np.int64(topic_of(cards, topics, which[at], place))
                other = np.int64(topic_of(cards, topics, which[at], place + 1)) if place + 1 < many else np.int64(-1)
            number += np.int64(owners[at]) != before
            before = np.int64(owners[at])
            key = uint64(one * WIDTH + many)
            cell = cells[key]
            if cell < 0:
                cell = known
                cells[key], keys[uint64(cell)] = cell, uint32(key)
                known += np.int32(1)
            first[count] = uint32(cell)
            key = uint64(other * WIDTH + many if place + 1 < many else 0)
            cell = cells[key]
            if cell < 0:
                cell = known
                cells[key], keys[uint64(cell)] = cell, uint32(key)
                known += np.int32(1)
            second[count], owner[count] = uint32(cell), uint32(number)
            count += 1
    topic, share = np.empty(known, np.uint32), np.empty(known)
    for cell in range(known):
        key = keys[cell]
        cells[uint64(key)] = -1
        topic[cell], share[cell] = key // uint32(WIDTH), 1.0 / np.float64(key % uint32(WIDTH))
    share[NOTHING] = 0.0
    return _Votes(first[:count], second[:count], owner[:count], number + 1, topic, share)


@inner
def _count(
    votes: _Votes,
    cares: NDArray[np.float64],
    room: NDArray[np.float64],
    part: NDArray[np.float64],
    into: NDArray[np.float64],
) -> None:
    """Share of each topic in the votes, one for each owner, weighed by `cares`; sums to 1. `room`: shape (3, cells).

    What is added is a multiple of 1 / GRID, counted in such units: below 2⁵³, so it is exact in any order.
    """
    first, second, owner, owners, topic, share = votes
    units, firsts, seconds = room[0], room[1], room[2]
    for cell in range(len(units)):
        units[cell] = np.rint(share[cell] * cares[uint64(topic[cell])] * GRID) + 1.0
        firsts[cell], seconds[cell] = 0.0, 0.0
    units[NOTHING] = 0.0
    part[:owners] = 0.0
    for at in range(len(first)):
        part[uint64(owner[at])] += units[uint64(first[at])] + units[uint64(second[at])]
    for number in range(owners):
        part[number] = GRID / part[number]
    for at in range(len(first)):
        one, other, each = uint64(first[at]), uint64(second[at]), part[uint64(owner[at])]
        firsts[one] += np.rint(units[one] * each)
        seconds[other] += np.rint(units[other] * each)
    into[:], total = 0.0, 0.0
    for cell in range(len(units)):
        both = firsts[cell] + seconds[cell]
        into[uint64(topic[cell])] += both
        total += both
    for one in range(len(into)):
        into[one] /= total


@inner
def _of_follows(votes: _Votes, owners: int, rarity: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    topics = len(rarity)
    if not len(votes.first):
        return np.full(topics, 1.0 / count)
    room, part = np.empty((3, len(votes.topic))), np.empty(votes.owners)
    plain, weights, cares = np.empty(topics), np.empty(topics), np.ones(topics)
    _count(votes, cares, room, part, plain)
    for _ in range(ROUNDS):
        for topic in range(topics):
            weights[topic] = rarity[topic] * cares[topic]
        _count(votes, weights, room, part, cares)
        for topic in range(topics):
            cares[topic] += SMOOTH * plain[topic]
    for topic in range(topics):
        cares[topic] = _on_grid(cares[topic] + UNDECIDED / owners / count)
    return cares


@inner
def _add_topics(columns: Columns, which: NDArray[np.int32], counts: NDArray[np.int32]) -> int:
    """How many topics the posts have, each counted as often as it is there."""
    cards, topics, total = columns.cards.posts, columns.posts.topics, 0
    for at in range(len(which)):
        many = np.int64(cards[which[at]].topics)
        total += many
        for place in range(many):
            counts[uint64(topic_of(cards, topics, which[at], place))] += np.int32(1)
    return total


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
    counts = np.zeros((3, topics), np.int32)
    met, about, there = counts[0], counts[1], counts[2]
    favoured = _add_topics(columns, past.favoured, met)
    settled = _add_topics(columns, written, about) + SETTLED
    exposed = _add_topics(columns, past.viewed if len(past.viewed) else network.posts, there)
    scale = favoured / max(exposed, 1)
    for topic in range(topics):
        ratio = (met[topic] + PRIOR) / (there[topic] * scale + PRIOR)
        own = _on_grid(WRITTEN * about[topic] / settled)
        worth = count * (cares[topic] + own) * ratio
        cares[topic] = _on_grid(worth) + 1 / GRID if alive[topic] else 0.0
    total = 0.0
    for topic in range(topics):  # apart: sums are in this order, all else goes four at a time
        total += cares[topic]
    for topic in range(topics):
        cares[topic] *= count / total
    return cares


@inner
def match(columns: Columns, cares: NDArray[np.float64], which: NDArray[np.int32], into: NDArray[np.float64]) -> None:
    """Mean of `cares` over the topics of each post; 1 for a post without topics.

    Each card gives three, of which those it has not stand as −1, and count nothing.
    """
    cards, further = columns.cards.posts, columns.posts.topics
    padded, counts = np.empty(len(cares) + 1), np.empty(len(which), np.int32)
    padded[0], padded[1:] = 0.0, cares
    for at in range(len(which)):
        card = cards[which[at]]
        many = np.int32(card.topics)
        first, second, third = np.int64(card.first_topic), np.int64(card.second_topic), np.int64(card.third_topic)
        total = padded[uint64(first + 1)] + padded[uint64(second + 1)] + padded[uint64(third + 1)]
        for place in range(TOPICS, many):
            total += cares[further.values[further.starts[which[at]] + place]]
        into[at], counts[at] = total, many
    for at in range(len(which)):
        many = counts[at]
        into[at] = (into[at] + (many == 0)) / max(many, np.int32(1))
