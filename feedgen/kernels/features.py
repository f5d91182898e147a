"""Features of one viewer's candidates: what ranking.features defines, to the bit."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.exact import ln
from feedgen.kernels.followback import follow_back
from feedgen.kernels.marks import NEAR, RETURNS, Marks, Past, near_bits
from feedgen.kernels.network import Network
from feedgen.kernels.tables import Table, numbered, value_of
from feedgen.kernels.talk import network_row, talk_rows
from feedgen.kernels.taste import match
from feedgen.kernels.watch import OF_AUTHORS, OF_ENGAGEMENT, OF_POSTS, lap
from feedgen.prefetch import prefetch
from feedgen.ranking.features import FEATURES
from feedgen.selection.epoch import PRIOR_VIEWS
from feedgen.state.engagement import BACK, HOUR_MASK, KIND_MASK, POST_SHIFT, UNIT
from feedgen.state.lists import list_of

ROWS: Final = len(FEATURES)
_DAY_S: Final = 86_400.0


class _Authors(NamedTuple):
    """The distinct authors of the candidates, the number (slot) of each candidate's, and of each author."""

    author: NDArray[np.int32]
    slot_of: NDArray[np.int32]
    slots: Table


@inner
def _faded(weight: float, left: NDArray[np.float64], age: int) -> int:
    return np.int64(np.rint(weight * left[age] * UNIT)) if age < len(left) else 0


@inner
def _authors_of(columns: Columns, posts: NDArray[np.int32]) -> _Authors:
    author_of, slot_of, cards = np.empty(len(posts), np.int32), np.empty(len(posts), np.int32), columns.cards.posts
    for at in range(len(posts)):
        author_of[at] = cards[posts[at]].author
    authors, slots = numbered(author_of, slot_of)
    return _Authors(authors, slot_of, slots)


@inner
def _affinities(columns: Columns, slots: Table, viewer: int, into: NDArray[np.float64]) -> None:
    """ln(1 + decayed engagements) by slot, into rows short, mid, long."""
    entries = list_of(columns.people.engaged, viewer)
    into[:] = 0.0
    if not len(entries):
        return
    units, cards, decays = np.zeros(into.shape, np.int64), columns.cards.posts, columns.decays
    weights, hour, short, mid, long = decays.weights, decays.hour, decays.short, decays.mid, decays.long
    for entry in entries:
        slot = value_of(slots, cards[entry >> POST_SHIFT].author, -1)
        if slot >= 0:
            weight, sign = weights[entry >> 1 & KIND_MASK], 1 - 2 * (entry & BACK)
            age = max(hour - (entry >> 5 & HOUR_MASK), 0)
            units[0, slot] += sign * _faded(weight, short, age)
            units[1, slot] += sign * _faded(weight, mid, age)
            units[2, slot] += sign * _faded(weight, long, age)
    for row in range(3):
        for slot in range(into.shape[1]):
            if units[row, slot]:  # with most authors there is nothing
                into[row, slot] = ln(1.0 + max(units[row, slot], 0) / UNIT)


@inner
def _count(cards: Any, slots: Table, posts: NDArray[np.int32], by_slot: NDArray[np.float64]) -> int:
    """Posts by slot of their author; how many there are whose author is known."""
    known = 0
    for post in posts:
        author = cards[post].author
        slot = value_of(slots, author, -1)
        known += author >= 0
        if slot >= 0:
            by_slot[slot] += 1.0
    return known


@inner
def _liked_share(columns: Columns, slots: Table, network: Network, past: Past, into: NDArray[np.float64]) -> None:
    met, there, cards = np.zeros(len(into)), np.zeros(len(into)), columns.cards.posts
    favoured = _count(cards, slots, past.favoured, met)
    exposed = _count(cards, slots, past.viewed if len(past.viewed) else network.posts, there)
    rate = min(1.0, favoured / max(exposed, 1))
    for slot in range(len(into)):
        into[slot] = ln((met[slot] + 1.0) / (rate * there[slot] + 1.0))


