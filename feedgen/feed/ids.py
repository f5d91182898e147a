"""A packed column of outside ids: int64 when all are decimal integers, else a byte arena."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from feedgen.errors import BadRecord

_INT64_DIGITS: Final = 19


def _as_int(text: str) -> int | None:
    """The integer that `text` is the one decimal form of, if it fits int64."""
    if len(text) > _INT64_DIGITS + 1 or not text.isascii() or not text.removeprefix("-").isdigit():
        return None
    value = int(text)
    return value if str(value) == text and -(1 << 63) <= value < 1 << 63 else None


class PackedIds(Struct, array_like=True):
    """Column as it is stored: `kind` says how `data` is cut up.

    "int": int64 little-endian each. "fixed": `width` bytes each. "arena": `ends` are uint32 little-endian end offsets.
    """

    kind: Literal["int", "fixed", "arena"]
    count: int
    width: int
    data: bytes
    ends: bytes


class IdColumn:
    """`len` ids by position, read-only. Reading one costs O(1) and makes a str."""

    __slots__ = ("_data", "_ends", "_ints", "_width", "count")

    def __init__(self, packed: PackedIds) -> None:
        """Raises BadRecord if the parts do not fit together."""
        self.count = packed.count
        self._width = packed.width
        self._data = packed.data
        self._ints: array[int] | None = None
        self._ends: array[int] | None = None
        if packed.kind == "int":
            self._ints = _array("q", packed.data)
            size = len(self._ints)
        elif packed.kind == "fixed":
            size = self.count if len(packed.data) == self.count * self._width else -1
        else:
            self._ends = _array("I", packed.ends)
            size = len(self._ends)
            if size and (
                self._ends[-1] != len(packed.data)
                or any(a > b for a, b in zip(self._ends, self._ends[1:], strict=False))
            ):
                size = -1
        if size != self.count:
            raise BadRecord("an id column's length does not fit its data")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> str:
        if self._ints is not None:
            return str(self._ints[position])
        if self._ends is None:
            start = position * self._width
            return self._data[start : start + self._width].decode()
        start = self._ends[position - 1] if position else 0
        return self._data[start : self._ends[position]].decode()

    def packed(self) -> PackedIds:
        """The stored form again. O(n); copies."""
        if self._ints is not None:
            return PackedIds("int", self.count, 8, self._ints.tobytes(), b"")
        if self._ends is None:
            return PackedIds("fixed", self.count, self._width, self._data, b"")
        return PackedIds("arena", self.count, 0, self._data, self._ends.tobytes())

    @property
    def nbytes(self) -> int:
        """Bytes held, without this object's own few slots."""
        if self._ints is not None:
            return 80 + 8 * self.count
        return 33 + len(self._data) + (80 + 4 * self.count if self._ends is not None else 0)


def _array(code: str, data: bytes) -> "array[int]":
    column: array[int] = array(code)
    try:
        column.frombytes(data)
    except ValueError:
        raise BadRecord("a column is not a whole number of entries") from None
    return column


def pack_ids(ids: Iterable[str]) -> PackedIds:
    """The tightest of the three forms. O(total bytes)."""
    texts: Sequence[str] = list(ids)
    ints = [_as_int(text) for text in texts]
    if texts and all(value is not None for value in ints):
        return PackedIds("int", len(texts), 8, array("q", [v for v in ints if v is not None]).tobytes(), b"")
    encoded = [text.encode() for text in texts]
    widths = {len(item) for item in encoded}
    data = b"".join(encoded)
    if len(widths) <= 1:
        return PackedIds("fixed", len(encoded), widths.pop() if widths else 0, data, b"")
    ends = array("I")
    total = 0
    for item in encoded:
        total += len(item)
        ends.append(total)
    return PackedIds("arena", len(encoded), 0, data, ends.tobytes())
