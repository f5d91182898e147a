"""Features of one viewer's candidates: what ranking.features defines, up to the logarithms.

Those are numpy's, of a whole batch at once: they have the same bits for whoever else asks numpy, and are vectorised.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Decays, Rules
from feedgen.kernels.compiled import compiled
from feedgen.kernels.marks import Marks, Past, list_of
from feedgen.kernels.network import Network
from feedgen.kernels.taste import match
from feedgen.ranking.features import FEATURES
from feedgen.state.deciding import place_of
from feedgen.state.engagement import AGAINST, BACK, HOUR_MASK, KIND_MASK, POST_SHIFT, UNIT, WINDOWS
from feedgen.state.lists import Spans

ROWS: Final = len(FEATURES) + 1
"""A row for each feature; momentum is the difference of its own and the last one."""
_WEEK: Final = len(FEATURES)
_DAY_HOURS: Final = WINDOWS["1d"]
_WEEK_HOURS: Final = WINDOWS["7d"]
_DAY_S: Final = 86_400.0


class _Authors(NamedTuple):
    """By slot: the author, decayed engagements of the viewer with their posts (short, mid, long), posts favoured, and
    posts there were to choose from."""

    author: NDArray[np.int32]
    affinity: NDArray[np.int64]
    met: NDArray[np.float64]
    there: NDArray[np.float64]


@compiled
def _faded(weight: float, left: NDArray[np.float64], age: int) -> int:
    return np.int64(np.rint(weight * left[age] * UNIT)) if age < len(left) else 0


@compiled
def _authors_of(columns: Columns, marks: Marks, posts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct authors; numbers them in `slot`."""
    authors, count, slots, author_of = np.empty(len(posts), np.int32), 0, marks.slot, columns.posts.author
    for post in posts:
        author = author_of[post]
        if slots[author] < 0:
            slots[author] = count
            authors[count] = author
            count += 1
    return authors[:count]


@compiled
def _by_author(columns: Columns, marks: Marks, viewer: int, posts: NDArray[np.int32]) -> _Authors:
    authors, decays = _authors_of(columns, marks, posts), columns.decays
    count, slots, author_of = len(authors), marks.slot, columns.posts.author
    affinity, weights, hour = np.zeros((3, count), np.int64), decays.weights, decays.hour
    short, mid, long = decays.short, decays.mid, decays.long
    for entry in list_of(columns.people.engaged, viewer):
        author = author_of[entry >> POST_SHIFT]
        if author >= 0 and slots[author] >= 0:
            slot, weight, sign = slots[author], weights[entry >> 1 & KIND_MASK], 1 - 2 * (entry & BACK)
            age = max(hour - (entry >> 5 & HOUR_MASK), 0)
            affinity[0, slot] += sign * _faded(weight, short, age)
            affinity[1, slot] += sign * _faded(weight, mid, age)
            affinity[2, slot] += sign * _faded(weight, long, age)
    return _Authors(authors, affinity, np.zeros(count), np.zeros(count))


@compiled
def _count(
    author_of: NDArray[np.int32], slots: NDArray[np.int32], posts: NDArray[np.int32], by_slot: NDArray[np.float64]
) -> int:
    """Posts by slot of their author; how many there are whose author is known."""
    known = 0
    for post in posts:
        author = author_of[post]
        if author >= 0:
            known += 1
            if slots[author] >= 0:
                by_slot[slots[author]] += 1.0
    return known


@compiled
def _follow_back(columns: Columns, authors: NDArray[np.int32], viewer: int) -> NDArray[np.float64]:
    back = np.zeros(len(authors))
    for slot in range(len(authors)):
        line = list_of(columns.people.followees, authors[slot])
        at = place_of(line, 0, len(line), viewer)
        back[slot] = at < len(line) and line[at] == viewer
    return back


@compiled
def _author_rows(
    columns: Columns,
    marks: Marks,
    viewer: int,
    network: Network,
    past: Past,
    posts: NDArray[np.int32],
    rows: NDArray[np.float64],
) -> None:
    """Affinities, liked_share, follows_back, followed, and what all viewers share of the author."""
    by = _by_author(columns, marks, viewer, posts)
    author_of, slots, near = columns.posts.author, marks.slot, marks.near
    met, there, affinity = by.met, by.there, by.affinity
    favoured = _count(author_of, slots, past.favoured, met)
    exposed = _count(author_of, slots, past.viewed if len(past.viewed) else network.posts, there)
    rate = min(1.0, favoured / max(exposed, 1))
    back = _follow_back(columns, by.author, viewer)
    author_rate, followers = columns.shared.log_author_rate, columns.shared.log_followers
    for at in range(len(posts)):
        author = author_of[posts[at]]
        slot = slots[author]
        rows[2, at] = max(affinity[0, slot], 0) / UNIT
        rows[3, at] = max(affinity[1, slot], 0) / UNIT
        rows[4, at] = max(affinity[2, slot], 0) / UNIT
        rows[5, at] = (met[slot] + 1.0) / (rate * there[slot] + 1.0)
        rows[6, at] = back[slot]
        rows[7, at] = near[author]
        rows[10, at] = author_rate[author]
        rows[11, at] = followers[author]
    for author in by.author:
        slots[author] = -1


