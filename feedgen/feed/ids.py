"""A packed column of outside ids, in the tightest of four forms."""

from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, Literal

from msgspec import Struct

from feedgen.errors import BadRecord

_INT_BYTES: Final = 8
_SEARCHED_BYTES: Final = 8_192
"""Of a column. To find 8 bytes among 4,000 takes 3 µs, most of it in C; a hash takes 0.5 µs, after 150 to build it."""


Kind = Literal["int", "hex", "fixed", "arena"]


class PackedIds(Struct, array_like=True, gc=False):
    """Column as it is stored: `kind` says how `data` is cut up.

    "int": int64 little-endian each. "hex": `width` bytes each, written as lower-case hexadecimal digits. "fixed":
    `width` bytes of UTF-8 each. "arena": UTF-8, `ends` are uint32 little-endian end offsets.
    """

    kind: Kind
    count: int
    width: int
    data: bytes
    ends: bytes


class IdColumn:
    """`len` ids by position, read-only. Reading one costs O(1) and makes a str."""

    __slots__ = ("_data", "_ends", "_kind", "_width", "count")

    def __init__(self, packed: PackedIds) -> None:
        """O(n) in C, except for ids that are not ASCII. Raises BadRecord if the parts do not fit together."""
        self.count = packed.count
        self._kind: Kind = packed.kind
        self._width = _INT_BYTES if packed.kind == "int" else packed.width
        self._data = packed.data
        self._ends: array[int] | None = None
        if packed.kind == "arena":
            self._ends = column_of("I", packed.ends)
            fits = len(self._ends) == self.count and _cuts(self._ends, len(packed.data))
        else:
            fits = self._width >= 0 and len(packed.data) == self.count * self._width
        if not fits or self.count < 0:
            raise BadRecord("an id column's length does not fit its data")
        if packed.kind in ("fixed", "arena") and not self._data.isascii():
            self._check_utf8()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> str:
        if self._ends is not None:
            start = self._ends[position - 1] if position else 0
            return self._data[start : self._ends[position]].decode()
        start = position * self._width
        item = self._data[start : start + self._width]
        if self._kind == "hex":
            return item.hex()
        return str(int.from_bytes(item, "little", signed=True)) if self._kind == "int" else item.decode()

    @property
    def searched(self) -> bool:
        """Whether `find` may be asked: ids of one width, and not many of them."""
        return self._ends is None and len(self._data) <= _SEARCHED_BYTES

    def find(self, item_id: str) -> int | None:
        """The id's position in a column that is `searched`; None if it is not there. At most 8 KB are read, in C."""
        key = self._key(item_id)
        if key is None or not key:
            return 0 if key is not None and self.count else None
        at = self._data.find(key)
        while at >= 0 and at % len(key):  # across two ids
            at = self._data.find(key, at + 1)
        return None if at < 0 else at // len(key)

    def _key(self, item_id: str) -> bytes | None:
        """The id as the column would hold it; None if the column holds none like it."""
        if self._kind == "int":
            return _int_key(item_id)
        try:
            key = bytes.fromhex(item_id) if self._kind == "hex" else item_id.encode()
        except ValueError:
            return None
        if len(key) != self._width or (self._kind == "hex" and key.hex() != item_id):
            return None
        return key

    def texts(self) -> list[str]:
        """All of them. O(n), several times as fast as one by one."""
        return self.between(0, self.count)

    def between(self, start: int, stop: int) -> list[str]:
        """Those at the positions from `start` up to `stop`. O(stop - start), several times as fast as one by one."""
        if self._ends is not None or not (self._width and (self._kind != "fixed" or self._data.isascii())):
            return [self[position] for position in range(start, stop)]
        part = self._data[start * self._width : stop * self._width]
        if self._kind == "int":
            return list(map(str, column_of("q", part)))
        whole, width = (part.hex(), 2 * self._width) if self._kind == "hex" else (part.decode(), self._width)
        return [whole[at : at + width] for at in range(0, len(whole), width)]

    def at(self, positions: Iterable[int]) -> list[str]:
        """Those at `positions`, in that order. O(positions), twice as fast as one by one."""
        if self._kind != "hex":
            return [self[position] for position in positions]
        data, width = self._data, self._width
        return [data[position * width : (position + 1) * width].hex() for position in positions]

    def _check_utf8(self) -> None:
        """Here, once, and not in every reader: what was admitted can be read."""
        try:
            for position in range(self.count):
                self[position]
        except UnicodeDecodeError:
            raise BadRecord("an id column holds an id that is not UTF-8") from None

    def packed(self) -> PackedIds:
        """The stored form again. O(1), or O(n) for ids of several lengths."""
        ends = b"" if self._ends is None else self._ends.tobytes()
        return PackedIds(self._kind, self.count, self._width, self._data, ends)

    @property
    def nbytes(self) -> int:
        """Bytes held, without this object's own few slots."""
        return 33 + len(self._data) + (80 + 4 * self.count if self._ends is not None else 0)


def _int_key(item_id: str) -> bytes | None:
    try:
        value = int(item_id)
        key = value.to_bytes(_INT_BYTES, "little", signed=True)
    except (ValueError, OverflowError):
        return None
    return key if str(value) == item_id else None


def column_of(code: str, data: bytes) -> "array[int]":
    """An array of exactly that size. Raises BadRecord if `data` is not a whole number of entries."""
    column: array[int] = array(code)
    try:
        column.frombytes(data)
    except ValueError:
        raise BadRecord("a column is not a whole number of entries") from None
    return column[:]  # frombytes leaves a sixteenth to spare


def _cuts(ends: "array[int]", size: int) -> bool:
    """Whether `ends` cut `size` bytes into pieces, in order."""
    cuts = ends.tolist()
    return cuts == sorted(cuts) and (cuts[-1] if cuts else 0) == size


def pack_ids(ids: Iterable[str]) -> PackedIds:
    """The tightest of the forms. O(total bytes), in C. Raises ValueError on an id that UTF-8 cannot write."""
    texts = list(ids)
    digits = _as_hex(texts)
    if digits is not None and digits.width <= _INT_BYTES:
        return digits
    tight = _as_ints(texts) or digits
    if tight is not None:
        return tight
    encoded = [text.encode() for text in texts]
    widths = set(map(len, encoded))
    data = b"".join(encoded)
    if len(widths) <= 1:
        return PackedIds("fixed", len(encoded), widths.pop() if widths else 0, data, b"")
    ends = array("I", accumulate(map(len, encoded)))
    return PackedIds("arena", len(encoded), 0, data, ends.tobytes())


def _as_hex(texts: list[str]) -> PackedIds | None:
    """If all are of one even length and nothing but lower-case hexadecimal digits: half the bytes."""
    widths = set(map(len, texts))
    width = widths.pop() if len(widths) == 1 else 0
    if not width or width % 2:
        return None
    joined = "".join(texts)
    try:
        data = bytes.fromhex(joined)
    except ValueError:
        return None
    # fromhex takes capitals and blanks as well
    return PackedIds("hex", len(texts), width // 2, data, b"") if data.hex() == joined else None


def _as_ints(texts: list[str]) -> PackedIds | None:
    """If each is the one decimal form of an int64."""
    try:
        values = array("q", map(int, texts))
    except (ValueError, OverflowError):
        return None
    # int() takes "+5", "05", "5_0" and the digits of other scripts as well
    if not texts or list(map(str, values)) != texts:
        return None
    return PackedIds("int", len(texts), _INT_BYTES, values.tobytes(), b"")
