"""The author, and what the viewer has to do with the author."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import (
    DAY_S,
    DELAYS,
    HOUR_S,
    Columns,
    Moment,
    Read,
    Scratch,
    Signal,
    add_up,
    bin_of,
    hazard,
    hours,
    read_posts,
)
from feedgen.ranking.groups.compiled import inner
from feedgen.ranking.groups.kept import BIN, NUMBER
from feedgen.ranking.groups.viewer import Past
from feedgen.state.engagement import AGAINST, BACK, HOUR_MASK, KIND_MASK, POST_SHIFT
from feedgen.state.lists import Spans, list_of

_INF: Final = float("inf")
COST: Final = "O(AUTHOR_POSTS) an author and O(engagements with the viewer's own posts), once; then O(1) a candidate"
SIGNALS: Final = (
    Signal("author_posts_7d", "posts", 0, 128, "never", "by the author within 7 days"),
    Signal("author_posts_30d", "posts", 0, 128, "never", "the same within 30 days"),
    Signal("author_posts_90d", "posts", 0, 128, "never", "the same within 90 days"),
    Signal("author_open", "posts", 0, 128, "never", "of those of 30 days, nobody engaged with yet"),
    Signal("author_idle", "h", 0, _INF, "no recent post", "since the author's newest post"),
    Signal("author_met", "share", 0, 1, "never", "of the author's posts 7 to 90 days old, somebody engaged with"),
    Signal("author_met_ago", "h", 0, _INF, "nobody engaged", "since anybody engaged with any of the author's posts"),
    Signal("author_met_1h", "posts", 0, 128, "never", "by the author, engaged with for the first time within an hour"),
    Signal("author_met_6h", "posts", 0, 128, "never", "the same within 6 hours"),
    Signal("author_met_1d", "posts", 0, 128, "never", "the same within a day"),
    Signal("author_met_7d", "posts", 0, 128, "never", "the same within 7 days"),
    Signal("author_crowd", "engagements", 0, _INF, "none engaged with", "a post of the author's that is engaged with"),
    Signal(
        "author_delay",
        "ln(1 + h)",
        0,
        20,
        "none engaged with",
        "mean age of the author's posts when first engaged with",
    ),
    Signal("author_spread", "ln(1 + h)", 0, 20, "none engaged with", "standard deviation of that"),
    Signal(
        "author_hazard",
        "share",
        0,
        1,
        "none so old",
        "of posts first engaged with as old as this or older, the share at this age",
    ),
    Signal("viewer_hazard", "share", 0, 1, "none so old", "the same of the posts the viewer engaged with"),
    Signal(
        "share_30d", "share", 0, 1, "never", "of posts first engaged with within 30 days, the viewer's (drawn to 0.2)"
    ),
    Signal("share_90d", "share", 0, 1, "never", "the same within 90 days"),
    Signal("share_365d", "share", 0, 1, "never", "the same within 365 days"),
    Signal("of_viewer_30d", "share", 0, 1, "never", "of what the viewer engaged with within 30 days, the author's"),
    Signal("of_viewer_90d", "share", 0, 1, "never", "the same within 90 days"),
    Signal("viewer_met_ago", "h", 0, _INF, "never engaged", "since the viewer engaged with the author"),
    Signal("viewer_met_1d", "posts", 0, 128, "never", "of the author's, the viewer engaged with within a day"),
    Signal("viewer_met_7d", "posts", 0, 128, "never", "the same within 7 days"),
    Signal("back_30d", "engagements", -_INF, _INF, "never", "of the author with the viewer's posts, within 30 days"),
    Signal("back_365d", "engagements", -_INF, _INF, "never", "the same within 365 days"),
)
_COUNT: Final = len(SIGNALS)
_DRAWN: Final = 0.5
"""Posts thought to have been engaged with, before there are any; a fifth of them by the viewer."""
_CROWD: Final = 1_000
"""Engagements with a post of the viewer's past which it is not read who they are."""


class Profile(NamedTuple):
    """What `fill` knows of one author: the values that all of the author's posts share, and `delays` for `hazard`."""

    values: NDArray[np.float32]
    delays: NDArray[np.int64]


@inner
def room_for_profile() -> Profile:
    """For one author after the other."""
    return Profile(np.zeros(_COUNT, np.float32), np.zeros(DELAYS + 2, np.int64))


@inner
def _back_of(by_post: Spans, scratch: Scratch, post: int, now_hour: int, back: NDArray[np.float64]) -> None:
    for value in list_of(by_post, post):
        slot = scratch.slot[value >> POST_SHIFT]
        if slot == 0 or value >> 1 & KIND_MASK >= AGAINST:
            continue
        age = now_hour - (value >> 5 & HOUR_MASK)
        back[slot - 1, 0] += (1 - 2 * (value & BACK)) * (age <= 720)
        back[slot - 1, 1] += (1 - 2 * (value & BACK)) * (age <= 8760)


