"""What the post is about: what became of the author's posts about the same, and what the viewer did with it."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.prefetch import prefetch
from feedgen.ranking.groups.columns import DAY_S, Columns, Moment, Read, Scratch, Signal, hours, liking_of
from feedgen.ranking.groups.compiled import compiled, inner

_INF: Final = float("inf")
COST: Final = "O(topics of AUTHOR_POSTS) an author; then O(topics) a candidate"
SIGNALS: Final = (
    Signal("topics", "topics", 0, 16, "never", "of the post"),
    Signal(
        "topic_share",
        "share",
        0,
        1,
        "no topic",
        "of the author's posts about the rarest topic that were engaged with, the viewer's, fading",
    ),
    Signal("topics_share", "share", 0, 1, "no topic", "the same, mean over all topics"),
    Signal("topic_weight", "posts", 0, 128, "no topic", "of the author's about the rarest topic, engaged with, fading"),
    Signal("topic_delay", "ln(1 + h)", 0, 20, "none", "mean age of those when first engaged with"),
    Signal("topic_met_ago", "h", 0, _INF, "none", "since anybody engaged with one of those first"),
    Signal(
        "topic_open",
        "posts",
        0,
        128,
        "no topic",
        "of the author's of 30 days about the rarest topic, nobody engaged with",
    ),
    Signal("topic_met", "share", 0, 1, "no topic", "of the author's about the rarest topic, somebody engaged with"),
    Signal(
        "viewer_topic",
        "ln",
        -20,
        20,
        "no topic",
        "how much of what is about it the viewer engaged with, mean over topics",
    ),
    Signal("viewer_rarest", "ln", -20, 20, "no topic", "the same of the rarest topic"),
    Signal(
        "viewer_topic_ago",
        "h",
        0,
        _INF,
        "never engaged",
        "since the viewer engaged with anything about the rarest topic",
    ),
    Signal("viewer_topics_ago", "h", 0, _INF, "not with all", "the same of the topic for which it is longest"),
)
_COUNT: Final = len(SIGNALS)
_AHEAD: Final = 8
"""Rows after the one that is filled, whose topics are fetched meanwhile; where they stand, twice as many."""
_WEIGHT, _MINE, _DELAY, _LAST, _OPEN, _POSTS, _MET = range(7)


class Told(NamedTuple):
    """What became of one author's posts. `used`: the topics, by number. `sums`: shape (topics, 7): fading sums over
    posts that were engaged with (_WEIGHT, the viewer's: _MINE, _DELAY), when one was first engaged with last (_LAST,
    s), and counts (_OPEN, _POSTS, _MET)."""

    used: NDArray[np.int32]
    sums: NDArray[np.float64]


@inner
def room_to_tell(topics: int) -> Told:
    """For so many topics, of one author after the other."""
    return Told(np.empty(topics, np.int32), np.empty((topics, 7)))


@inner
def told_of(columns: Columns, scratch: Scratch, moment: Moment, read: Read, posts: int, told: Told) -> tuple[Told, int]:
    """And marks `cell`; how many topics there are. `told`, or a larger one. O(topics of the posts)."""
    cell, most = scratch.cell, 0
    for at in range(posts):
        most += columns.topic_count[read.posts[at]]
    if most > len(told.used):
        told = room_to_tell(2 * most)
    used, sums, count = told.used, told.sums, 0
    for at in range(posts):
        post, first = read.posts[at], read.first[at]
        known, mine = first <= moment.now, read.own[at] > 0
        opened = (not known) and moment.now - read.created[at] < 30 * DAY_S
        weight = read.weight[at] if known else 0.0
        delay = weight * read.delay[at] if known else 0.0
        for place in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            topic = columns.topics[place]
            if cell[topic] == 0:
                used[count] = topic
                for part in range(7):
                    sums[count, part] = 0.0
                sums[count, _LAST] = -_INF
                count += 1
                cell[topic] = count
            number = cell[topic] - 1
            sums[number, _POSTS] += 1
            sums[number, _MET] += known
            sums[number, _OPEN] += opened
            sums[number, _WEIGHT] += weight
            sums[number, _MINE] += weight * mine
            sums[number, _DELAY] += delay
            if known:
                sums[number, _LAST] = max(sums[number, _LAST], first)
    return told, count


@inner
def forget(scratch: Scratch, told: Told, count: int) -> None:
    """Take back what `told_of` marked."""
    for number in range(count):
        scratch.cell[told.used[number]] = 0


@inner
def _share(told: Told, number: int) -> float:
    return (told.sums[number, _MINE] + 0.02) / (told.sums[number, _WEIGHT] + 0.1) if number >= 0 else 0.2


@inner
def _of_author(told: Told, moment: Moment, number: int, out: NDArray[np.float32], row: int, first: int) -> None:
    """From topic_weight to topic_met."""
    sums = told.sums
    out[row, first + 3], out[row, first + 6] = sums[number, _WEIGHT], sums[number, _OPEN]
    out[row, first + 7] = (sums[number, _MET] + 1.0) / (sums[number, _POSTS] + 2.0)
    if sums[number, _WEIGHT] > 0.0:
        out[row, first + 4] = sums[number, _DELAY] / sums[number, _WEIGHT]
        out[row, first + 5] = hours(moment.now - sums[number, _LAST])


@inner
def _rarest(columns: Columns, start: int, count: int) -> int:
    """The last of those that the fewest posts are about; −1 of none."""
    rarest = -1
    for at in range(start, start + count):
        topic = columns.topics[at]
        if rarest < 0 or columns.about[topic] <= columns.about[rarest]:
            rarest = topic
    return rarest


@inner
def fill(
    columns: Columns,
    scratch: Scratch,
    moment: Moment,
    told: Told,
    post: int,
    out: NDArray[np.float32],
    row: int,
    first: int,
) -> None:
    """SIGNALS of a row, from column `first` on, but for those of `fill_own`. O(topics of the post)."""
    count, start, shares = int(columns.topic_count[post]), columns.topic_at[post], 0.0
    out[row, first] = count
    for at in range(first + 1, first + _COUNT):
        out[row, at] = np.nan
    if count == 0:
        return
    for at in range(start, start + count):
        shares += _share(told, scratch.cell[columns.topics[at]] - 1)
    number = scratch.cell[_rarest(columns, start, count)] - 1
    out[row, first + 1], out[row, first + 2] = _share(told, number), shares / count
    if number >= 0:
        _of_author(told, moment, number, out, row, first)


@compiled
def unmet_of(about: NDArray[np.int64]) -> NDArray[np.float64]:
    """Columns.unmet. O(topics)."""
    unmet = np.empty(len(about))
    for topic in range(len(about)):
        unmet[topic] = liking_of(0, about[topic])
    return unmet


@inner
def fill_own(
    columns: Columns,
    scratch: Scratch,
    now_hour: int,
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """From viewer_topic to viewer_topics_ago, of every row, in columns of `out`: what the viewer did with anything
    about it. O(topics)."""
    mean, of_rarest, ago, longest_ago = out[first + 8], out[first + 9], out[first + 10], out[first + 11]
    starts, counts, topics = columns.topic_at, columns.topic_count, columns.topics
    about, unmet, met, met_hour, liking = columns.about, columns.unmet, scratch.met, scratch.met_hour, scratch.liking
    last = len(posts) - 1
    for row in range(len(posts)):
        coming, later = posts[min(row + _AHEAD, last)], posts[min(row + 2 * _AHEAD, last)]
        prefetch(starts, later)
        prefetch(counts, later)
        prefetch(topics, starts[coming])
        count, start = int(counts[posts[row]]), starts[posts[row]]
        rarest, liked, longest, rarely = -1, 0.0, 0, 0.0
        for at in range(start, start + count):
            topic = topics[at]
            hour, likes = met_hour[topic], liking[topic] if met[topic] else unmet[topic]
            if rarest < 0 or about[topic] <= about[rarest]:
                rarest, rarely = topic, likes
            liked += likes
            longest = max(longest, now_hour - (hour - 1)) if hour > 0 and longest >= 0 else -1
        mean[row], of_rarest[row] = liked / count if count else np.nan, rarely if count else np.nan
        hour = met_hour[rarest] if count else 0
        ago[row] = max(now_hour - (hour - 1), 0) if hour > 0 else np.nan
        longest_ago[row] = longest if longest >= 0 and count else np.nan
