"""The feed record: a bulk column and a live column, written by different hands and combined by the reader.

Bulk generation writes `Bulk`; live updates append `Live` entries. Neither reads the other's column. Entries at or below
the bulk's watermark are already in it and do not count. A record is readable alone: it carries outside ids only.
Codec: one version byte, then msgpack (arrays; numbers in columns are little-endian).
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import ArrayLike, NDArray

from feedgen.errors import BadRecord
from feedgen.feed.ids import PackedIds, pack_ids

VERSION: Final = b"\x02"
_READ: Final = (VERSION, b"\x01")
"""Versions this program reads. 1 had no exploration; nothing in it was drawn, as the defaults of `Bulk` say."""
ITEMS_MAX: Final = 60_000

if sys.byteorder != "little":  # the codec writes the machine's order
    raise ImportError("forefeed's record codec needs a little-endian machine")


class FeedItem(NamedTuple):
    """A chosen post: its score (float32 in a record), why it was chosen, and when it was created (s, UTC)."""

    item_id: str
    author_id: str
    score: float
    reason: str
    created_at: float


class Generation(NamedTuple):
    """Which build of a feed: the log offset it saw, then when it was made (ms, UTC). Compared in that order."""

    watermark: int
    generated_at_ms: int

    def __str__(self) -> str:
        return f"{self.watermark}.{self.generated_at_ms}"

    @classmethod
    def parse(cls, text: str) -> "Generation":
        """From "W.ms". Raises ValueError if it is anything else."""
        parts = text.split(".")
        if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) <= 18 for p in parts):
            raise ValueError(f"{text[:40]!r} is no generation; it looks like 216388.1735603200000")
        return cls(int(parts[0]), int(parts[1]))


class Bulk(Struct, array_like=True, frozen=True, gc=False):
    """The bulk column: a whole ranked feed, best first.

    `authors` are the distinct authors, `author_of` positions in it (uint8, or uint16 past 256 authors; the length tells
    which), `scores` float32, `created` uint32 whole seconds or float64 (`created_kind`), `reason_of` uint8 positions in
    `reasons`. One entry per item, in rank order. `explored`: a bit per item, the lowest first, whether it was drawn
    from further down when each place was drawn with probability `explore_share`; empty where nothing was. In no cycle:
    the collector of those does not look at it.
    """

    watermark: int
    generated_at_ms: int
    items: PackedIds
    authors: PackedIds
    author_of: bytes
    scores: bytes
    created_kind: Literal["I", "d"]
    created: bytes
    reasons: tuple[str, ...]
    reason_of: bytes
    explore_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    explored: bytes = b""

    @property
    def generation(self) -> Generation:
        """Which build this is."""
        return Generation(self.watermark, self.generated_at_ms)


class Exploration(NamedTuple):
    """How a feed was explored: the share of places drawn, and by item whether it came from further down (bool)."""

    share: float
    explored: NDArray[np.bool_]


def propensity(share: float, left: int, explored: bool) -> float:
    """How likely this item was to come to its place, given those above it. O(1).

    `left`: items that were left to choose from, itself included. With probability `share` one of them was drawn, each
    as likely; else the next in line came. `explored`: it was not the next in line.
    """
    return share / left if explored else 1.0 - share + share / left


class Live(Struct, array_like=True, frozen=True):
    """One live entry: what the event at `offset` did to this feed.

    insert: `item` goes to the front; remove: the item `target` goes; remove_author: all items by `target` go.
    """

    offset: int
    op: Literal["insert", "remove", "remove_author"]
    target: str
    item: tuple[str, str, float, str, float] | None = None

    @classmethod
    def insert(cls, offset: int, item: FeedItem) -> "Live":
        """The entry that puts `item` at the front."""
        return cls(offset, "insert", item.item_id, (*item,))


def bulk_of(generation: Generation, items: Sequence[FeedItem]) -> Bulk:
    """The bulk column of `items`, best first. O(n).

    Raises ValueError on an item given twice, a score or time that is not finite, or more than 256 reasons.
    """
    item_ids, author_ids, scores, reasons, created = zip(*items, strict=True) if items else ((),) * 5
    return bulk_of_columns(generation, item_ids, author_ids, scores, *_numbered(reasons), created)


def bulk_of_columns(
    generation: Generation,
    item_ids: Sequence[str],
    author_ids: Sequence[str],
    scores: ArrayLike,
    reasons: Sequence[str],
    reason_of: Sequence[int],
    created: ArrayLike,
    exploration: Exploration | None = None,
) -> Bulk:
    """The bulk column from parallel sequences, best first; `created` in seconds. O(n), no step in Python for each item.

    `reasons` are distinct names, `reason_of` positions in them.

    Raises ValueError on an item given twice, a score (as float32) or time that is not finite, or more than 256 reasons.
    """
    if len(item_ids) > ITEMS_MAX:
        raise ValueError(f"{len(item_ids)} items; a record holds {ITEMS_MAX} at most")
    if len(set(item_ids)) != len(item_ids):
        raise ValueError("an item is given twice")
    with np.errstate(over="ignore"):
        score = np.asarray(scores, np.float32)
    if not np.isfinite(score).all():
        raise ValueError("a score is not finite (as float32)")
    authors, author_of = _numbered(author_ids)
    if len(reasons) > 256:
        raise ValueError(f"{len(reasons)} reasons; a record holds 256 at most")
    seconds = np.asarray(created, np.float64)
    if not np.isfinite(seconds).all():
        raise ValueError("a time of creation is not finite")
    whole = bool(((seconds >= 0) & (seconds < 1 << 32) & (seconds == np.floor(seconds))).all())
    return Bulk(
        watermark=generation.watermark,
        generated_at_ms=generation.generated_at_ms,
        items=pack_ids(item_ids),
        authors=pack_ids(authors),
        author_of=array("B" if len(authors) <= 256 else "H", author_of).tobytes(),
        scores=score.tobytes(),
        created_kind="I" if whole else "d",
        created=seconds.astype(np.uint32).tobytes() if whole else seconds.tobytes(),
        reasons=tuple(reasons),
        reason_of=bytes(reason_of),
        explore_share=exploration.share if exploration else 0.0,
        explored=np.packbits(exploration.explored, bitorder="little").tobytes() if exploration else b"",
    )


def _numbered(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct names in order of first appearance, and the number of each name in that list."""
    distinct = list(dict.fromkeys(names))
    number = dict(zip(distinct, range(len(distinct)), strict=True))
    return distinct, list(map(number.__getitem__, names))


