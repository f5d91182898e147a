"""What a resident feed holds of each item besides its id, in one row of whole bytes.

A row: the score (float32), the author's number (uint8, or uint16), then bits as wide as this feed needs them, the
lowest first: the reason's number, whether the item was explored, and when it was created (s since the oldest of them).
500 items by 200 authors, of three reasons, created within twelve days, take 8 bytes each. Times that are not whole
seconds stand as float64 before the bits.
"""

import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import BadRecord
from feedgen.feed.record import Bulk

_LAYOUTS: Final = 4_096
"""Layouts shared between feeds: they differ in the order of the reasons, and by a few bits."""


class Columns(NamedTuple):
    """Of some items, in order: scores, their authors' positions among the feed's authors, reasons, created at (s)."""

    scores: Sequence[float]
    authors: Sequence[int]
    reasons: Sequence[str]
    created: Sequence[float]


class _Layout(NamedTuple):
    """How rows are cut up. `fixed`: unpacks what stands before the bits, `bits_at` bytes of it; `cells`: whole rows."""

    cells: Callable[[bytes], Iterator[tuple[Any, ...]]]
    fixed: Callable[[bytes, int], tuple[Any, ...]]
    bits_at: int
    width: int
    author_bytes: int
    whole: bool
    reasons: tuple[str, ...]
    reason_mask: int
    explored_mask: int
    created_shift: int
    explore_share: float


class Rows:
    """The rows of one feed, read-only. Reading one costs O(1)."""

    __slots__ = ("_data", "_layout", "_oldest", "count")

    def __init__(self, bulk: Bulk, count: int, authors: int) -> None:
        """From the columns of a record of `count` items by `authors` authors. O(n) in C, about 40 µs for 500.

        Raises BadRecord if the columns do not fit together, or hold what is not finite.
        """
        scores, author_of, created, reason_of, explored = _columns(bulk, count, authors)
        self.count = count
        whole = bulk.created_kind == "I"
        self._oldest = int(created.min()) if whole and count else 0
        span = int(created.max()) - self._oldest if whole and count else 0
        self._layout = layout = _layout(
            author_of.itemsize, whole, span.bit_length(), bulk.reasons, bool(bulk.explored), bulk.explore_share
        )
        bits = reason_of.astype(np.uint64)
        if explored is not None:
            bits |= explored.astype(np.uint64) * np.uint64(layout.explored_mask)
        if whole:
            bits |= (created - np.uint32(self._oldest)).astype(np.uint64) << np.uint64(layout.created_shift)
        rows = np.empty((count, layout.width), np.uint8)
        rows[:, :4] = scores.view(np.uint8).reshape(count, 4)
        rows[:, 4 : 4 + layout.author_bytes] = author_of.view(np.uint8).reshape(count, layout.author_bytes)
        if not whole:
            rows[:, layout.bits_at - 8 : layout.bits_at] = created.view(np.uint8).reshape(count, 8)
        rows[:, layout.bits_at :] = bits.view(np.uint8).reshape(count, 8)[:, : layout.width - layout.bits_at]
        self._data = rows.tobytes()

    def __getitem__(self, slot: int) -> tuple[float, int, str, float]:
        """(score, its author's position among the feed's authors, reason, when it was created in s)."""
        layout = self._layout
        _, _, bits_at, width, _, whole, reasons, reason_mask, _, created_shift, _ = layout
        at = slot * width
        bits = int.from_bytes(self._data[at + bits_at : at + width], "little")
        if whole:
            score, author = layout.fixed(self._data, at)
            return score, author, reasons[bits & reason_mask], float(self._oldest + (bits >> created_shift))
        score, author, created_at = layout.fixed(self._data, at)
        return score, author, reasons[bits & reason_mask], created_at

    def between(self, start: int, stop: int) -> Columns:
        """What `[slot]` gives, of the slots from `start` up to `stop`. O(stop - start), twice as fast as one by one."""
        layout, oldest, from_bytes = self._layout, self._oldest, int.from_bytes
        reasons, mask, shift = layout.reasons, layout.reason_mask, layout.created_shift
        columns = tuple(zip(*layout.cells(self._data[start * layout.width : stop * layout.width]), strict=True))
        if not columns:
            return Columns((), (), [], ())
        bits = [from_bytes(each, "little") for each in columns[-1]]
        created = [float(oldest + (each >> shift)) for each in bits] if layout.whole else columns[2]
        return Columns(columns[0], columns[1], [reasons[each & mask] for each in bits], created)

    def explored(self, slot: int) -> bool:
        """Whether the item was drawn from further down."""
        layout = self._layout
        bits = self._data[slot * layout.width + layout.bits_at : (slot + 1) * layout.width]
        return bool(int.from_bytes(bits, "little") & layout.explored_mask)

    @property
    def explore_share(self) -> float:
        """With which probability each place was drawn."""
        return self._layout.explore_share

    def by_author(self, author: int) -> list[int]:
        """The slots of this author's items. O(n) in C."""
        layout = self._layout
        table = np.frombuffer(self._data, np.uint8).reshape(self.count, layout.width)
        codes = np.ascontiguousarray(table[:, 4 : 4 + layout.author_bytes]).view(f"u{layout.author_bytes}")
        found: list[int] = np.flatnonzero(codes.ravel() == author).tolist()
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held, without this object's own few slots."""
        return sys.getsizeof(self._data)


