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
    Scratch,
    Signal,
    delay_bin,
    hazard,
    hours,
)
from feedgen.ranking.groups.compiled import inner
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
    """What `fill` knows of one author: the values that all of the author's posts share, and `delays` by bin."""

    values: NDArray[np.float32]
    delays: NDArray[np.int64]


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
    columns: Columns, scratch: Scratch, moment: Moment, own_posts: NDArray[np.int32], authors: int
) -> NDArray[np.float64]:
    """Shape (authors, 2): engagements of each with the viewer's posts. O(those with the viewer's posts)."""
    back, now_hour = np.zeros((authors, 2)), int(moment.now // HOUR_S)
    for post in own_posts:
        if columns.engaged[post] <= _CROWD:
            _back_of(columns.by_post, scratch, post, now_hour, back)
    return back


@inner
def profile_of(
    columns: Columns, scratch: Scratch, moment: Moment, past: Past, posts: NDArray[np.int32], back: NDArray[np.float64]
) -> Profile:
    """Of the author of `posts`, as `read_posts` gives them. O(posts)."""
    sums, crowd = np.zeros(16), 0.0  # one array: making it is a part of what an author of few posts costs
    made, engaged_1h, met, mine, recent_mine = sums[:4], sums[4:8], sums[8:11], sums[11:14], sums[14:]
    delays, total, squares, count = np.zeros(DELAYS, np.int64), 0.0, 0.0, 0
    newest, last, last_mine, old, old_met = -_INF, -_INF, -1, 0, 0
    now_hour = int(moment.now // HOUR_S)
    for post in posts:
        age, first = moment.now - columns.created[post], columns.first[post]
        newest = columns.created[post]
        made[0] += age < 7 * DAY_S
        made[1] += age < 30 * DAY_S
        made[2] += age < 90 * DAY_S
        known = first <= moment.now
        made[3] += age < 30 * DAY_S and not known
        if 7 * DAY_S <= age < 90 * DAY_S:
            old += 1
            old_met += known
        if not known:
            continue
        ago, own = moment.now - first, scratch.own[post]
        last = max(last, columns.last[post])
        crowd += columns.engaged[post]
        delay = np.log1p(hours(first - columns.created[post]))
        delays[delay_bin(first - columns.created[post])] += 1
        total, squares, count = total + delay, squares + delay * delay, count + 1
        engaged_1h[0] += ago < HOUR_S
        engaged_1h[1] += ago < 6 * HOUR_S
        engaged_1h[2] += ago < DAY_S
        engaged_1h[3] += ago < 7 * DAY_S
        if own > 0:
            last_mine = max(last_mine, own - 1)
            recent_mine[0] += now_hour - (own - 1) <= 24
            recent_mine[1] += now_hour - (own - 1) <= 168
        if ago < 30 * DAY_S:
            met[0] += 1
            mine[0] += own > 0
        if ago < 90 * DAY_S:
            met[1] += 1
            mine[1] += own > 0
        met[2] += 1
        mine[2] += own > 0
    values = np.full(_COUNT, np.nan, np.float32)
    values[0:4] = made
    values[4] = hours(moment.now - newest) if newest > -_INF else np.nan
    values[5] = (old_met + 1.0) / (old + 2.0)
    values[7:11] = engaged_1h
    if count:
        mean = total / count
        values[6] = hours(moment.now - last)
        values[11] = crowd / count
        values[12] = mean
        values[13] = np.sqrt(max(squares / count - mean * mean, 0.0))
    for span in range(3):
        values[16 + span] = (mine[span] + 0.2 * _DRAWN) / (met[span] + _DRAWN)
    values[19] = mine[0] / (past.counts[2] + 1.0)
    values[20] = mine[1] / (past.counts[3] + 1.0)
    values[21] = max(now_hour - last_mine, 0) if last_mine >= 0 else np.nan
    values[22:24] = recent_mine
    values[24:26] = back
    return Profile(values, delays)


@inner
def fill(profile: Profile, past: Past, age_s: float, row: NDArray[np.float32]) -> None:
    """`row`: shape (SIGNALS,). O(1)."""
    row[:] = profile.values
    at = delay_bin(age_s)
    row[14] = hazard(profile.delays, at)
    row[15] = hazard(past.delays, at)
