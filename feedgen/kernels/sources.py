"""Candidates of one viewer, source by source: what selection.sources defines, in the same order."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import GROWN, SEEN, TAKEN, Marks
from feedgen.kernels.network import Network
from feedgen.kernels.picking import Keys, picked
from feedgen.kernels.taste import match
from feedgen.selection.sources import MORE
from feedgen.state.engagement import UNIT
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
def _cut(
    ids: NDArray[np.int32], first: NDArray[np.float64], second: NDArray[np.float64], names: Names, cap: int
) -> NDArray[np.int32]:
    return ids[picked(Keys(first, second, ids, names), cap)] if len(ids) > cap else ids


@inner
def followed(
    columns: Columns, marks: Marks, rules: Rules, network: Network, login: float, room: int
) -> NDArray[np.int32]:
    """Posts since the last login; over the cap without those seen, authors in turns."""
    cap = min(rules.new_cap, room)
    new = np.flatnonzero(network.created > login)
    if len(new) <= cap:
        return network.posts[new]
    count = 0
    for at in new:
        if not marks.post[network.posts[at]] & SEEN:
            new[count] = at
            count += 1
    new = new[:count]
    return _cut(
        network.posts[new], network.recency[new].astype(np.float64), -network.created[new], columns.posts.names, cap
    )


@inner
def new_followee(
    columns: Columns, marks: Marks, rules: Rules, network: Network, since: NDArray[np.float64], login: float, room: int
) -> NDArray[np.int32]:
    """Unseen posts older than the login by authors followed `since` then."""
    cap = min(rules.new_followee_cap, room)
    if cap < 1:
        return network.posts[:0]
    posts, created, owner, mark, oldest = (
        network.posts,
        network.created,
        network.owner,
        marks.post,
        rules.new_followee_oldest,
    )
    found, count = np.empty(len(posts), np.int64), 0
    for at in range(len(posts)):
        if oldest <= created[at] <= login and since[owner[at]] > login and not mark[posts[at]] & SEEN:
            found[count] = at
            count += 1
    found = found[:count]
    return _cut(
        network.posts[found],
        network.recency[found].astype(np.float64),
        -network.created[found],
        columns.posts.names,
        cap,
    )


@inner
def of_network(
    columns: Columns, marks: Marks, network: Network, bits: int, wanted: int, login: float, cap: int
) -> NDArray[np.int32]:
    """The most popular posts up to `login` whose marks under `bits` are `wanted`."""
    if cap < 1:
        return network.posts[:0]
    which, created, mark, popularity = network.posts, network.created, marks.post, columns.shared.popularity
    found, count = np.empty(len(which), np.int64), 0
    for at in range(len(which)):
        if created[at] <= login and mark[which[at]] & bits == wanted:
            found[count] = at
            count += 1
    found = found[:count]
    posts = which[found]
    if count <= cap:
        return posts
    first = np.empty(count)
    for at in range(count):
        first[at] = -popularity[posts[at]]
    return _cut(posts, first, -created[found], columns.posts.names, cap)


@inner
def beyond(columns: Columns, marks: Marks, rules: Rules, pool: NDArray[np.int32], wanted: int) -> NDArray[np.int32]:
    """The first of them that exist by now, are by authors outside the network, and unseen; in the order given."""
    found, count = np.empty(min(wanted, len(pool)), np.int32), 0
    mark, near, created, author, now = marks.post, marks.near, columns.posts.created, columns.posts.author, rules.now
    for post in pool:
        if count >= wanted:
            break
        if not mark[post] & SEEN and created[post] <= now and not near[author[post]]:
            found[count] = post
            count += 1
    return found[:count]


@inner
def interest(columns: Columns, marks: Marks, rules: Rules, cares: NDArray[np.float64], room: int) -> NDArray[np.int32]:
    """Of the pool, what matches the viewer's taste best.

    The pool is in order of popularity, so the search ends where no liking could make up for what popularity lacks,
    mostly after a quarter of it.
    """
    cap, pool = min(rules.interest_cap, room), columns.shared.pool
    if cap < 1 or not len(cares):
        return pool[:0]
    popularity, created, names = columns.shared.popularity, columns.posts.created, columns.posts.names
    found, first, second = np.empty(3 * cap, np.int32), np.empty(3 * cap), np.empty(3 * cap)
    most, least, count, liking = cares.max() * (1.0 + 1e-9), 0.0, 0, np.empty(_STEP)
    for step in range(0, len(pool), _STEP):
        if count >= cap and most * max(popularity[pool[step]] + UNIT, 0) < least:
            break
        strange = beyond(columns, marks, rules, pool[step : step + _STEP], _STEP)
        match(columns.posts, cares, strange, liking)
        for at in range(len(strange)):
            worth = liking[at] * max(popularity[strange[at]] + UNIT, 0)
            if liking[at] > MORE and worth >= least:
                if count == len(found):
                    kept = picked(Keys(first, second, found, names), cap)
                    found[:cap], first[:cap], second[:cap] = found[kept], first[kept], second[kept]
                    least, count = -first[:cap].max(), cap
                found[count], first[count], second[count] = strange[at], -worth, -created[strange[at]]
                count += 1
    return _cut(found[:count], first[:count], second[:count], names, cap)


@inner
def _take(marks: Marks, gathered: Gathered, count: int, number: int, found: NDArray[np.int32]) -> int:
    """Add what no earlier source named; how many there are then."""
    gathered.named[number] = len(found)
    mark, posts, origin = marks.post, gathered.posts, gathered.origin
    for post in found:
        if not mark[post] & TAKEN:
            mark[post] |= TAKEN
            posts[count], origin[count] = post, number
            count += 1
    return count


@inner
def gather(
    columns: Columns,
    marks: Marks,
    rules: Rules,
    network: Network,
    since: NDArray[np.float64],
    cares: NDArray[np.float64],
    login: float,
) -> Gathered:
    """Candidates of all sources, at most `fetch_cap`. Leaves the marks of candidates to be cleared."""
    cap = rules.fetch_cap
    into = Gathered(np.empty(cap, np.int32), np.empty(cap, np.uint8), np.zeros(len(SOURCES), np.int64))
    count = _take(marks, into, 0, 0, followed(columns, marks, rules, network, login, cap))
    found = new_followee(columns, marks, rules, network, since, login, cap - count)
    count = _take(marks, into, count, 1, found)
    room = max(0, cap - count - (rules.grown_cap + rules.interest_cap + rules.trending_cap))
    count = _take(marks, into, count, 2, of_network(columns, marks, network, SEEN, 0, login, room))
    room = min(rules.grown_cap, cap - count)
    count = _take(marks, into, count, 3, of_network(columns, marks, network, GROWN, GROWN, np.inf, room))
    count = _take(marks, into, count, 4, interest(columns, marks, rules, cares, cap - count))
    shared = columns.shared
    wanted = max(min(rules.trending_cap, cap - count), 0)
    count = _take(marks, into, count, 5, beyond(columns, marks, rules, shared.pool[: shared.trending], wanted))
    mark = marks.post
    for post in into.posts[:count]:
        mark[post] &= ~TAKEN & 255
    return Gathered(into.posts[:count], into.origin[:count], into.named)
