"""The viewer and the moment: the same for all candidates."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import (
    DAY_S,
    DELAYS,
    HOUR_S,
    Columns,
    Moment,
    Scratch,
    Signal,
    add_up,
    delay_bin,
    liking_of,
)
from feedgen.ranking.groups.compiled import inner
from feedgen.state.engagement import BACK, HOUR_MASK, POST_SHIFT
from feedgen.state.lists import list_of

_INF: Final = float("inf")
COST: Final = "O(posts the viewer engaged with, and their topics), once; then O(1) a candidate"
SIGNALS: Final = (
    Signal("hour", "h of day, UTC", 0, 24, "never", "when the feed is made"),
    Signal("weekday", "day, Monday 0", 0, 6, "never", "when the feed is made"),
    Signal("season", "day of 365.25", 0, 366, "never", "when the feed is made"),
    Signal("idle", "h", 0, _INF, "never engaged", "since the viewer engaged last"),
    Signal("viewer_1d", "posts", 0, _INF, "never", "the viewer engaged with within a day"),
    Signal("viewer_7d", "posts", 0, _INF, "never", "the same within 7 days"),
    Signal("viewer_30d", "posts", 0, _INF, "never", "the same within 30 days"),
    Signal("viewer_90d", "posts", 0, _INF, "never", "the same within 90 days"),
    Signal("viewer_ever", "posts", 0, _INF, "never", "the same, ever"),
    Signal("viewer_delay", "ln(1 + h)", 0, 20, "never engaged", "mean age of a post when the viewer engages, fading"),
    Signal("followees", "users", 0, _INF, "never", "whom the viewer follows"),
    Signal("candidates", "posts", 1, _INF, "never", "of the viewer, in stage two"),
)
_COUNT: Final = len(SIGNALS)
_FADING_DAYS: Final = 90.0
_FADING_UNIT: Final = 1024.0
_MONTH_HOURS: Final = 720
_SPANS_HOURS: Final = (24, 168, 720, 2160)


class Past(NamedTuple):
    """What the viewer engaged with. `since`: by hours ago up to 720, in how many posts' case the last engagement was no
    longer ago. `delays`: how old posts were then, fading, for `hazard`; `mean_delay` in ln(1 + h)."""

    entries: NDArray[np.int64]
    since: NDArray[np.int64]
    counts: NDArray[np.int64]
    idle: float
    delays: NDArray[np.int64]
    mean_delay: float


@inner
def _standing(entries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those not taken back, without the bit that says so."""
    some = False
    for entry in entries:
        some |= (entry & BACK) == BACK
    if not some:
        return entries
    ordered, kept = np.sort(entries), 0
    for at in range(len(ordered)):  # an entry and its taking back differ in the lowest bit only
        if ordered[at] & BACK:
            kept -= 1
        else:
            ordered[kept] = ordered[at]
            kept += 1
    return ordered[:kept]


@inner
def past_of(columns: Columns, scratch: Scratch, moment: Moment, viewer: int) -> Past:
    """And marks `own`, `met`, `met_hour`, `liking`. O(engagements of the viewer and their topics)."""
    entries = _standing(list_of(columns.engaged_by, viewer))
    own, met, met_hour = scratch.own, scratch.met, scratch.met_hour
    for entry in entries:
        post, hour = entry >> POST_SHIFT, (entry >> 5) & HOUR_MASK
        own[post] = max(own[post], hour + 1)
    now_hour = int(moment.now // HOUR_S)
    since, counts = np.zeros(_MONTH_HOURS + 1, np.int64), np.zeros(len(_SPANS_HOURS) + 1, np.int64)
    delays, weighted, weights, latest = np.zeros(DELAYS + 2, np.int64), 0.0, 0.0, -1
    for entry in entries:
        post, hour = entry >> POST_SHIFT, (entry >> 5) & HOUR_MASK
        if own[post] != hour + 1:
            continue
        own[post] = -own[post]  # counted
        age = max(now_hour - hour, 0)
        latest = max(latest, hour)
        since[min(age, _MONTH_HOURS)] += 1
        counts[len(_SPANS_HOURS)] += 1
        for span in range(len(_SPANS_HOURS)):
            counts[span] += age <= _SPANS_HOURS[span]
        for at in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            topic = columns.topics[at]
            met[topic] += 1
            met_hour[topic] = max(met_hour[topic], hour + 1)
        if columns.author[post] >= 0:
            weight = np.rint(_FADING_UNIT * 2.0 ** (-age / (24.0 * _FADING_DAYS)))
            bin_ = delay_bin((hour + 0.5) * HOUR_S - columns.created[post])
            delays[bin_] += int(weight)
            weighted += weight * bin_
            weights += weight
    for entry in entries:
        post = entry >> POST_SHIFT
        own[post] = abs(own[post])
        for at in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            topic = columns.topics[at]
            scratch.liking[topic] = liking_of(met[topic], columns.about[topic])
    add_up(delays)
    idle = float(max(now_hour - latest, 0)) if latest >= 0 else np.nan
    mean = (weighted / weights + 0.5) / 4.0 if weights > 0.0 else np.nan
    return Past(entries, np.cumsum(since), counts, idle, delays, mean)


@inner
def forget(columns: Columns, scratch: Scratch, past: Past) -> None:
    """Take back what `past_of` marked."""
    for entry in past.entries:
        post = entry >> POST_SHIFT
        scratch.own[post] = 0
        for at in range(columns.topic_at[post], columns.topic_at[post] + columns.topic_count[post]):
            scratch.met[columns.topics[at]] = 0
            scratch.met_hour[columns.topics[at]] = 0


@inner
def fill(moment: Moment, past: Past, followees: int, out: NDArray[np.float32], first: int) -> None:
    """SIGNALS of all rows, in columns of `out` from `first` on. O(rows)."""
    values, now = np.empty(_COUNT, np.float32), moment.now
    values[0] = now % DAY_S / HOUR_S
    values[1] = (now // DAY_S + 3.0) % 7.0
    values[2] = now / DAY_S % 365.25
    values[3] = past.idle
    values[4:9] = past.counts
    values[9] = past.mean_delay
    values[10] = followees
    values[11] = out.shape[1]
    for at in range(_COUNT):
        out[first + at] = values[at]
