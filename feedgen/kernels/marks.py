"""Scratch by post and by user that one thread uses for viewer after viewer, and leaves clean after each."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.picking import Keys, picked
from feedgen.kernels.rows import engagements_with, followees_of
from feedgen.prefetch import prefetch
from feedgen.state.engagement import AGAINST, BACK, HOUR_MASK, KIND_MASK, POST_SHIFT
from feedgen.state.lists import list_of
from feedgen.state.moments import time_of
from feedgen.state.returning import RETURNED

VIEWED: Final = 1
ENGAGED: Final = 2
GROWN: Final = 4
TAKEN: Final = 8
SEEN: Final = VIEWED | ENGAGED
"""Who engaged with a post has seen it."""
NEAR: Final = 1
RETURNS: Final = 2
_POST_MASK: Final = (1 << 32) - 1


class Marks(NamedTuple):
    """`post`: bits by post. `place`: by post, a position in a list being built. `near`: two bits a user, for whether
    the viewer follows them or is them, and whether such a one follows the viewer. `slot`: by user, −1 or the number of
    a candidate's author. `cell`: by (topic, number of topics), −1 or a position."""

    post: NDArray[np.uint8]
    place: NDArray[np.int32]
    near: NDArray[np.uint8]
    slot: NDArray[np.int32]
    cell: NDArray[np.int32]


class Past(NamedTuple):
    """What one viewer saw and did: posts `viewed` (and the last day of each), and those engaged with and not taken
    back (`favoured`), each once."""

    viewed: NDArray[np.int32]
    day: NDArray[np.int64]
    favoured: NDArray[np.int32]


@inner
def times_of(columns: Columns, viewer: int) -> NDArray[np.float64]:
    """When each followee of the viewer was followed (s)."""
    codes, exact = columns.people.since
    card = columns.cards.users[viewer]
    times = np.empty(card.followees)
    for at in range(len(times)):
        times[at] = time_of(np.int64(codes[card.followees_at + at]), exact)
    return times


@inner
def near_bits(near: NDArray[np.uint8], user: int) -> int:
    """What `near` says of a user."""
    return np.int64(near[user >> 2]) >> 2 * (np.int64(user) & 3) & (NEAR | RETURNS)


@inner
def mark_near(columns: Columns, marks: Marks, viewer: int) -> None:
    """Set `near` of the viewer and of whom the viewer follows: NEAR, and RETURNS of those who follow back."""
    near, users, followees = marks.near, columns.cards.users, followees_of(columns, viewer)
    returned = columns.people.returned[users[viewer].followees_at :]
    near[viewer >> 2] |= np.uint8(NEAR << 2 * (viewer & 3))
    for at in range(len(followees)):
        bits = NEAR | RETURNS * (returned[at] >= np.uint32(RETURNED))
        near[followees[at] >> 2] |= np.uint8(bits << 2 * (followees[at] & 3))
        prefetch(users, followees[at])  # for network.network_of


@inner
def _clear_near(columns: Columns, marks: Marks, viewer: int) -> None:
    near = marks.near
    near[viewer >> 2] = 0
    for author in followees_of(columns, viewer):
        near[author >> 2] = 0


@inner
def viewed(columns: Columns, marks: Marks, rules: Rules, viewer: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Posts the viewer saw lately, each once, and its last day; marks them. Past the bound the latest, ties by id."""
    entries = list_of(columns.people.viewed, viewer)
    posts, days = np.empty(len(entries), np.int32), np.empty(len(entries), np.int64)
    count, since, mark, place = 0, rules.viewed_since, marks.post, marks.place
    for entry in entries:
        if entry < since:
            continue
        post, day = entry & _POST_MASK, entry >> 32
        if mark[post] & VIEWED:
            days[place[post]] = max(days[place[post]], day)
        else:
            mark[post] |= VIEWED
            place[post] = count
            posts[count], days[count] = post, day
            count += 1
    posts, days = posts[:count], days[:count]
    if count <= rules.viewed_most:
        return posts, days
    kept = picked(Keys(-days.astype(np.float64), np.zeros(count), posts, columns.posts.names), rules.viewed_most)
    for post in posts:
        mark[post] &= ~VIEWED & 255
    posts, days = posts[kept], days[kept]
    for post in posts:
        mark[post] |= VIEWED
    return posts, days


@inner
def favoured(columns: Columns, marks: Marks, viewer: int) -> NDArray[np.int32]:
    """Posts the viewer engaged with and did not take back, each once; marks all ever engaged with."""
    entries = list_of(columns.people.engaged, viewer)
    posts, standing = np.empty(len(entries), np.int32), np.zeros(len(entries), np.int32)
    count, mark, place = 0, marks.post, marks.place
    for entry in entries:
        post = entry >> POST_SHIFT
        if not mark[post] & ENGAGED:
            mark[post] |= ENGAGED
            place[post] = count
            posts[count] = post
            count += 1
        standing[place[post]] += 1 - 2 * (entry & BACK)
    return posts[:count][standing[:count] > 0]


@inner
def _after(engagements: NDArray[np.int64], day: int) -> tuple[int, int]:
    """Standing engagements in favour of a post, of all it has: those on days after `day`, and all."""
    after, whole = 0, 0
    for value in engagements:
        if value >> 1 & KIND_MASK < AGAINST:
            sign = 1 - 2 * (value & BACK)
            whole += sign
            after += sign if (value >> 5 & HOUR_MASK) // 24 > day else 0
    return after, whole


@inner
def mark_grown(columns: Columns, marks: Marks, rules: Rules, viewer: int, past: Past) -> None:
    """Mark posts of the network that were seen, left alone, and are much more talked about since."""
    mark, near, cards = marks.post, marks.near, columns.cards.posts
    least, times, posts, days = rules.grown_min, rules.grown_times, past.viewed, past.day
    for at in range(len(posts)):
        post, card = posts[at], cards[posts[at]]
        author = card.author
        if author < 0 or author == viewer or not near_bits(near, author) or mark[post] & ENGAGED or card.favour < least:
            continue
        after, whole = _after(engagements_with(columns, post), days[at])
        if after >= least and after >= times * (whole - after):
            mark[post] |= GROWN


@inner
def clean(columns: Columns, marks: Marks, viewer: int, past: Past) -> None:
    """Take back what was marked for the viewer; candidates and slots are left to who set them."""
    _clear_near(columns, marks, viewer)
    mark = marks.post
    for post in past.viewed:
        mark[post] = 0
    for entry in list_of(columns.people.engaged, viewer):
        mark[entry >> POST_SHIFT] = 0
