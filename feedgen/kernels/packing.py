"""The columns of a feed record from dense indices: what feed.record and feed.ids define, without a str an item."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled
from feedgen.state.symbols import Names

KINDS: Final = ("int", "hex", "fixed", "arena")
INT, HEX, FIXED, ARENA = 0, 1, 2, 3
_NO_DIGIT: Final = 255
_INT_BYTES: Final = 8


class Ids(NamedTuple):
    """The parts of feed.ids.PackedIds; `kind` is a place in KINDS."""

    kind: int
    width: int
    data: NDArray[np.uint8]
    ends: NDArray[np.uint32]


class Source(NamedTuple):
    """What the records are written from: few columns, as a call from Python costs 1 µs for each three."""

    author: NDArray[np.int32]
    created: NDArray[np.float64]
    items: Names
    people: Names


class Feed(NamedTuple):
    """A feed by place: the posts, their scores, and whether each was drawn from further down."""

    posts: NDArray[np.int32]
    scores: NDArray[np.float64]
    explored: NDArray[np.bool_]


class Packed(NamedTuple):
    """The parts of feed.record.Bulk. `whole`: `seconds` holds `created`; `finite`: every score is, as float32."""

    items: Ids
    authors: Ids
    author_count: int
    author_of: NDArray[np.uint16]
    scores: NDArray[np.float32]
    finite: bool
    whole: bool
    seconds: NDArray[np.uint32]
    created: NDArray[np.float64]
    explored: NDArray[np.uint8]


@compiled
def _digit(byte: int) -> int:
    if 48 <= byte <= 57:
        return np.int64(byte) - 48
    return np.int64(byte) - 87 if 97 <= byte <= 102 else _NO_DIGIT


@compiled
def _as_hex(names: Names, ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """If all are of one even length and nothing but lower-case hexadecimal digits: half the bytes. Else none."""
    none = np.empty(0, np.uint8)
    if not len(ids):
        return none
    width = names.bounds[ids[0] + 1] - names.bounds[ids[0]]
    if not width or width % 2:
        return none
    data, put = np.empty(len(ids) * width // 2, np.uint8), 0
    for one in ids:
        at, end = names.bounds[one], names.bounds[one + 1]
        if end - at != width:
            return none
        while at < end:
            high, low = _digit(names.data[at]), _digit(names.data[at + 1])
            if high == _NO_DIGIT or low == _NO_DIGIT:
                return none
            data[put] = high << 4 | low
            put += 1
            at += 2
    return data


@compiled
def _as_int(names: Names, one: int) -> tuple[bool, int]:
    """The value, if the id is the one decimal form of an int64."""
    at, end = names.bounds[one], names.bounds[one + 1]
    negative = at < end and names.data[at] == 45
    at += negative
    if end - at < 1 or end - at > 19 or (names.data[at] == 48 and (end - at > 1 or negative)):
        return False, 0
    value = np.uint64(0)
    while at < end:
        digit = _digit(names.data[at])
        if digit > 9:
            return False, 0
        value = value * np.uint64(10) + np.uint64(digit)
        at += 1
    if value > np.uint64(9223372036854775807) + np.uint64(negative):
        return False, 0
    return True, -np.int64(value) if negative else np.int64(value)


@compiled
def _as_ints(names: Names, ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    values = np.empty(len(ids), np.int64)
    for at in range(len(ids)):
        fits, values[at] = _as_int(names, ids[at])
        if not fits:
            return np.empty(0, np.uint8)
    return values.view(np.uint8)


@compiled
def pack_ids(names: Names, ids: NDArray[np.int32]) -> Ids:
    """The tightest form of these ids, as feed.ids.pack_ids has it. O(total bytes)."""
    ends = np.empty(len(ids), np.uint32)
    digits = _as_hex(names, ids)
    if len(digits) and len(digits) <= _INT_BYTES * len(ids):
        return Ids(HEX, len(digits) // len(ids), digits, ends[:0])
    values = _as_ints(names, ids)
    if len(values):
        return Ids(INT, _INT_BYTES, values, ends[:0])
    if len(digits):
        return Ids(HEX, len(digits) // len(ids), digits, ends[:0])
    total, fixed = 0, True
    for at in range(len(ids)):
        total += names.bounds[ids[at] + 1] - names.bounds[ids[at]]
        ends[at] = total
    data = np.empty(total, np.uint8)
    for at in range(len(ids)):
        start, first = names.bounds[ids[at]], ends[at - 1] if at else 0
        fixed &= ends[at] - first == ends[0]
        for place in range(first, ends[at]):
            data[place] = names.data[start + place - first]
    if fixed:
        return Ids(FIXED, ends[0] if len(ids) else 0, data, ends[:0])
    return Ids(ARENA, 0, data, ends)


@compiled
def pack(source: Source, slots: NDArray[np.int32], feed: Feed) -> Packed:
    """The record of one feed; `slots`: scratch by user, all −1. O(items)."""
    count = len(feed.posts)
    authors, author_of = np.empty(count, np.int32), np.empty(count, np.uint16)
    scores, explored = feed.scores.astype(np.float32), np.zeros((count + 7) // 8, np.uint8)
    created, seconds = np.empty(count, np.float64), np.empty(count, np.uint32)
    distinct, whole = 0, True
    for place in range(count):
        author = source.author[feed.posts[place]]
        if slots[author] < 0:
            slots[author] = distinct
            authors[distinct] = author
            distinct += 1
        author_of[place] = slots[author]
        at = source.created[feed.posts[place]]
        created[place] = at
        whole &= 0.0 <= at < 4294967296.0 and at == np.floor(at)
        if feed.explored[place]:
            explored[place >> 3] |= np.uint8(1 << (place & 7))
    for place in range(count if whole else 0):
        seconds[place] = np.uint32(created[place])
    for author in authors[:distinct]:
        slots[author] = -1
    people = pack_ids(source.people, authors[:distinct])
    items = pack_ids(source.items, feed.posts)
    finite = bool(np.isfinite(scores).all())
    return Packed(items, people, distinct, author_of, scores, finite, whole, seconds, created, explored)
