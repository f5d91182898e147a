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
FADING_S: Final = 60.0 * DAY_S
"""In which what became of an author's post counts half as much."""
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
    """By post, but for `about` and `unmet` (by topic the posts about it, and `liking_of` who met none of them),
    `recent` (posts of each author, oldest first), `engaged_by` (what each viewer engaged with), and `by_post` (who
    engaged with each, see engagement.Engagement.by_post)."""

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
    unmet: NDArray[np.float64]
    recent: Spans
    engaged_by: Spans
    by_post: Spans


class Moment(NamedTuple):
    """`now` and `oldest`, the earliest creation of a post that is read (s)."""

    now: float
    oldest: float


class Scratch(NamedTuple):
    """Clean between viewers, that is 0 everywhere but in `liking`. `own`: by post, 1 + the hour the viewer last engaged
    with it. `slot`: by user, 1 + number of a candidate's author. `met`, `met_hour`: by topic, posts about it that the
    viewer engaged with, and 1 + the last hour; `liking`: what liking_of says of a topic that was met. `cell`: by topic,
    1 + number in the author's topics. `near`: by user a bit, whether the viewer follows them; never the viewer's own.
    `counted`: by post, whether it is among those seen already.
    """

    own: NDArray[np.int32]
    slot: NDArray[np.int32]
    met: NDArray[np.int32]
    met_hour: NDArray[np.int32]
    liking: NDArray[np.float64]
    cell: NDArray[np.int32]
    near: NDArray[np.uint32]
    counted: NDArray[np.bool_]


class Read(NamedTuple):
    """The posts of one author that are read, oldest first, side by side; of as many entries as there are.

    `created`, `first` (s), `own`: of the post, as in Columns and Scratch. `delay`: ln(1 + h) from the post to its first
    engagement, `weight` what that counts, fading; of posts that are engaged with. `met`, `open_month`: of the first n
    posts how many somebody engaged with, and how many of 30 days nobody did (AUTHOR_POSTS + 1).
    """

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    first: NDArray[np.float64]
    own: NDArray[np.int32]
    delay: NDArray[np.float64]
    weight: NDArray[np.float64]
    met: NDArray[np.int32]
    open_month: NDArray[np.int32]


@inner
def room_to_read() -> Read:
    """For one author after the other: making room took most of the time of an author of few posts."""
    numbers, times = np.zeros((4, AUTHOR_POSTS + 1), np.int32), np.zeros((4, AUTHOR_POSTS))
    return Read(*(numbers[0], times[0], times[1], numbers[1], times[2], times[3], numbers[2], numbers[3]))


@inner
def mark_near(followees: Spans, near: NDArray[np.uint32], viewer: int) -> None:
    """Set the bits of Scratch.near. O(followees)."""
    for user in list_of(followees, viewer):
        if user != viewer:
            near[user >> 5] |= np.uint32(1) << np.uint32(user & 31)


@inner
def forget_near(followees: Spans, near: NDArray[np.uint32], viewer: int) -> None:
    """Take back what `mark_near` marked."""
    for user in list_of(followees, viewer):
        near[user >> 5] = 0


@inner
def is_near(near: NDArray[np.uint32], user: int) -> int:
    """1 or 0. Unsigned, as a place that may be negative costs a comparison."""
    one = np.uint32(user)
    return int(near[one >> np.uint32(5)] >> (one & np.uint32(31)) & np.uint32(1))


@inner
def hours(seconds: float) -> float:
    """At least 0."""
    return max(seconds, 0.0) / HOUR_S


@inner
def bin_of(delay: float) -> int:
    """The bin of DELAYS that a time from a post to an engagement is in, given as ln(1 + h)."""
    return min(int(4.0 * delay), DELAYS - 1)


@inner
def delay_bin(seconds: float) -> int:
    """The same of seconds."""
    return bin_of(np.log1p(max(seconds, 0.0) / HOUR_S))


@inner
def add_up(delays: NDArray[np.int64]) -> None:
    """From how many engagements took as long as each bin says to how many took that long or longer."""
    for at in range(DELAYS - 2, -1, -1):
        delays[at] += delays[at + 1]


@inner
def hazard(delays: NDArray[np.int64], at: int) -> float:
    """Of the engagements that took as long as bin `at` says, or longer, the share in it and the next; NaN for none.

    `delays`: added up, with two more bins of nothing.
    """
    return (delays[at] - delays[at + 2]) / delays[at] if delays[at] > 0 else np.nan


@inner
def read_posts(columns: Columns, scratch: Scratch, moment: Moment, author: int, into: Read) -> int:
    """The author's newest posts, AUTHOR_POSTS at most, without the deleted ones, that were created from `oldest` to
    `now`; how many there are."""
    recent: NDArray[np.int32] = list_of(columns.recent, author)
    created, posts = columns.created, into.posts
    at, count = len(recent), 0
    while at > 0 and count < AUTHOR_POSTS:
        at -= 1
        post = recent[at]
        if created[post] < moment.oldest:
            break
        if created[post] <= moment.now and not columns.deleted[post]:
            count += 1
            posts[AUTHOR_POSTS - count] = post
    met, open_month = 0, 0
    for at in range(count):
        post = posts[AUTHOR_POSTS - count + at]
        posts[at] = post
        into.created[at], into.first[at], into.own[at] = created[post], columns.first[post], scratch.own[post]
        known = columns.first[post] <= moment.now
        met += known
        open_month += (not known) and moment.now - created[post] < 30 * DAY_S
        into.met[at + 1], into.open_month[at + 1] = met, open_month
        if known:
            into.delay[at] = np.log1p(hours(columns.first[post] - created[post]))
            into.weight[at] = 2.0 ** (-(moment.now - columns.first[post]) / FADING_S)
    return count


@inner
def liking_of(met: int, about: int) -> float:
    """How much of what is about a topic the viewer engaged with, from how many posts of how many."""
    return float(np.log((met + 0.5) / (about + 5.0)))
