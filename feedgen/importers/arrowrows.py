"""A batch of rows of a Parquet table as arrays of what the state holds: every value checked, none of them in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ImportFailed
from feedgen.events import ID_MAX_BYTES
from feedgen.state.attributes import NONE, TOPICS_MAX
from feedgen.state.symbols import Symbols

_UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_TEXT_MAX: Final = 256
_TOPIC_MAX: Final = 128

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class ArrowRows:
    """Columns of one batch by name. Every method raises ImportFailed that names the file and the first bad row."""

    def __init__(self, arrow: Any, path: Path, first: int, batch: Any) -> None:
        """`arrow`: the module; `first`: number of the first row in the file, from 1."""
        self._arrow, self._path, self._first, self._batch = arrow, path, first, batch
        self.count: int = batch.num_rows

    def has(self, name: str) -> bool:
        """Whether the table has the column."""
        return name in self._batch.schema.names

    def given(self, name: str) -> Mask:
        """Where the column says something."""
        found: Mask = self._batch.column(name).is_valid().to_numpy(zero_copy_only=False)
        return found

    def ids(self, symbols: Symbols, name: str) -> Ints:
        """Outside ids (texts or whole numbers) as indices of `symbols`. O(rows), and O(bytes) of each different one."""
        self.refuse_where(~self.given(name), f"no {name!r}")
        column = self._batch.column(name)
        kinds = self._arrow.types
        if kinds.is_integer(column.type):
            column = column.cast(self._arrow.string())
        values, places = self._different(name, column)
        self._need_utf8(name, values, places)
        sizes = np.diff(_bounds(values))
        self.refuse_where(
            ((sizes < 1) | (sizes > ID_MAX_BYTES))[places], f"{name!r} is not 1 to {ID_MAX_BYTES} bytes long"
        )
        return symbols.intern_bytes(*_arena(values))[places]

    def new_ids(self, symbols: Symbols, name: str) -> Ints:
        """`ids`, none of them twice or known before: where a table says who there is, before any other."""
        known = len(symbols)
        found = self.ids(symbols, name)
        again = np.ones(self.count, np.bool_)
        again[np.unique(found, return_index=True)[1]] = False
        self.refuse_where(again | (found < known), f"this {name!r} is there twice")
        return found

    def texts(self, symbols: Symbols, name: str, *, empty_is_none: bool) -> Ints:
        """Texts as indices of `symbols`; NONE where nothing is said, and for "" if so asked."""
        values, places = self._different(name, self._batch.column(name))
        return self._interned(symbols, name, values, _TEXT_MAX, empty_is_none=empty_is_none)[places]

    def choices(self, name: str, possible: Sequence[str], absent: int | None = None, other: str | None = None) -> Ints:
        """Places in `possible`; `absent` where nothing is said, which is refused without it.

        `other`: the one of them that any other text is, but for "", which says nothing; without it such are refused.
        """
        if absent is None:
            self.refuse_where(~self.given(name), f"no {name!r}")
        values, places = self._different(name, self._batch.column(name))
        known = {text: place for place, text in enumerate(possible)}
        unknown = -2
        if other is not None:
            unknown, known[""] = known[other], -1 if absent is None else absent
        table = np.array([*(known.get(text, unknown) for text in values.to_pylist()), -1], np.int32)
        self.refuse_where((table == -2)[places], f"{name!r} is none of {', '.join(possible)}")
        return np.where(places < 0, -1 if absent is None else absent, table[places]).astype(np.int32)

    def times(self, name: str) -> Floats:
        """Seconds since the epoch, from numbers of seconds or Arrow's own times. O(rows)."""
        self.refuse_where(~self.given(name), f"no {name!r}")
        column, kinds = self._batch.column(name), self._arrow.types
        if kinds.is_timestamp(column.type):
            whole = column.cast(self._arrow.int64()).to_numpy(zero_copy_only=False)
            times: Floats = whole / _UNITS[column.type.unit]
            return times
        if not (kinds.is_integer(column.type) or kinds.is_floating(column.type)):
            raise ImportFailed(f"{self._path}: column {name!r} holds {column.type}; times or seconds are wanted")
        seconds: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return seconds

    def moments(self, name: str, latest: float) -> Floats:
        """`times`, none of them before the epoch, after `latest`, or no number."""
        ts = self.times(name)
        self.refuse_where(~((ts >= 0) & (ts <= latest)), f"{name!r} is no time up to a day from now, in seconds")
        return ts

    def numbers(self, name: str, bounds: tuple[int, int]) -> Ints:
        """Whole numbers within bounds; the lower one, or 0 if that lies within, where nothing is said."""
        column = self._said(name, self._arrow.int64())
        if not self._arrow.types.is_integer(column.type):
            raise ImportFailed(f"{self._path}: column {name!r} holds {column.type}; whole numbers are wanted")
        low, high = bounds
        given, values = self.given(name), column.fill_null(0).to_numpy(zero_copy_only=False)
        self.refuse_where(given & ((values < low) | (values > high)), f"{name!r} is not {low} to {high}")
        found: Ints = np.where(given, values, max(low, 0)).astype(np.int32)
        return found

    def flags(self, name: str) -> Mask:
        """Booleans; False where nothing is said."""
        column = self._said(name, self._arrow.bool_())
        if not self._arrow.types.is_boolean(column.type):
            raise ImportFailed(f"{self._path}: column {name!r} holds {column.type}; true and false are wanted")
        found: Mask = column.fill_null(False).to_numpy(zero_copy_only=False)
        return found

    def topics(self, symbols: Symbols, name: str) -> tuple[NDArray[np.int64], Ints]:
        """Lists of texts: the bounds of each row's, and the topics as indices, each once and TOPICS_MAX at most."""
        column, kinds = self._said(name, self._arrow.list_(self._arrow.string())), self._arrow.types
        if not (kinds.is_list(column.type) or kinds.is_large_list(column.type)):
            raise ImportFailed(f"{self._path}: column {name!r} holds {column.type}; lists of texts are wanted")
        counts = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        flat = column.flatten()
        row = np.repeat(np.arange(self.count), counts)
        if flat.null_count:
            self.refuse_where(
                _rows_with(row, ~flat.is_valid().to_numpy(zero_copy_only=False), self.count), "a topic is null"
            )
        values, places = self._different(name, flat)
        indices = self._interned(symbols, name, values, _TOPIC_MAX, empty_is_none=True)[places]
        self.refuse_where(_rows_with(row, indices == NONE, self.count), "a topic is empty")
        kept = _first_ones(row, indices, TOPICS_MAX)
        bounds = np.zeros(self.count + 1, np.int64)
        np.cumsum(np.bincount(row[kept], minlength=self.count), out=bounds[1:])
        return bounds, indices[kept]

    def refuse_where(self, bad: Mask, reason: str) -> None:
        """Raise ImportFailed for the first bad row, if there is one."""
        if bad.any():
            raise ImportFailed(f"{self._path}: row {self._first + int(np.argmax(bad))}: {reason}")

    def _said(self, name: str, kind: Any) -> Any:
        """The column; one that says nothing in any row, and so has no type, as one of `kind`."""
        column = self._batch.column(name)
        return column.cast(kind) if self._arrow.types.is_null(column.type) else column

    def _need_utf8(self, name: str, values: Any, places: NDArray[np.int64]) -> None:
        """Parquet says that texts are UTF-8, and nobody has looked. O(bytes)."""
        try:
            values.validate(full=True)
        except self._arrow.ArrowInvalid:
            raw = values.cast(self._arrow.binary()).to_pylist()
            bad = np.array([text.decode(errors="replace").encode() != text for text in raw])
            self.refuse_where(bad[places], f"{name!r} is no UTF-8")

    def _different(self, name: str, column: Any) -> tuple[Any, NDArray[np.int64]]:
        """The different texts of a column, and the place of each row's among them; −1 for nothing.

        What a dictionary holds and no row says is left out: it would be numbered, and so known.
        """
        kinds, arrow = self._arrow.types, self._arrow
        if not kinds.is_dictionary(column.type):
            if not (kinds.is_string(column.type) or kinds.is_large_string(column.type) or kinds.is_null(column.type)):
                raise ImportFailed(f"{self._path}: column {name!r} holds {column.type}; texts are wanted")
            column = column.cast(arrow.string()).dictionary_encode()
        places = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        values = column.dictionary.cast(arrow.string())
        said = np.bincount(places + 1, minlength=len(values) + 1)[1:] > 0
        if said.all():
            return values, places
        new_places = np.append(np.cumsum(said) - 1, -1)
        return values.filter(arrow.array(said)), new_places[places]

    def _interned(self, symbols: Symbols, name: str, values: Any, longest: int, *, empty_is_none: bool) -> Ints:
        """The index of each of the different texts, and at the end NONE, which place −1 means."""
        texts = values.to_pylist()
        if any(len(text) > longest for text in texts):
            raise ImportFailed(f"{self._path}: column {name!r} holds a text of more than {longest} characters")
        found = [NONE if empty_is_none and not text else symbols.intern(text) for text in texts]
        return np.array([*found, NONE], np.int32)


def _bounds(values: Any) -> NDArray[np.int32]:
    """Where each text of an Arrow string array begins in its bytes, and the last one ends."""
    _, offsets, _ = values.buffers()
    if offsets is None:
        return np.zeros(1, np.int32)
    every = np.frombuffer(offsets, np.int32)
    return every[values.offset : values.offset + len(values) + 1]


def _arena(values: Any) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    data = values.buffers()[2]
    # Read-only as all names are: for others a second kernel would be compiled.
    raw = memoryview(data if data is not None else b"").toreadonly()
    return _bounds(values).astype(np.int64), np.frombuffer(raw, np.uint8)


def _rows_with(row: NDArray[np.int64], bad: Mask, count: int) -> Mask:
    found: Mask = np.bincount(row[bad], minlength=count) > 0
    return found


def _first_ones(row: NDArray[np.int64], values: Ints, most: int) -> NDArray[np.int64]:
    """Positions of each row's first `most` different values, in their order. O(n log n)."""
    _, first = np.unique(row << 32 | values, return_index=True)
    first = np.sort(first)
    starts = np.searchsorted(row[first], row[first])
    kept: NDArray[np.int64] = first[np.arange(len(first)) - starts < most]
    return kept
