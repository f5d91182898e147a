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


class Told(NamedTuple):
    """What became of one author's posts, by number of the topic: fading sums over posts that were engaged with; `open`,
    `posts` and `met` count."""

    used: NDArray[np.int32]
    weight: NDArray[np.float64]
    mine: NDArray[np.float64]
    delay: NDArray[np.float64]
    last: NDArray[np.float64]
    open: NDArray[np.int64]
    posts: NDArray[np.int64]
    met: NDArray[np.int64]


@inner
def told_of(columns: Columns, scratch: Scratch, moment: Moment, posts: NDArray[np.int32]) -> Told:
    """And marks `cell`. O(topics of the posts)."""
    cell, most = scratch.cell, 0
    for post in posts:
        most += columns.topic_count[post]
    told = Told(
        np.empty(most, np.int32),
        np.zeros(most),
        np.zeros(most),
        np.zeros(most),
        np.full(most, -_INF),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
    )
    count = 0
    for post in posts:
        first = columns.first[post]
        known = first <= moment.now
        weight = 2.0 ** (-(moment.now - first) / _FADING_S) if known else 0.0
        delay = weight * np.log1p(hours(first - columns.created[post])) if known else 0.0
        for at in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            topic = columns.topics[at]
            if cell[topic] == 0:
                told.used[count] = topic
                count += 1
                cell[topic] = count
            number = cell[topic] - 1
            told.posts[number] += 1
            told.met[number] += known
            if known:
                told.weight[number] += weight
                told.mine[number] += weight * (scratch.own[post] > 0)
                told.delay[number] += delay
                told.last[number] = max(told.last[number], first)
            elif moment.now - columns.created[post] < 30 * DAY_S:
                told.open[number] += 1
    return Told(told.used[:count], told.weight, told.mine, told.delay, told.last, told.open, told.posts, told.met)


@inner
def forget(scratch: Scratch, told: Told) -> None:
    """Take back what `told_of` marked."""
    for topic in told.used:
        scratch.cell[topic] = 0


@inner
def _share(told: Told, number: int) -> float:
    return (told.mine[number] + 0.02) / (told.weight[number] + 0.1) if number >= 0 else 0.2


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
        row[3], row[6] = told.weight[number], told.open[number]
        row[7] = (told.met[number] + 1.0) / (told.posts[number] + 2.0)
        if told.weight[number] > 0.0:
            row[4], row[5] = told.delay[number] / told.weight[number], hours(moment.now - told.last[number])
    row[8] = liking / count
    row[9] = np.log((scratch.met[rarest] + 0.5) / (columns.about[rarest] + 5.0))
    if scratch.met_hour[rarest] > 0:
        row[10] = max(now_hour - (scratch.met_hour[rarest] - 1), 0)
    if longest >= 0:
        row[11] = longest