@lru_cache(maxsize=_LAYOUTS)
def _layout(
    author_bytes: int, whole: bool, created_bits: int, reasons: tuple[str, ...], explored: bool, explore_share: float
) -> _Layout:
    reason_bits = max(0, len(reasons) - 1).bit_length()
    created_shift = reason_bits + explored
    fixed = struct.Struct("<f" + ("B" if author_bytes == 1 else "H") + ("" if whole else "d"))
    bits_bytes = (created_shift + created_bits + 7) // 8
    return _Layout(
        cells=struct.Struct(f"{fixed.format}{bits_bytes}s").iter_unpack,
        fixed=fixed.unpack_from,
        bits_at=fixed.size,
        width=fixed.size + bits_bytes,
        author_bytes=author_bytes,
        whole=whole,
        reasons=tuple(map(sys.intern, reasons)),
        reason_mask=(1 << reason_bits) - 1,
        explored_mask=1 << reason_bits if explored else 0,
        created_shift=created_shift,
        explore_share=explore_share,
    )


def _columns(
    bulk: Bulk, count: int, authors: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.uint8] | None]:
    """The record's columns as arrays of `count` entries, checked. Raises BadRecord."""
    scores = _column(bulk.scores, "<f4", count)
    author_of = _column(bulk.author_of, "u1" if len(bulk.author_of) == count else "<u2", count)
    created = _column(bulk.created, "<u4" if bulk.created_kind == "I" else "<f8", count)
    reason_of = _column(bulk.reason_of, "u1", count)
    if not (np.isfinite(scores).all() and np.isfinite(created).all()):
        raise BadRecord("a record holds a number that is not finite")
    if count and not (author_of.max() < authors and reason_of.max() < len(bulk.reasons)):
        raise BadRecord("a record names an author or a reason it does not hold")
    if not bulk.explored:
        return scores, author_of, created, reason_of, None
    if len(bulk.explored) != (count + 7) // 8:
        raise BadRecord("a record does not say of each item whether it was explored")
    explored = np.unpackbits(np.frombuffer(bulk.explored, np.uint8), count=count, bitorder="little")
    return scores, author_of, created, reason_of, explored


def _column(data: bytes, kind: str, count: int) -> NDArray[Any]:
    if len(data) != count * int(kind[-1]):
        raise BadRecord("a record's columns differ in length")
    return np.frombuffer(data, kind)