_encoder = msgspec.msgpack.Encoder()
_bulk_decoder = msgspec.msgpack.Decoder(Bulk)
_live_decoder = msgspec.msgpack.Decoder(list[Live])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are not what they should be."""


def encode_bulk(bulk: Bulk) -> bytes:
    """Version byte + msgpack."""
    return VERSION + _encoder.encode(bulk)


def decode_bulk(data: bytes) -> Bulk:
    """Raises BadRecord if `data` is of another version, torn or foreign."""
    try:
        return _bulk_decoder.decode(_body(data))
    except _UNREADABLE as error:
        raise BadRecord(f"not a feed record: {error}") from None


def encode_live(entries: Iterable[Live]) -> bytes:
    """Version byte + msgpack."""
    return VERSION + _encoder.encode(list(entries))


def decode_live(data: bytes) -> list[Live]:
    """Raises BadRecord if `data` is of another version, torn or foreign."""
    try:
        return _live_decoder.decode(_body(data))
    except _UNREADABLE as error:
        raise BadRecord(f"not a live column: {error}") from None


def _body(data: bytes) -> memoryview:
    if data[:1] not in _READ:
        raise BadRecord(f"record version {data[:1].hex() or 'none'}; this program reads 01 and {VERSION.hex()}")
    return memoryview(data)[1:]