@inner
def back_of(
    columns: Columns, scratch: Scratch, moment: Moment, read: Read, viewer: int, authors: int
) -> NDArray[np.float64]:
    """Shape (authors, 2): engagements of each with the viewer's posts. O(those with the viewer's posts)."""
    back, now_hour = np.zeros((authors, 2)), int(moment.now // HOUR_S)
    for at in range(read_posts(columns, scratch, moment, viewer, read)):
        post = read.posts[at]
        if columns.engaged[post] <= _CROWD:
            _back_of(columns.by_post, scratch, post, now_hour, back)
    return back


@inner
def _made(moment: Moment, read: Read, count: int, values: NDArray[np.float32]) -> None:
    """What becomes of the author's posts with time: from author_posts_7d to author_met."""
    week, month, quarter, old, old_met = 0, 0, 0, 0, 0
    for at in range(count):
        age = moment.now - read.created[at]
        week += age < 7 * DAY_S
        month += age < 30 * DAY_S
        quarter += age < 90 * DAY_S
        between = 7 * DAY_S <= age < 90 * DAY_S
        old += between
        old_met += between and read.first[at] <= moment.now
    values[0], values[1], values[2], values[3] = week, month, quarter, read.open_month[count] if count else 0
    values[4] = hours(moment.now - read.created[count - 1]) if count else np.nan
    values[5] = (old_met + 1.0) / (old + 2.0)


@inner
def _met(columns: Columns, moment: Moment, read: Read, count: int, profile: Profile) -> None:
    """From author_met_ago to author_spread, and the delays."""
    values, delays = profile.values, profile.delays
    last, crowd, total, squares, met = -_INF, 0.0, 0.0, 0.0, 0
    hour, quarter, day, week = 0, 0, 0, 0
    delays[:] = 0
    for at in range(count):
        if read.first[at] > moment.now:
            continue
        ago, delay, post = moment.now - read.first[at], read.delay[at], read.posts[at]
        last = max(last, columns.last[post])
        crowd += columns.engaged[post]
        delays[bin_of(delay)] += 1
        total, squares, met = total + delay, squares + delay * delay, met + 1
        hour += ago < HOUR_S
        quarter += ago < 6 * HOUR_S
        day += ago < DAY_S
        week += ago < 7 * DAY_S
    values[6], values[11], values[12], values[13] = np.nan, np.nan, np.nan, np.nan
    values[7], values[8], values[9], values[10] = hour, quarter, day, week
    if met:
        add_up(delays)
        mean = total / met
        values[6], values[11], values[12] = hours(moment.now - last), crowd / met, mean
        values[13] = np.sqrt(max(squares / met - mean * mean, 0.0))


@inner
def _mine(moment: Moment, past: Past, read: Read, count: int, values: NDArray[np.float32]) -> None:
    """From share_30d to viewer_met_7d."""
    now_hour, last, day, week = int(moment.now // HOUR_S), -1, 0, 0
    month, quarter, every, my_month, my_quarter, mine = 0, 0, 0, 0, 0, 0
    for at in range(count):
        if read.first[at] > moment.now:
            continue
        ago, own = moment.now - read.first[at], read.own[at]
        every += 1
        month += ago < 30 * DAY_S
        quarter += ago < 90 * DAY_S
        if own > 0:
            last = max(last, own - 1)
            day += now_hour - (own - 1) <= 24
            week += now_hour - (own - 1) <= 168
            mine += 1
            my_month += ago < 30 * DAY_S
            my_quarter += ago < 90 * DAY_S
    values[16] = (my_month + 0.2 * _DRAWN) / (month + _DRAWN)
    values[17] = (my_quarter + 0.2 * _DRAWN) / (quarter + _DRAWN)
    values[18] = (mine + 0.2 * _DRAWN) / (every + _DRAWN)
    values[19], values[20] = my_month / (past.counts[2] + 1.0), my_quarter / (past.counts[3] + 1.0)
    values[21] = max(now_hour - last, 0) if last >= 0 else np.nan
    values[22], values[23] = day, week


@inner
def profile_of(columns: Columns, moment: Moment, past: Past, read: Read, count: int, profile: Profile) -> None:
    """Of the author whose `count` posts were read. O(posts)."""
    _made(moment, read, count, profile.values)
    _met(columns, moment, read, count, profile)
    _mine(moment, past, read, count, profile.values)


@inner
def fill(profile: Profile, bin_: int, out: NDArray[np.float32], row: int, first: int) -> None:
    """SIGNALS of a row, from column `first` on, but for those of `fill_own`. `bin_`: of the post's age. O(1)."""
    for at in range(_COUNT):
        out[row, first + at] = profile.values[at]
    out[row, first + 14] = hazard(profile.delays, bin_)


@inner
def fill_own(
    past: Past, back: NDArray[np.float64], codes: NDArray[np.int32], out: NDArray[np.float32], first: int
) -> None:
    """viewer_hazard, back_30d and back_365d of every row, in columns of `out`. O(1) each."""
    hazards, month, year = out[first + 15], out[first + 24], out[first + 25]
    for row in range(len(codes)):
        number = codes[row, NUMBER]
        hazards[row] = hazard(past.delays, codes[row, BIN])
        month[row], year[row] = back[number, 0], back[number, 1]
