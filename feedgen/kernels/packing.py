"""The columns of a feed record from dense indices: what feed.record and feed.ids define, without a str an item."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import Cards
from feedgen.kernels.codes import INT as CODED_INT
from feedgen.kernels.codes import LONG, NO_DIGIT, SHORT, as_int, digit_of
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.storing import store_code
from feedgen.prefetch import prefetch
from feedgen.state.symbols import Names

KINDS: Final = ("int", "hex", "fixed", "arena")
INT, HEX, FIXED, ARENA = 0, 1, 2, 3
PARTS: Final = 9
FACTS: Final = 8
_INT_BYTES: Final = 8
_ITEM_BYTES: Final = 8 + 4 + 4 + 4 + 2 + 1 + 1
"""What an item and its author take beside their ids, at most."""
_ALIGNED: Final = 8


class Source(NamedTuple):
    """What records are written from. Few columns: handing an array to a kernel costs a third of a microsecond."""

    cards: Cards
    items: Names
    people: Names


class Feed(NamedTuple):
    """A feed by place: the posts, when they were created, the number of each one's author among `authors`, the scores,
    who named them first, and bits for those drawn from further down, the first in the lowest bit."""

    posts: NDArray[np.int32]
    created: NDArray[np.float64]
    author_of: NDArray[np.int32]
    authors: NDArray[np.int32]
    scores: NDArray[np.float64]
    origin: NDArray[np.uint8]
    explored: NDArray[np.uint8]


class Packed(NamedTuple):
    """The parts of feed.record.Bulk in one arena, by viewer.

    `cuts`: int64 (viewers, PARTS + 1): where each part begins there, and the last one ends. In order: created, scores,
    ends of items, ends of authors, author_of, reason_of, explored, data of items, data of authors. `facts`: int64
    (viewers, FACTS): how many items and authors; kind (place in KINDS) and width of items, and of authors; whether
    `created` is in whole seconds (uint32), and whether every score is finite as float32.
    """

    cuts: NDArray[np.int64]
    facts: NDArray[np.int64]


@inner
def _as_hex(names: Names, ids: NDArray[np.int32], data: NDArray[np.uint8]) -> int:
    """Bytes written, if all are of one even length and nothing but lower-case hexadecimal digits; else −1."""
    width, put = names.bounds[ids[0] + 1] - names.bounds[ids[0]], 0
    if not width or width % 2:
        return -1
    for one in ids:
        at, end = names.bounds[one], names.bounds[one + 1]
        if end - at != width:
            return -1
        while at < end:
            high, low = digit_of(names.data[at]), digit_of(names.data[at + 1])
            if high == NO_DIGIT or low == NO_DIGIT:
                return -1
            data[put] = high << 4 | low
            put += 1
            at += 2
    return put


@inner
def _as_ints(names: Names, ids: NDArray[np.int32], data: NDArray[np.uint8]) -> int:
    """Bytes written, if each is the one decimal form of an int64; else −1."""
    put = 0
    for one in ids:
        fits, value = as_int(names.data, names.bounds[one], names.bounds[one + 1])
        if not fits:
            return -1
        for shift in range(0, 8 * _INT_BYTES, 8):
            data[put] = np.uint8(value >> shift & 255)
            put += 1
    return put


@inner
def _as_text(names: Names, ids: NDArray[np.int32], data: NDArray[np.uint8], ends: NDArray[np.uint32]) -> bool:
    """UTF-8, one after the other; whether all are of one length."""
    put, fixed = 0, True
    for at in range(len(ids)):
        start, end = names.bounds[ids[at]], names.bounds[ids[at] + 1]
        for place in range(start, end):
            data[put] = names.data[place]
            put += 1
        ends[at] = put
        fixed &= end - start == ends[0]
    return fixed


@inner
def pack_ids(
    names: Names, ids: NDArray[np.int32], data: NDArray[np.uint8], ends: NDArray[np.uint32]
) -> tuple[int, int, int]:
    """The tightest form of these ids, as feed.ids.pack_ids has it: kind, width, bytes written. O(total bytes)."""
    if not len(ids):
        return FIXED, 0, 0
    put = _as_hex(names, ids, data)
    if 0 <= put <= _INT_BYTES * len(ids):
        return HEX, put // len(ids), put
    if _as_ints(names, ids, data) >= 0:
        return INT, _INT_BYTES, _INT_BYTES * len(ids)
    if put >= 0:
        _as_hex(names, ids, data)  # the attempt before has written over it
        return HEX, put // len(ids), put
    if _as_text(names, ids, data, ends):
        return FIXED, np.int64(ends[0]), np.int64(ends[len(ids) - 1])
    return ARENA, 0, np.int64(ends[len(ids) - 1])


@inner
def _room_for(names: Names, ids: NDArray[np.int32]) -> int:
    """Bytes that any form of these ids fits in; has them fetched, as packing waits for each otherwise."""
    text = 0
    for one in ids:
        start = names.bounds[one]
        text += names.bounds[one + 1] - start
        prefetch(names.data, start)
    return max(text, _INT_BYTES * len(ids))


@inner
def _form_of(cards: Any, ids: NDArray[np.int32]) -> int:
    """The form of codes that all of them have, SHORT where their lengths differ; LONG for none."""
    form = cards[ids[0]].form if len(ids) else np.uint8(LONG)
    least, other = form, False
    for one in ids:
        least = min(least, cards[one].form)
        other |= cards[one].form != form
    if least >= SHORT:
        return SHORT
    return np.int64(LONG) if other else np.int64(form)


@compiled
def measured(cards: Any, names: Names, ids: NDArray[np.int32]) -> tuple[int, int]:
    """The form of these ids' codes, and the bytes that `pack_names` may need. `cards`: of posts, or of users."""
    form = _form_of(cards, ids)
    return form, _room_for(names, ids) if form == LONG else _INT_BYTES * len(ids)


