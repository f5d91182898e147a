"""What the loops of the signals read and write: state's columns, the moment, and scratch."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.compiled import inner
from feedgen.state.lists import Spans, list_of

HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
SPAN_DAYS: Final = 365.0
"""How far back an author's posts are read."""
AUTHOR_POSTS: Final = 128
"""And how many of them at most, the newest."""
DELAYS: Final = 40
"""Bins of the time from a post to an engagement with it: a quarter of ln(1 + hours) each, the last one open."""


class Signal(NamedTuple):
    """One column: its name, unit, range (`least`, `most`), when it is missing, and what it says."""

    name: str
    unit: str
    least: float
    most: float
    missing: str
    says: str


class Columns(NamedTuple):
    """By post, but for `about` (posts about each topic), `recent` (posts of each author, oldest first), `engaged_by`
    (what each viewer engaged with), and `by_post` (who engaged with each, see engagement.Engagement.by_post)."""

    author: NDArray[np.int32]
    created: NDArray[np.float64]
    deleted: NDArray[np.bool_]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    engaged: NDArray[np.int32]
    topic_at: NDArray[np.int64]
    topic_count: NDArray[np.uint8]
    topics: NDArray[np.int32]
    about: NDArray[np.int64]
    recent: Spans
    engaged_by: Spans
    by_post: Spans


class Moment(NamedTuple):
    """`now` and `oldest`, the earliest creation of a post that is read (s)."""

    now: float
    oldest: float


class Scratch(NamedTuple):
    """Clean between viewers, that is 0 everywhere. `own`: by post, 1 + the hour the viewer last engaged with it.
    `slot`: by user, 1 + number of a candidate's author. `met`, `met_hour`: by topic, posts about it that the viewer
    engaged with, and 1 + the last hour. `cell`: by topic, 1 + number in the author's topics."""

    own: NDArray[np.int32]
    slot: NDArray[np.int32]
    met: NDArray[np.int32]
    met_hour: NDArray[np.int32]
    cell: NDArray[np.int32]


@inner
def hours(seconds: float) -> float:
    """At least 0."""
    return max(seconds, 0.0) / HOUR_S


@inner
def delay_bin(seconds: float) -> int:
    """The bin of DELAYS that a time from a post to an engagement is in."""
    return min(int(4.0 * np.log1p(max(seconds, 0.0) / HOUR_S)), DELAYS - 1)


@inner
def hazard(delays: NDArray[np.int64], at: int) -> float:
    """Of the engagements that took as long as bin `at` says, or longer, the share in it and the next; NaN for none."""
    left = delays[at:].sum()
    return delays[at : at + 2].sum() / left if left > 0 else np.nan


@inner
def read_posts(columns: Columns, moment: Moment, author: int) -> NDArray[np.int32]:
    """The author's newest posts, AUTHOR_POSTS at most, without the deleted ones, that were created from `oldest` to
    `now`; oldest first, a copy."""
    recent: NDArray[np.int32] = list_of(columns.recent, author)
    created, kept = columns.created, np.empty(AUTHOR_POSTS, np.int32)
    at, count = len(recent), 0
    while at > 0 and count < AUTHOR_POSTS:
        at -= 1
        post = recent[at]
        if created[post] < moment.oldest:
            break
        if created[post] <= moment.now and not columns.deleted[post]:
            count += 1
            kept[AUTHOR_POSTS - count] = post
    return kept[AUTHOR_POSTS - count :]
