"""Candidates of one viewer, source by source: what selection.sources defines, in the same order."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Pool, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import GROWN, SEEN, Marks, Past, bits_of, near_bits, times_of
from feedgen.kernels.network import Network, recency
from feedgen.kernels.picking import Keys, picked
from feedgen.kernels.tables import Table, place_of, table_for
from feedgen.selection.sources import MORE
from feedgen.state.symbols import Names

SOURCES: Final = ("followed", "new_followee", "popular", "grown", "interest", "trending")

_STEP: Final = 256
"""Of the pool, looked at in one go."""


class Gathered(NamedTuple):
    """Candidates, each once, and the source that named it first. `named`: how many posts each source named."""

    posts: NDArray[np.int32]
    origin: NDArray[np.uint8]
    named: NDArray[np.int64]


@inner
def _seen(past: Past, post: int) -> bool:
    return bits_of(past.noted, post) & SEEN != 0


@inner
def _in_turns(network: Network, which: NDArray[np.int64], names: Names, cap: int) -> NDArray[np.int64]:
    """The newest of each author, then the second newest of each, and so on, up to the cap; of one turn the newest."""
    if len(which) <= cap:
        return which
    keys = Keys(recency(network, which), -network.created[which], network.posts[which], names)
    return which[picked(keys, cap)]


@inner
def followed(
    columns: Columns, past: Past, rules: Rules, network: Network, login: float, room: int
) -> NDArray[np.int64]:
    """Posts since the last login; over the cap without those seen, authors in turns."""
    cap, created, which = min(rules.new_cap, room), network.created, network.posts
    new, count = np.empty(len(which), np.int64), 0
    for at in range(len(which)):
        new[count] = at
        count += created[at] > login
    if count > cap:
        every, count = count, 0
        for place in range(every):
            at = new[place]
            new[count] = at
            count += bits_of(past.noted, which[at]) & SEEN == 0
    return _in_turns(network, new[:count], columns.posts.names, cap)


@inner
def new_followee(
    columns: Columns, past: Past, rules: Rules, network: Network, viewer: int, login: float, room: int
) -> NDArray[np.int64]:
    """Unseen posts older than the login by authors followed since then."""
    cap = min(rules.new_followee_cap, room)
    if cap < 1:
        return np.empty(0, np.int64)
    since, created, owner = times_of(columns, viewer), network.created, network.owner
    found, count, oldest = np.empty(len(owner), np.int64), 0, rules.new_followee_oldest
    for at in range(len(owner)):
        if oldest <= created[at] <= login and since[owner[at]] > login and not _seen(past, network.posts[at]):
            found[count] = at
            count += 1
    return _in_turns(network, found[:count], columns.posts.names, cap)


@inner
def of_network(
    columns: Columns, past: Past, network: Network, bits: int, wanted: int, login: float, cap: int
) -> NDArray[np.int64]:
    """The most popular posts up to `login` of which what is noted under `bits` is `wanted`."""
    if cap < 1:
        return np.empty(0, np.int64)
    which, created, popularity = network.posts, network.created, columns.posts.popularity
    found, count = np.empty(len(which), np.int64), 0
    for at in range(len(which)):
        found[count] = at
        count += created[at] <= login and bits_of(past.noted, which[at]) & bits == wanted
    found = found[:count]
    if count <= cap:
        return found
    first = np.empty(count)
    for at in range(count):
        first[at] = -popularity[which[found[at]]]
    return found[picked(Keys(first, -created[found], which[found], columns.posts.names), cap)]


@inner
def trending(marks: Marks, past: Past, rules: Rules, pool: Pool, wanted: int) -> NDArray[np.int32]:
    """The first of the pool that exist by now, are by authors outside the network, and unseen; in the order given."""
    found, count = np.empty(max(min(wanted, pool.trending), 0), np.int32), 0
    near, now = marks.near, rules.now
    for place in range(pool.trending):
        if count >= len(found):
            break
        post = pool.posts[place]
        if pool.created[place] <= now and not near_bits(near, pool.author[place]) and not _seen(past, post):
            found[count] = post
            count += 1
    return found[:count]


@inner
def _liking(pool: Pool, cares: NDArray[np.float64], begin: int, end: int, into: NDArray[np.float64]) -> None:
    """taste.match of the places from `begin` to `end`; `cares` has 1 behind the last topic. Added in the same order."""
    for place in range(begin, end):
        into[place - begin] = cares[pool.topic[place]]
    for at in range(pool.further_at[begin], pool.further_at[end]):
        into[pool.further_of[at] - begin] += cares[pool.further[at]]
    for place in range(begin, end):
        into[place - begin] /= pool.shares[place]


@inner
def interest(
    columns: Columns, marks: Marks, past: Past, rules: Rules, cares: NDArray[np.float64], room: int
) -> NDArray[np.int32]:
    """Of the pool, what matches the viewer's taste best, from beyond the network and unseen.

    The pool is in order of popularity, so the search ends where no liking could make up for what popularity lacks,
    mostly after a quarter of it.
    """
    cap, pool, names = min(rules.interest_cap, room), columns.pool, columns.posts.names
    if cap < 1 or not len(cares):
        return pool.posts[:0]
    near, now, size = marks.near, rules.now, 3 * cap + _STEP
    found, first, second = np.empty(size, np.int32), np.empty(size), np.empty(size)
    liking, hits = np.empty(_STEP), np.empty(_STEP, np.int64)
    most, least, count, cares = cares.max() * (1.0 + 1e-9), 0.0, 0, np.append(cares, 1.0)
    for begin in range(0, len(pool.posts), _STEP):
        if count >= cap and most * pool.worth[begin] < least:
            break
        end = min(begin + _STEP, len(pool.posts))
        _liking(pool, cares, begin, end, liking)
        met = 0
        for place in range(begin, end):
            liked = liking[place - begin]
            hits[met] = place
            met += (liked > MORE) & (liked * pool.worth[place] >= least)
        for place in hits[:met]:
            post = pool.posts[place]
            found[count], first[count] = post, -(liking[place - begin] * pool.worth[place])
            second[count] = -pool.created[place]
            count += (pool.created[place] <= now) & (near_bits(near, pool.author[place]) == 0) & (not _seen(past, post))
        if count > 3 * cap:
            kept = picked(Keys(first[:count], second[:count], found[:count], names), cap)
            found[:cap], first[:cap], second[:cap] = found[kept], first[kept], second[kept]
            least, count = -first[:cap].max(), cap
    found, first, second = found[:count], first[:count], second[:count]
    return found[picked(Keys(first, second, found, names), cap)] if count > cap else found


@inner
def _take(
    network: Network,
    taken: NDArray[np.bool_],
    gathered: Gathered,
    count: int,
    number: int,
    found: NDArray[np.int64],
) -> int:
    """Add those of the network, by position, that no earlier source named; how many there are then."""
    gathered.named[number] = len(found)
    posts, origin = gathered.posts, gathered.origin
    for at in found:
        if not taken[at]:
            taken[at] = True
            posts[count], origin[count] = network.posts[at], number
            count += 1
    return count


@inner
def _take_beyond(taken: Table, gathered: Gathered, count: int, number: int, found: NDArray[np.int32]) -> int:
    """The same of posts from beyond the network."""
    gathered.named[number] = len(found)
    posts, origin = gathered.posts, gathered.origin
    for post in found:
        place = place_of(taken, post)
        if taken.entries[place, 0] != post:
            taken.entries[place, 0] = post
            posts[count], origin[count] = post, number
            count += 1
    return count


@inner
def gather(
    columns: Columns,
    marks: Marks,
    past: Past,
    rules: Rules,
    network: Network,
    viewer: int,
    cares: NDArray[np.float64],
    login: float,
) -> Gathered:
    """Candidates of all sources, at most `fetch_cap`."""
    cap, taken = rules.fetch_cap, np.zeros(len(network.posts), np.bool_)
    into = Gathered(np.empty(cap, np.int32), np.empty(cap, np.uint8), np.zeros(len(SOURCES), np.int64))
    count = _take(network, taken, into, 0, 0, followed(columns, past, rules, network, login, cap))
    found = new_followee(columns, past, rules, network, viewer, login, cap - count)
    count = _take(network, taken, into, count, 1, found)
    room = max(0, cap - count - (rules.grown_cap + rules.interest_cap + rules.trending_cap))
    count = _take(network, taken, into, count, 2, of_network(columns, past, network, SEEN, 0, login, room))
    room = min(rules.grown_cap, cap - count)
    count = _take(network, taken, into, count, 3, of_network(columns, past, network, GROWN, GROWN, np.inf, room))
    liked = interest(columns, marks, past, rules, cares, cap - count)
    beyond = table_for(len(liked) + min(rules.trending_cap, columns.pool.trending))
    count = _take_beyond(beyond, into, count, 4, liked)
    wanted = min(rules.trending_cap, cap - count)
    count = _take_beyond(beyond, into, count, 5, trending(marks, past, rules, columns.pool, wanted))
    return Gathered(into.posts[:count], into.origin[:count], into.named)