@inner
def _author_rows(
    columns: Columns,
    marks: Marks,
    viewer: int,
    network: Network,
    past: Past,
    authors: _Authors,
    rows: NDArray[np.float64],
) -> None:
    """Affinities, liked_share, follows_back, followed, and what all viewers share of the author."""
    author, slot_of, slots, near = authors.author, authors.slot_of, authors.slots, marks.near
    users, by = columns.cards.users, np.empty((8, len(author)))
    others, count = np.empty(len(author), np.int32), 0
    _affinities(columns, slots, viewer, by[:3])
    _liked_share(columns, slots, network, past, by[3])
    for slot in range(len(author)):
        card, bits = users[author[slot]], near_bits(near, author[slot])
        by[4, slot], by[5, slot] = bits & RETURNS != 0, bits & NEAR
        by[6, slot], by[7, slot] = card.log_rate, card.log_followers
        others[count] = slot
        count += not bits
    follow_back(columns, viewer, author, others[:count], by[4])
    for at in range(len(slot_of)):
        slot = slot_of[at]
        for row in range(6):
            rows[2 + row, at] = by[row, slot]
        rows[10, at], rows[11, at] = by[6, slot], by[7, slot]


@inner
def _post_rows(columns: Columns, rules: Rules, posts: NDArray[np.int32], rows: NDArray[np.float64]) -> None:
    """freshness, recency, post_rate, engagement, momentum."""
    cards, users, now = columns.cards.posts, columns.cards.users, rules.now
    fresh_s, recent_s, count = rules.fresh_s, rules.recent_s, len(posts)
    for at in range(count):
        card = cards[posts[at]]
        age_s = max(now - card.created, 0.0)
        rows[0, at], rows[1, at] = age_s / fresh_s, age_s / recent_s
        prior = PRIOR_VIEWS * users[card.author].rate
        rows[9, at] = (max(card.favour, 0) + prior) / (card.viewed + 1 + PRIOR_VIEWS)
    for at in range(count):
        rows[0, at], rows[1, at] = -ln(1.0 + rows[0, at]), -ln(1.0 + rows[1, at])
        rows[9, at] = ln(rows[9, at])
    talk_rows(columns, posts, rows[12], rows[13])


@inner
def fill(
    columns: Columns,
    marks: Marks,
    rules: Rules,
    viewer: int,
    network: Network,
    past: Past,
    cares: NDArray[np.float64],
    posts: NDArray[np.int32],
    rows: NDArray[np.float64],
    took: NDArray[np.int64],
    watched: bool,
) -> None:
    """`rows`, shape (ROWS, posts), by FEATURES. O(posts + their engagements + what the viewer did and saw)."""
    _author_rows(columns, marks, viewer, network, past, _authors_of(columns, posts), rows)
    lap(took, watched, OF_AUTHORS)
    _post_rows(columns, rules, posts, rows)
    lap(took, watched, OF_POSTS)
    network_row(columns, marks.near, viewer, posts, rows[14])
    lap(took, watched, OF_ENGAGEMENT)
    match(columns, cares, posts, rows[8])
    for at in range(len(posts)):
        rows[8, at] = ln(1.0 + rows[8, at])
    lap(took, watched, OF_POSTS)


@inner
def mark_beyond_rate(columns: Columns, rules: Rules, posts: NDArray[np.int32], damped: NDArray[np.bool_]) -> None:
    """Which have `posts_per_day` others of the 24 hours before them among their author's newest: ranking.spam."""
    cards, users, rate = columns.cards.posts, columns.cards.users, rules.posts_per_day
    for at in range(len(posts)):
        card = cards[posts[at]]
        prefetch(columns.engagements, card.engaged_at + card.engagements - 1)  # for talk.network_row
        author = users[card.author]
        damped[at] = False
        if author.recent > rate:
            recent = columns.people.recent[author.recent_at : author.recent_at + author.recent]
            place = _place_in(cards, recent, posts[at])
            if place >= rate:
                damped[at] = card.created - cards[recent[place - rate]].created < _DAY_S


@inner
def _place_in(cards: Any, recent: NDArray[np.int32], post: int) -> int:
    """Where the post stands among its author's recent ones, oldest first; −1 if it is not there. O(log n)."""
    low, high = 0, len(recent)
    while low < high:
        middle = (low + high) >> 1
        if cards[recent[middle]].created < cards[post].created:
            low = middle + 1
        else:
            high = middle
    while low < len(recent) and recent[low] != post:
        low += 1
    return low if low < len(recent) else -1
