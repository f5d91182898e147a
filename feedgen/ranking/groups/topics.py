"""What the post is about: what became of the author's posts about the same, and what the viewer did with it."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import DAY_S, HOUR_S, Columns, Moment, Scratch, Signal, hours
from feedgen.ranking.groups.compiled import inner

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
_FADING_S: Final = 60.0 * DAY_S
_COUNT: Final = len(SIGNALS)


_WEIGHT, _MINE, _DELAY, _LAST, _OPEN, _POSTS, _MET = range(7)


class Told(NamedTuple):
    """What became of one author's posts. `used`: the topics, by number. `sums`: shape (topics, 7), one array as it is
    made anew for each author: fading sums over posts that were engaged with (_WEIGHT, the viewer's: _MINE, _DELAY),
    when one was first engaged with last (_LAST, s), and counts (_OPEN, _POSTS, _MET)."""

    used: NDArray[np.int32]
    sums: NDArray[np.float64]


@inner
def told_of(columns: Columns, scratch: Scratch, moment: Moment, posts: NDArray[np.int32]) -> Told:
    """And marks `cell`. O(topics of the posts)."""
    cell, most = scratch.cell, 0
    for post in posts:
        most += columns.topic_count[post]
    used, sums, count = np.empty(most, np.int32), np.empty((most, 7)), 0
    for post in posts:
        first = columns.first[post]
        known = first <= moment.now
        weight = 2.0 ** (-(moment.now - first) / _FADING_S) if known else 0.0
        delay = weight * np.log1p(hours(first - columns.created[post])) if known else 0.0
        for at in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            topic = columns.topics[at]
            if cell[topic] == 0:
                used[count] = topic
                sums[count] = 0.0
                sums[count, _LAST] = -_INF
                count += 1
                cell[topic] = count
            number = cell[topic] - 1
            row = sums[number]
            row[_POSTS] += 1
            row[_MET] += known
            if known:
                row[_WEIGHT] += weight
                row[_MINE] += weight * (scratch.own[post] > 0)
                row[_DELAY] += delay
                row[_LAST] = max(row[_LAST], first)
            elif moment.now - columns.created[post] < 30 * DAY_S:
                row[_OPEN] += 1
    return Told(used[:count], sums)


@inner
def forget(scratch: Scratch, told: Told) -> None:
    """Take back what `told_of` marked."""
    for topic in told.used:
        scratch.cell[topic] = 0


@inner
def _share(told: Told, number: int) -> float:
    return (told.sums[number, _MINE] + 0.02) / (told.sums[number, _WEIGHT] + 0.1) if number >= 0 else 0.2


@inner
def fill(columns: Columns, scratch: Scratch, moment: Moment, told: Told, post: int, row: NDArray[np.float32]) -> None:
    """`row`: shape (SIGNALS,). O(topics of the post)."""
    row[:] = np.nan
    count = int(columns.topic_count[post])
    row[0] = count
    if count == 0:
        return
    now_hour, rarest, shares, liking, longest = int(moment.now // HOUR_S), -1, 0.0, 0.0, 0
    start = columns.topic_at[post]
    for at in range(start, start + count):
        topic = columns.topics[at]
        if rarest < 0 or columns.about[topic] <= columns.about[rarest]:
            rarest = topic
        shares += _share(told, scratch.cell[topic] - 1)
        liking += np.log((scratch.met[topic] + 0.5) / (columns.about[topic] + 5.0))
        hour = scratch.met_hour[topic]
        longest = max(longest, now_hour - (hour - 1)) if hour > 0 and longest >= 0 else -1
    number = scratch.cell[rarest] - 1
    row[1], row[2] = _share(told, number), shares / count
    if number >= 0:
        sums = told.sums[number]
        row[3], row[6] = sums[_WEIGHT], sums[_OPEN]
        row[7] = (sums[_MET] + 1.0) / (sums[_POSTS] + 2.0)
        if sums[_WEIGHT] > 0.0:
            row[4], row[5] = sums[_DELAY] / sums[_WEIGHT], hours(moment.now - sums[_LAST])
    row[8] = liking / count
    row[9] = np.log((scratch.met[rarest] + 0.5) / (columns.about[rarest] + 5.0))
    if scratch.met_hour[rarest] > 0:
        row[10] = max(now_hour - (scratch.met_hour[rarest] - 1), 0)
    if longest >= 0:
        row[11] = longest