@compiled
def _add_engagement(
    by_post: Spans,
    decays: Decays,
    near: NDArray[np.uint8],
    viewer: int,
    posts: NDArray[np.int32],
    sums: NDArray[np.int64],
) -> None:
    """Add to `sums`, by row: fading, day, of the network, week; in UNITs, so in any order."""
    weights, now_hour = decays.weights, decays.hour
    for place in range(len(posts)):
        for value in list_of(by_post, posts[place]):
            who = value >> POST_SHIFT
            hour, sign = value >> 5 & HOUR_MASK, 1 - 2 * (value & BACK)
            weight = weights[value >> 1 & KIND_MASK]
            age = np.float64(max(now_hour - hour, 0))
            units = sign * np.int64(np.rint(weight * (1.0 / (age + 1.0)) * UNIT))
            sums[0, place] += units
            if near[who] and who != viewer:
                sums[2, place] += units
            if hour >= now_hour - _WEEK_HOURS and value >> 1 & KIND_MASK < AGAINST:
                whole = sign * np.int64(np.rint(weight * UNIT))
                sums[3, place] += whole
                if hour >= now_hour - _DAY_HOURS:
                    sums[1, place] += whole


@compiled
def _post_rows(
    columns: Columns, marks: Marks, rules: Rules, viewer: int, posts: NDArray[np.int32], rows: NDArray[np.float64]
) -> None:
    """freshness, recency, post_rate, engagement, momentum's two, network."""
    sums = np.zeros((4, len(posts)), np.int64)
    _add_engagement(columns.by_post, columns.decays, marks.near, viewer, posts, sums)
    created, post_rate, now = columns.posts.created, columns.shared.log_post_rate, rules.now
    fresh_s, recent_s = rules.fresh_s, rules.recent_s
    for at in range(len(posts)):
        age_s = max(now - created[posts[at]], 0.0)
        rows[0, at] = age_s / fresh_s
        rows[1, at] = age_s / recent_s
        rows[9, at] = post_rate[posts[at]]
        rows[12, at] = sums[0, at] / UNIT
        rows[13, at] = sums[1, at] / UNIT
        rows[14, at] = sums[2, at] / UNIT
        rows[_WEEK, at] = sums[3, at] * (1 / 7) / UNIT


@compiled
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
) -> None:
    """`rows`, shape (ROWS, posts), before `logs`. O(posts + their engagements + what the viewer did and saw)."""
    _author_rows(columns, marks, viewer, network, past, posts, rows)
    _post_rows(columns, marks, rules, viewer, posts, rows)
    match(columns.posts, cares, posts, rows[8])


def logs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features, by row in the order of FEATURES, in place of what `fill` left. O(n)."""
    for part in (rows[:5], rows[8:9]):
        np.log1p(part, out=part)
    engagement = rows[12:]
    np.copysign(np.log1p(np.abs(engagement)), engagement, out=engagement)
    np.log(rows[5], out=rows[5])
    np.negative(rows[:2], out=rows[:2])
    rows[13] -= rows[_WEEK]
    return rows[: len(FEATURES)]


@compiled
def mark_beyond_rate(columns: Columns, rules: Rules, posts: NDArray[np.int32], damped: NDArray[np.bool_]) -> None:
    """Which have `posts_per_day` others of the 24 hours before them among their author's newest: ranking.spam."""
    created, author_of, rate = columns.posts.created, columns.posts.author, rules.posts_per_day
    starts, counts, recent = columns.people.recent
    for at in range(len(posts)):
        post = posts[at]
        damped[at] = False
        author = author_of[post]
        if author < len(starts) and counts[author] > rate:
            place = _place_in(created, recent, starts[author], starts[author] + counts[author], post)
            if place >= starts[author] + rate:
                damped[at] = created[post] - created[recent[place - rate]] < _DAY_S


@compiled
def _place_in(created: NDArray[np.float64], recent: NDArray[np.int32], low: int, end: int, post: int) -> int:
    """Where the post stands among its author's recent ones, oldest first; −1 if it is not there. O(log n)."""
    high = end
    while low < high:
        middle = (low + high) >> 1
        if created[recent[middle]] < created[post]:
            low = middle + 1
        else:
            high = middle
    while low < end and recent[low] != post:
        low += 1
    return low if low < end else -1
