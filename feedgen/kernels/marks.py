"""What is noted of posts and users while the feed of one viewer is made."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules
from feedgen.kernels.compiled import inner
from feedgen.kernels.picking import Keys, picked
from feedgen.kernels.rows import engagements_with, followees_of
from feedgen.kernels.tables import Table, place_of, table_for, value_of
from feedgen.prefetch import prefetch
from feedgen.state.engagement import AGAINST, BACK, HOUR_MASK, KIND_MASK, POST_SHIFT
from feedgen.state.lists import list_of
from feedgen.state.moments import time_of
from feedgen.state.returning import RETURNED

VIEWED: Final = 1
ENGAGED: Final = 2
GROWN: Final = 4
SEEN: Final = VIEWED | ENGAGED
"""Who engaged with a post has seen it."""
NEAR: Final = 1
RETURNS: Final = 2
_BITS: Final = 3
"""Of a noted post's value; above them stands a position in the list that is being built."""
_POST_MASK: Final = (1 << 32) - 1


class Marks(NamedTuple):
    """Scratch that one thread uses for viewer after viewer, and leaves clean after each. `near`: two bits a user, for
    whether the viewer follows them or is them, and whether such a one follows the viewer. `cell`: by (topic, number of
    topics), −1 or a position."""

    near: NDArray[np.uint8]
    cell: NDArray[np.int32]


class Past(NamedTuple):
    """What one viewer saw and did: posts `viewed` (and the last day of each), and those engaged with and not taken
    back (`favoured`), each once. `noted`: VIEWED, ENGAGED, GROWN of all of them; see bits_of."""

    viewed: NDArray[np.int32]
    day: NDArray[np.int64]
    favoured: NDArray[np.int32]
    noted: Table


@inner
def bits_of(noted: Table, post: int) -> int:
    """What is noted of a post; 0 of one that the viewer neither saw nor engaged with. O(1)."""
    return value_of(noted, post, 0) & (VIEWED | ENGAGED | GROWN)


@inner
def _note(noted: Table, place: int, post: int, bits: int, position: int) -> None:
    noted.entries[place, 0], noted.entries[place, 1] = post, bits | position << _BITS


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
def past_of(columns: Columns, rules: Rules, viewer: int) -> Past:
    """Posts that the viewer saw lately, and those engaged with. O(both)."""
    entries, engaged = list_of(columns.people.viewed, viewer), list_of(columns.people.engaged, viewer)
    noted = table_for(len(entries) + len(engaged))
    posts, days = _viewed(columns, rules, entries, noted)
    return Past(posts, days, _favoured(engaged, noted), noted)


@inner
def _viewed(
    columns: Columns, rules: Rules, entries: NDArray[np.int64], noted: Table
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Posts seen lately, each once, and its last day; notes them. Past the bound the latest, ties by id."""
    posts, days = np.empty(len(entries), np.int32), np.empty(len(entries), np.int64)
    count, since, cards = 0, rules.viewed_since, columns.cards.posts
    for entry in entries:
        if entry < since:
            continue
        post, day = entry & _POST_MASK, entry >> 32
        place = place_of(noted, post)
        if noted.entries[place, 0] == post:
            at = noted.entries[place, 1] >> _BITS
            days[at] = max(days[at], day)
        else:
            _note(noted, place, post, VIEWED, count)
            posts[count], days[count] = post, day
            count += 1
            prefetch(cards, post)  # for mark_grown
    posts, days = posts[:count], days[:count]
    if count <= rules.viewed_most:
        return posts, days
    kept = picked(Keys(-days.astype(np.float64), np.zeros(count), posts, columns.posts.names), rules.viewed_most)
    for post in posts:
        noted.entries[place_of(noted, post), 1] = 0
    posts, days = posts[kept], days[kept]
    for post in posts:
        noted.entries[place_of(noted, post), 1] = VIEWED
    return posts, days


@inner
def _favoured(entries: NDArray[np.int64], noted: Table) -> NDArray[np.int32]:
    """Posts engaged with and not taken back, each once; notes all ever engaged with."""
    posts, standing = np.empty(len(entries), np.int32), np.zeros(len(entries), np.int32)
    count = 0
    for entry in entries:
        post = entry >> POST_SHIFT
        place = place_of(noted, post)
        known = noted.entries[place, 0] == post
        bits = noted.entries[place, 1] & (VIEWED | ENGAGED) if known else 0
        if not bits & ENGAGED:
            _note(noted, place, post, bits | ENGAGED, count)
            posts[count] = post
            count += 1
        standing[noted.entries[place, 1] >> _BITS] += 1 - 2 * (entry & BACK)
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
    """Note posts of the network that were seen, left alone, and are much more talked about since."""
    noted, near, cards = past.noted, marks.near, columns.cards.posts
    least, times, posts, days = rules.grown_min, rules.grown_times, past.viewed, past.day
    for at in range(len(posts)):
        post, card = posts[at], cards[posts[at]]
        author = card.author
        if author < 0 or author == viewer or not near_bits(near, author) or card.favour < least:
            continue
        place = place_of(noted, post)
        if noted.entries[place, 1] & ENGAGED:
            continue
        after, whole = _after(engagements_with(columns, post), days[at])
        if after >= least and after >= times * (whole - after):
            noted.entries[place, 1] |= GROWN


@inner
def clean(columns: Columns, marks: Marks, viewer: int) -> None:
    """Take back what was marked for the viewer."""
    near = marks.near
    near[viewer >> 2] = 0
    for author in followees_of(columns, viewer):
        near[author >> 2] = 0
