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
_INT_BYTES: Final = 8


class Source(NamedTuple):
    """What records are written from. Few columns: handing an array to a kernel costs a third of a microsecond."""

    cards: Cards
    items: Names
    people: Names


class Feed(NamedTuple):
    """A feed by place: the posts, their scores, who named them first, and whether each was drawn from further down."""

    posts: NDArray[np.int32]
    scores: NDArray[np.float64]
    origin: NDArray[np.uint8]
    explored: NDArray[np.bool_]


class Packed(NamedTuple):
    """The parts of feed.record.Bulk by viewer, and by place; shape (viewers, items) unless said.

    `ids`: int64 (viewers, 2, 4): of items and of authors the parts of feed.ids.PackedIds: kind (place in KINDS), width,
    and where the data begins and ends in the arena; `ends`: uint32 (viewers, 2, items). `authors`: how many distinct;
    `author_of`: their numbers, uint16, and `author_of_8`: the same in 8 bits. `whole`: `seconds` holds `created`;
    `finite`: every score is, as float32. `explored`: bits, shape (viewers, items / 8).
    """

    ids: NDArray[np.int64]
    ends: NDArray[np.uint32]
    authors: NDArray[np.int64]
    author_of: NDArray[np.uint16]
    author_of_8: NDArray[np.uint8]
    scores: NDArray[np.float32]
    finite: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    seconds: NDArray[np.uint32]
    created: NDArray[np.float64]
    origin: NDArray[np.uint8]
    explored: NDArray[np.uint8]


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


@inner
def _pack_codes(
    cards: Any, ids: NDArray[np.int32], form: int, data: NDArray[np.uint8], ends: NDArray[np.uint32]
) -> tuple[int, int, int]:
    """As `pack_ids`, from the codes, which all have this form. `data`: 8 bytes an id, of which the last may not be
    needed."""
    put, fixed, width = 0, True, _INT_BYTES if form == CODED_INT else form
    for at in range(len(ids)):
        card = cards[ids[at]]
        store_code(data, put, card.code)
        put += np.int64(card.form) - SHORT if form == SHORT else width
        ends[at] = put
        fixed &= put == (at + 1) * np.int64(ends[0])
    if form == SHORT:
        return (FIXED, np.int64(ends[0]), put) if fixed else (ARENA, 0, put)
    return INT if form == CODED_INT else HEX, width, put


@compiled
def pack_names(
    cards: Any, names: Names, ids: NDArray[np.int32], arena: NDArray[np.uint8], used: int, parts: Any, ends: Any
) -> tuple[NDArray[np.uint8], int]:
    """Behind what is `used` of the arena, or of a larger copy of it. `cards`: of posts, or of users; `parts`: see
    Packed.ids."""
    form = _form_of(cards, ids)
    wanted = used + (_room_for(names, ids) if form == LONG else _INT_BYTES * len(ids))
    if wanted > len(arena):
        larger = np.empty(2 * wanted, np.uint8)
        larger[:used] = arena[:used]
        arena = larger
    if form == LONG:
        kind, width, written = pack_ids(names, ids, arena[used:], ends)
    else:
        kind, width, written = _pack_codes(cards, ids, form, arena[used:], ends)
    parts[0], parts[1], parts[2], parts[3] = kind, width, used, used + written
    return arena, used + written


@inner
def _pack_bits(values: NDArray[np.bool_], into: NDArray[np.uint8]) -> None:
    """Eight to a byte, the first in the lowest bit."""
    for byte in range((len(values) + 7) // 8):
        bits = 0
        for place in range(8 * byte, min(8 * byte + 8, len(values))):
            bits |= values[place] << (place & 7)
        into[byte] = np.uint8(bits)


@compiled
def pack(
    source: Source,
    slots: NDArray[np.int32],
    feed: Feed,
    row: int,
    arena: NDArray[np.uint8],
    used: int,
    into: Packed,
) -> tuple[NDArray[np.uint8], int]:
    """The record of one feed; see mixing.mix for the arena, of which so much is `used`. O(items)."""
    posts, authors, distinct = feed.posts, np.empty(len(feed.posts), np.int32), 0
    author_of, scores, created = into.author_of[row], into.scores[row], into.created[row]
    whole, finite = True, True
    for place in range(len(posts)):
        card = source.cards.posts[posts[place]]
        author = card.author
        if slots[author] < 0:
            slots[author] = distinct
            authors[distinct] = author
            distinct += 1
        author_of[place] = slots[author]
        at = card.created
        created[place] = at
        whole &= 0.0 <= at < 4294967296.0 and at == np.floor(at)
        scores[place] = feed.scores[place]
        finite &= np.isfinite(scores[place])
    for place in range(len(posts)):
        into.author_of_8[row, place] = np.uint8(author_of[place] & 255)
        into.origin[row, place] = feed.origin[place]
    _pack_bits(feed.explored, into.explored[row])
    for place in range(len(posts) if whole else 0):
        into.seconds[row, place] = np.uint32(created[place])
    for author in authors[:distinct]:
        slots[author] = -1
    into.authors[row], into.whole[row], into.finite[row] = distinct, whole, finite
    arena, used = pack_names(source.cards.posts, source.items, posts, arena, used, into.ids[row, 0], into.ends[row, 0])
    people = authors[:distinct]
    return pack_names(source.cards.users, source.people, people, arena, used, into.ids[row, 1], into.ends[row, 1])