@inner
def _pack_short(
    cards: Any, ids: NDArray[np.int32], data: NDArray[np.uint8], ends: NDArray[np.uint32]
) -> tuple[int, int, int]:
    put, fixed = 0, True
    first = cards[ids[0]].form
    for at in range(len(ids)):
        card = cards[ids[at]]
        store_code(data, put, card.code)
        put += np.int64(card.form) - SHORT
        ends[at] = put
        fixed &= card.form == first
    return (FIXED, np.int64(first) - SHORT, put) if fixed else (ARENA, 0, put)


@compiled
def pack_names(
    cards: Any, names: Names, ids: NDArray[np.int32], form: int, data: NDArray[np.uint8], ends: NDArray[np.uint32]
) -> tuple[int, int, int]:
    """As `pack_ids`, from codes where they have a form in common: see `measured`, also for the length of `data`. `ends`
    are set where the kind is ARENA."""
    if form == LONG:
        return pack_ids(names, ids, data, ends)
    if form == SHORT:
        return _pack_short(cards, ids, data, ends)
    width = _INT_BYTES if form == CODED_INT else form
    for at in range(len(ids)):
        store_code(data, at * width, cards[ids[at]].code)
    return INT if form == CODED_INT else HEX, width, len(ids) * width


@inner
def _numbered(feed: Feed, author_of: NDArray[np.uint16]) -> NDArray[np.int32]:
    """The authors in the order in which they come; by place the number of each one in that."""
    number, people = np.full(len(feed.authors), -1, np.int32), np.empty(len(feed.authors) + 1, np.int32)
    distinct = 0
    for place in range(len(feed.posts)):  # without a branch: which author is new cannot be guessed
        author = feed.author_of[place]
        known = number[author]
        people[distinct] = feed.authors[author]
        number[author] = known if known >= 0 else distinct
        author_of[place] = number[author]
        distinct += known < 0
    return people[:distinct]


@inner
def _whole(created: NDArray[np.float64]) -> bool:
    whole = True
    for at in created:
        whole &= (at >= 0.0) & (at < 4294967296.0) & (at == np.floor(at))
    return whole


@inner
def _copy(values: Any, into: Any) -> None:
    for place in range(len(values)):
        into[place] = values[place]


@inner
def _cut(cuts: NDArray[np.int64], start: int, sizes: tuple[int, ...]) -> int:
    """Where parts of these sizes begin, one behind the other; where the next one does."""
    for part in range(len(sizes)):
        cuts[part] = start
        start += sizes[part]
    cuts[len(sizes)] = start
    return start


@inner
def _store_scores(scores: NDArray[np.float64], into: NDArray[np.float32]) -> bool:
    """Whether all are finite there."""
    finite = True
    for place in range(len(scores)):
        into[place] = scores[place]
        finite &= np.isfinite(into[place])
    return finite


@inner
def _with_room(arena: NDArray[np.uint8], used: int, more: int) -> NDArray[np.uint8]:
    if used + more <= len(arena):
        return arena
    larger = np.empty(2 * (used + more), np.uint8)
    larger[:used] = arena[:used]
    return larger


@compiled
def pack(
    source: Source, feed: Feed, row: int, arena: NDArray[np.uint8], used: int, into: Packed
) -> tuple[NDArray[np.uint8], int]:
    """The record of one feed behind what is `used` of the arena, or of a larger copy of it. O(items)."""
    count, cuts, facts = len(feed.posts), into.cuts[row], into.facts[row]
    author_of = np.empty(count, np.uint16)
    people = _numbered(feed, author_of)
    form, room = measured(source.cards.posts, source.items, feed.posts)
    people_form, people_room = measured(source.cards.users, source.people, people)
    start = (used + _ALIGNED - 1) // _ALIGNED * _ALIGNED
    arena = _with_room(arena, start, _ITEM_BYTES * count + _ALIGNED + room + people_room)
    whole, narrow = _whole(feed.created), len(people) <= 256
    times, each = count * (4 if whole else 8), count * (1 if narrow else 2)
    start = _cut(cuts, start, (times, 4 * count, 4 * count, 4 * len(people), each, count, len(feed.explored)))
    if whole:
        _copy(feed.created, arena[cuts[0] : cuts[1]].view(np.uint32))
    else:
        _copy(feed.created, arena[cuts[0] : cuts[1]].view(np.float64))
    finite = _store_scores(feed.scores, arena[cuts[1] : cuts[2]].view(np.float32))
    ends, people_ends = arena[cuts[2] : cuts[3]].view(np.uint32), arena[cuts[3] : cuts[4]].view(np.uint32)
    if narrow:
        _copy(author_of, arena[cuts[4] : cuts[5]])
    else:
        _copy(author_of, arena[cuts[4] : cuts[5]].view(np.uint16))
    _copy(feed.origin, arena[cuts[5] : cuts[6]])
    _copy(feed.explored, arena[cuts[6] : cuts[7]])
    kind, width, written = pack_names(source.cards.posts, source.items, feed.posts, form, arena[start:], ends)
    start = cuts[8] = start + written
    facts[0], facts[2], facts[3] = count, kind, width
    users = source.cards.users
    kind, width, written = pack_names(users, source.people, people, people_form, arena[start:], people_ends)
    cuts[PARTS] = start + written
    facts[1], facts[4], facts[5], facts[6], facts[7] = len(people), kind, width, whole, finite
    return arena, start + written
