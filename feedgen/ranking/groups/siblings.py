"""The post, and the author's posts around it: which of them are engaged with already, and when."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import DAY_S, HOUR_S, Columns, Moment, Read, Signal, hours
from feedgen.ranking.groups.compiled import inner
from feedgen.ranking.groups.kept import HOURS
from feedgen.ranking.groups.viewer import Past

_INF: Final = float("inf")
COST: Final = "O(AUTHOR_POSTS) a candidate"
SIGNALS: Final = (
    Signal("age", "h", 0, _INF, "never", "of the post"),
    Signal("passed", "posts", 0, _INF, "never", "the viewer engaged with since the post was there (30 days at most)"),
    Signal("engaged", "engagements", -_INF, _INF, "never", "standing, in favour of the post"),
    Signal("met_ago", "h", 0, _INF, "nobody engaged", "since anybody engaged with the post first"),
    Signal("still", "h", 0, _INF, "nobody engaged", "since anybody engaged with the post last"),
    Signal("newer", "posts", 0, 128, "not among the author's newest", "by the author, newer than the post"),
    Signal("newer_met", "posts", 0, 128, "as newer", "of these, somebody engaged with"),
    Signal(
        "older_open",
        "posts",
        0,
        128,
        "as newer",
        "of the author's of 30 days, older than the post, nobody engaged with",
    ),
    Signal(
        "passed_author", "posts", 0, 128, "as newer", "of the author's, first engaged with since the post was there"
    ),
    Signal("before_gap", "h", 0, _INF, "no post before it", "from the author's post before it"),
    Signal("before_met_ago", "h", 0, _INF, "none, or nobody engaged", "since anybody engaged with that one first"),
    Signal("before_mine", "0 or 1", 0, 1, "no post before it", "whether the viewer engaged with that one"),
    Signal("after_gap", "h", 0, _INF, "no post after it", "to the author's post after it"),
    Signal("after_met_ago", "h", 0, _INF, "none, or nobody engaged", "since anybody engaged with that one first"),
    Signal("after_mine", "0 or 1", 0, 1, "no post after it", "whether the viewer engaged with that one"),
    Signal("hour_posts", "posts", 0, 60, "as newer", "by the author within an hour of the post"),
    Signal("hour_met", "posts", 0, 60, "as newer", "of these, somebody engaged with"),
    Signal("hour_mine", "posts", 0, 60, "as newer", "of these, the viewer engaged with"),
    Signal("hour_met_ago", "h", 0, _INF, "none", "since anybody engaged with one of these first"),
    Signal("hour_mine_ago", "h", 0, _INF, "none", "since the viewer engaged with one of these"),
    Signal("day_posts", "posts", 0, 60, "as newer", "by the author within a day of the post"),
    Signal("day_met", "posts", 0, 60, "as newer", "of these, somebody engaged with"),
    Signal("day_mine", "posts", 0, 60, "as newer", "of these, the viewer engaged with"),
    Signal("day_met_ago", "h", 0, _INF, "none", "since anybody engaged with one of these first"),
    Signal("day_mine_ago", "h", 0, _INF, "none", "since the viewer engaged with one of these"),
    Signal("burst", "posts", 1, 61, "as newer", "one after the other by the author within half an hour each, with it"),
    Signal("burst_place", "posts", 0, 30, "as newer", "of these, before it"),
    Signal("burst_met_ago", "h", 0, _INF, "none", "since anybody engaged with one of these first"),
)
_STEPS: Final = 30
_PAUSE_S: Final = 1_800.0
_COUNT: Final = len(SIGNALS)


@inner
def _place_of(read: Read, count: int, created: float, post: int) -> int:
    """Where the post stands among those read; −1 if it is not there. O(log posts)."""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if read.created[middle] < created:
            low = middle + 1
        else:
            high = middle
    while low < count and read.created[low] == created:
        if read.posts[low] == post:
            return low
        low += 1
    return -1


@inner
def _ago(moment: Moment, ts: float) -> float:
    return hours(moment.now - ts) if -_INF < ts <= moment.now else np.nan


@inner
def _passed(moment: Moment, read: Read, count: int, place: int, created: float) -> int:
    """How many others were first engaged with after `created`."""
    found = 0
    for at in range(count):
        found += created < read.first[at] <= moment.now
    return int(found - (created < read.first[place] <= moment.now))


@inner
def _neighbour(moment: Moment, read: Read, place: int, other: int, out: NDArray[np.float32], row: int, at: int) -> None:
    out[row, at] = abs(read.created[place] - read.created[other]) / HOUR_S
    out[row, at + 1] = _ago(moment, read.first[other])
    out[row, at + 2] = read.own[other] > 0


class _Near(NamedTuple):
    """Posts around one: how many, how many met, and by the viewer; when one was met last, and by the viewer (hour)."""

    posts: int
    met: int
    mine: int
    last: float
    last_mine: int


@inner
def _near(moment: Moment, read: Read, count: int, place: int, span_s: float) -> _Near:
    posts, met, mine, last, last_mine, created = 0, 0, 0, -_INF, -1, read.created[place]
    for step in (-1, 1):
        at, steps = place + step, 0
        while 0 <= at < count and steps < _STEPS and abs(read.created[at] - created) <= span_s:
            posts += 1
            if read.first[at] <= moment.now:
                met += 1
                last = max(last, read.first[at])
            if read.own[at] > 0:
                mine += 1
                last_mine = max(last_mine, read.own[at] - 1)
            at, steps = at + step, steps + 1
    return _Near(posts, met, mine, last, last_mine)


@inner
def _put_near(moment: Moment, near: _Near, out: NDArray[np.float32], row: int, at: int) -> None:
    out[row, at], out[row, at + 1], out[row, at + 2] = near.posts, near.met, near.mine
    out[row, at + 3] = _ago(moment, near.last)
    out[row, at + 4] = max(moment.now // HOUR_S - near.last_mine, 0) if near.last_mine >= 0 else np.nan


@inner
def _burst(moment: Moment, read: Read, count: int, place: int, out: NDArray[np.float32], row: int, first: int) -> None:
    met, before, length = -_INF, 0, 1
    for step in (-1, 1):
        at, steps = place, 0
        while 0 <= at + step < count and steps < _STEPS:
            if abs(read.created[at + step] - read.created[at]) >= _PAUSE_S:
                break
            at, steps = at + step, steps + 1
            if read.first[at] <= moment.now:
                met = max(met, read.first[at])
        length += steps
        before += steps * (step < 0)
    out[row, first], out[row, first + 1], out[row, first + 2] = length, before, _ago(moment, met)


@inner
def fill(
    columns: Columns,
    moment: Moment,
    read: Read,
    count: int,
    post: int,
    out: NDArray[np.float32],
    row: int,
    first: int,
) -> None:
    """SIGNALS of a row, from column `first` on, but for `passed`; the author's `count` posts were read. O(posts)."""
    created = columns.created[post]
    age_s = max(moment.now - created, 0.0)
    out[row, first] = age_s / HOUR_S
    out[row, first + 2] = columns.engaged[post]
    out[row, first + 3] = _ago(moment, columns.first[post])
    out[row, first + 4] = hours(moment.now - columns.last[post]) if columns.last[post] > -_INF else np.nan
    for at in range(first + 5, first + _COUNT):
        out[row, at] = np.nan
    place = _place_of(read, count, created, post)
    if place < 0:
        return
    out[row, first + 5], out[row, first + 6] = count - 1 - place, read.met[count] - read.met[place + 1]
    out[row, first + 7] = read.open_month[place]
    out[row, first + 8] = _passed(moment, read, count, place, created)
    if place > 0:
        _neighbour(moment, read, place, place - 1, out, row, first + 9)
    if place + 1 < count:
        _neighbour(moment, read, place, place + 1, out, row, first + 12)
    _put_near(moment, _near(moment, read, count, place, HOUR_S), out, row, first + 15)
    _put_near(moment, _near(moment, read, count, place, DAY_S), out, row, first + 20)
    _burst(moment, read, count, place, out, row, first + 25)


@inner
def fill_own(past: Past, codes: NDArray[np.int32], out: NDArray[np.float32], first: int) -> None:
    """passed, of every row, in its column of `out`. O(1) each."""
    passed = out[first + 1]
    for row in range(len(codes)):
        passed[row] = past.since[min(codes[row, HOURS], len(past.since) - 1)]
