"""The post, and the author's posts around it: which of them are engaged with already, and when."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import DAY_S, HOUR_S, Columns, Moment, Scratch, Signal, hours
from feedgen.ranking.groups.compiled import inner
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
def place_of(columns: Columns, posts: NDArray[np.int32], post: int) -> int:
    """Where the post stands in `posts`, oldest first; −1 if it is not there. O(log posts)."""
    created, low, high = columns.created, 0, len(posts)
    while low < high:
        middle = (low + high) >> 1
        if created[posts[middle]] < created[post]:
            low = middle + 1
        else:
            high = middle
    while low < len(posts) and created[posts[low]] == created[post]:
        if posts[low] == post:
            return low
        low += 1
    return -1


@inner
def _ago(moment: Moment, ts: float) -> float:
    return hours(moment.now - ts) if -_INF < ts <= moment.now else np.nan


@inner
def _neighbour(
    columns: Columns, scratch: Scratch, moment: Moment, post: int, other: int, row: NDArray[np.float32]
) -> None:
    row[0] = abs(columns.created[post] - columns.created[other]) / HOUR_S
    row[1] = _ago(moment, columns.first[other])
    row[2] = scratch.own[other] > 0


@inner
def _around(
    columns: Columns, scratch: Scratch, moment: Moment, posts: NDArray[np.int32], place: int, row: NDArray[np.float32]
) -> None:
    """From hour_posts to day_mine_ago."""
    created, now_hour = columns.created, moment.now // HOUR_S
    at_post, found = created[posts[place]], np.zeros((2, 5))  # posts, met, mine; when one was met last, and mine
    found[:, 3], found[:, 4] = -_INF, -1
    for step in (-1, 1):
        at, steps = place + step, 0
        while 0 <= at < len(posts) and steps < _STEPS:
            post = posts[at]
            apart = abs(created[post] - at_post)
            if apart > DAY_S:
                break
            at, steps = at + step, steps + 1
            for span in range(int(apart > HOUR_S), 2):
                found[span, 0] += 1
                if columns.first[post] <= moment.now:
                    found[span, 1] += 1
                    found[span, 3] = max(found[span, 3], columns.first[post])
                if scratch.own[post] > 0:
                    found[span, 2] += 1
                    found[span, 4] = max(found[span, 4], scratch.own[post] - 1)
    for span in range(2):
        row[5 * span : 5 * span + 3] = found[span, :3]
        row[5 * span + 3] = _ago(moment, found[span, 3])
        row[5 * span + 4] = max(now_hour - found[span, 4], 0) if found[span, 4] >= 0 else np.nan


@inner
def _burst(columns: Columns, moment: Moment, posts: NDArray[np.int32], place: int, row: NDArray[np.float32]) -> None:
    created, met, before, length = columns.created, -_INF, 0, 1
    for step in (-1, 1):
        at, steps = place, 0
        while 0 <= at + step < len(posts) and steps < _STEPS:
            if abs(created[posts[at + step]] - created[posts[at]]) >= _PAUSE_S:
                break
            at, steps = at + step, steps + 1
            if columns.first[posts[at]] <= moment.now:
                met = max(met, columns.first[posts[at]])
        length += steps
        before += steps * (step < 0)
    row[0], row[1], row[2] = length, before, _ago(moment, met)


@inner
def fill(
    columns: Columns,
    scratch: Scratch,
    moment: Moment,
    past: Past,
    posts: NDArray[np.int32],
    post: int,
    row: NDArray[np.float32],
) -> None:
    """`row`: shape (SIGNALS,); `posts`: the author's, oldest first. O(posts)."""
    row[:] = np.nan
    age_s = max(moment.now - columns.created[post], 0.0)
    row[0] = age_s / HOUR_S
    row[1] = past.since[min(int(age_s // HOUR_S), len(past.since) - 1)]
    row[2] = columns.engaged[post]
    row[3] = _ago(moment, columns.first[post])
    row[4] = hours(moment.now - columns.last[post]) if columns.last[post] > -_INF else np.nan
    place = place_of(columns, posts, post)
    if place < 0:
        return
    newer_met, older_open, passed = 0, 0, 0
    for at in range(len(posts)):
        first = columns.first[posts[at]]
        known = first <= moment.now
        newer_met += at > place and known
        older_open += at < place and not known and moment.now - columns.created[posts[at]] < 30 * DAY_S
        passed += at != place and known and first > columns.created[post]
    row[5], row[6], row[7], row[8] = len(posts) - 1 - place, newer_met, older_open, passed
    if place > 0:
        _neighbour(columns, scratch, moment, post, posts[place - 1], row[9:12])
    if place + 1 < len(posts):
        _neighbour(columns, scratch, moment, post, posts[place + 1], row[12:15])
    _around(columns, scratch, moment, posts, place, row[15:25])
    _burst(columns, moment, posts, place, row[25:28])
