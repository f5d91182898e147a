"""A snapshot: columns as files of a folder, with what is needed to know whose they are and that they are whole.

`header.json` says what stands in it, `checksums` has those of every chunk of every column, and each column is a file of
raw numbers under its name, so that it is mapped back as it is. A folder has its name once everything in it is on disk.
"""

import itertools
import mmap
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from feedgen.errors import BadSnapshot
from feedgen.ondisk import Taken, put, sync_folder
from feedgen.state.checksum import CHUNK_BYTES, checksums

FORMAT: Final = 2
"""Changes with the files' form, or with what a column of the same name and dtype means."""
Columns = Mapping[str, NDArray[Any]]
_HEADER, _CHECKSUMS, _LOCK = "header.json", "checksums", "lock"
PART: Final = ".part"
"""How the name of a folder ends that is being written."""
_ROOM_FROM, _ROOM_SHARE = 1 << 20, 8
_RUN: Final = 64
"""Chunks that are copied, checked and written at once: 4 MB, which a CPU's cache holds."""
_numbers: Final = itertools.count()


class Stand(Struct, frozen=True, kw_only=True):
    """Where the columns stand, and what they were made from and with."""

    log: str
    """Identity of the log."""
    watermark: int
    """The log offset they stand at."""
    last_event: str
    """Id of the event at that offset; empty for none. Tells a log that was put back to an earlier day."""
    latest_ts: float
    """The greatest ts among all events (s): before it, "as of then" cannot be answered from here."""
    settings: dict[str, float]
    """Those that decide what state keeps."""
    base: str = ""
    """Identity of the bulk import that the columns go back to, whose events are in no log; empty for none."""


class _Column(Struct, frozen=True):
    name: str
    dtype: str
    count: int

    @property
    def nbytes(self) -> int:
        """Of what it holds."""
        return self.count * np.dtype(self.dtype).itemsize

    @property
    def room(self) -> int:
        """Entries of its file: a large one ends in a hole, which takes no disk, to grow into where it is mapped."""
        return self.count if self.nbytes < _ROOM_FROM else self.count + self.count // _ROOM_SHARE


class Header(Struct, frozen=True, kw_only=True):
    """What header.json holds."""

    format: int
    stand: Stand
    columns: list[_Column]
    checksum: str
    """Of the file `checksums`."""

    @property
    def layout(self) -> dict[str, str]:
        """The dtype of each column."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in self.columns)


def layout_of(columns: Columns) -> dict[str, str]:
    """The dtype of each column."""
    return {name: column.dtype.str for name, column in columns.items()}


class Draft:
    """A snapshot that is being written: a folder beside its place. As a context it leaves nothing behind unfinished.

    `write` may be called again and again while the columns go on changing: each pass writes only what has changed since
    the one before, so that the last, for which they must hold still, is short.
    """

    def __init__(self, place: Path) -> None:
        """`place`: the folder it will be. Raises OSError."""
        self._place = place
        self._folder = place.with_name(f"{place.name}.{os.getpid()}-{next(_numbers)}{PART}")
        self._folder.mkdir(parents=True)
        self._lock = Taken(self._folder / _LOCK, os.O_CREAT | os.O_RDWR)  # held as long as the process lives
        self._files: dict[str, int] = {}
        self._sums: dict[str, NDArray[np.uint64]] = {}
        self._columns: dict[str, _Column] = {}
        self._finished = False

    def write(self, columns: Columns) -> int:
        """Bytes written: those chunks that are not yet there as they are. Reads every column once; about 3 GB/s.

        A column may change meanwhile: what is written is what was checked, if not what the column then is. Holds no
        interpreter lock for long. Raises OSError.
        """
        written = 0
        for name, column in columns.items():
            flat = np.ascontiguousarray(column).reshape(-1)
            self._columns[name] = _Column(name, flat.dtype.str, len(flat))
            written += self._write_one(name, flat.view(np.uint8))
        return written

    def _write_one(self, name: str, data: NDArray[np.uint8]) -> int:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = os.open(self._folder / name, os.O_CREAT | os.O_WRONLY | os.O_EXCL)
        before = self._sums.get(name, np.empty(0, np.uint64))
        chunks = -(-len(data) // CHUNK_BYTES)
        changed = np.ones(chunks, np.bool_)
        known = min(chunks, len(before))
        if known:
            changed[:known] = checksums(data[: known * CHUNK_BYTES]) != before[:known]
        sums = np.empty(chunks, np.uint64)
        sums[:known] = before[:known]
        written = 0
        for first, last in _runs(changed):
            copy = data[first * CHUNK_BYTES : last * CHUNK_BYTES].copy()
            sums[first:last] = checksums(copy)
            _write_at(file, copy, first * CHUNK_BYTES)
            written += len(copy)
        self._sums[name] = sums
        return written

    def sync(self) -> None:
        """Put on disk what is written so far, so that a short last pass does not wait for all of it. Raises OSError."""
        for file in self._files.values():
            os.fdatasync(file)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in self._columns.values())

    def finish(self, stand: Stand, place: Path | None = None) -> Path:
        """Everything on disk, then under its name; says where. Takes the place of one of the same name.

        `place`: another name in the same folder than the one thought of at first. Raises OSError.
        """
        self._place = place or self._place
        columns = [self._columns[name] for name in sorted(self._columns)]
        for column in columns:
            os.ftruncate(self._files[column.name], column.room * np.dtype(column.dtype).itemsize)
        self.sync()
        sums = np.concatenate([np.empty(0, np.uint64), *(self._sums[column.name] for column in columns)])
        header = Header(format=FORMAT, stand=stand, columns=columns, checksum=_hex(sums))
        put(self._folder / _CHECKSUMS, sums.tobytes())
        put(self._folder / _HEADER, _signed(msgspec.json.encode(header)))
        sync_folder(self._folder)
        if self._place.exists():
            shutil.rmtree(self._place)
        os.rename(self._folder, self._place)
        self._finished = True
        sync_folder(self._place.parent)
        return self._place

    def close(self) -> None:
        """Let go of the files; what was not finished goes."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        if not self._finished:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def drop_abandoned(folder: Path) -> int:
    """Remove drafts in `folder` whose process has ended; how many. Raises OSError."""
    dropped = 0
    for part in folder.glob(f"*{PART}"):
        try:
            with closing(Taken(part / _LOCK, os.O_RDWR, wait=False)):
                shutil.rmtree(part, ignore_errors=True)
                dropped += 1
        except FileNotFoundError:  # ended, or is only beginning: then it fails, and the next one does not
            with suppress(OSError):
                part.rmdir()
        except (BlockingIOError, NotADirectoryError):  # being written; no draft, whatever it is
            continue
    return dropped


def read_header(place: Path) -> Header:
    """What the snapshot at `place` says of itself. Raises BadSnapshot, one line, if that cannot be trusted or read."""
    try:
        body = _verified((place / _HEADER).read_bytes())
        said = msgspec.json.decode(body)
        if said["format"] != FORMAT:
            raise BadSnapshot(f"is of format {said['format']}, this version reads {FORMAT}")
        return msgspec.json.decode(body, type=Header)
    except FileNotFoundError:
        raise BadSnapshot("has no header") from None
    except OSError as error:
        raise BadSnapshot(f"cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, KeyError, TypeError):
        raise BadSnapshot("has a header nobody can read") from None


def map_columns(
    place: Path, header: Header, on_bytes: Callable[[int, int], None] | None = None
) -> dict[str, NDArray[Any]]:
    """The columns as they lie on disk, mapped, and every byte checked; about 3 GB/s when they are in memory already.

    What is written to them stays in this process; a large one is the beginning of an array with room to grow.
    `on_bytes` gets (checked, all) bytes. Raises BadSnapshot, one line, naming the first bad column.
    """
    sums = _read_sums(place, header)
    columns, at, checked = {}, 0, 0
    for column in header.columns:
        mapped = _map(place / column.name, column)
        chunks = -(-mapped.nbytes // CHUNK_BYTES)
        if not np.array_equal(checksums(mapped), sums[at : at + chunks]):
            raise BadSnapshot(f"is damaged: {column.name} is not what was written")
        columns[column.name] = mapped
        at, checked = at + chunks, checked + mapped.nbytes
        if on_bytes is not None:
            on_bytes(checked, header.nbytes)
    return columns


def _read_sums(place: Path, header: Header) -> NDArray[np.uint64]:
    try:
        raw = (place / _CHECKSUMS).read_bytes()
    except OSError as error:
        raise BadSnapshot(f"cannot be read: {_CHECKSUMS}: {error.strerror}") from None
    if len(raw) % 8 or _hex(sums := np.frombuffer(raw, np.uint64)) != header.checksum:
        raise BadSnapshot(f"is damaged: {_CHECKSUMS} is not what was written")
    return sums


def _map(file: Path, column: _Column) -> NDArray[Any]:
    dtype = np.dtype(column.dtype)
    wanted = column.room * dtype.itemsize
    try:
        with file.open("rb") as opened:
            there = os.fstat(opened.fileno()).st_size
            if there != wanted:
                raise BadSnapshot(f"is torn: {column.name} has {there:,} bytes of {wanted:,}")
            if not wanted:
                return np.empty(0, dtype)
            # Private: the state writes to what it reads; the kernel copies a page when that happens, and only then.
            return np.frombuffer(mmap.mmap(opened.fileno(), wanted, access=mmap.ACCESS_COPY), dtype)[: column.count]
    except FileNotFoundError:
        raise BadSnapshot(f"is torn: {column.name} is missing") from None
    except OSError as error:
        raise BadSnapshot(f"cannot be read: {column.name}: {error.strerror}") from None


def _runs(changed: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """[first, last) of the changed chunks, _RUN at most at once."""
    edges = np.flatnonzero(np.diff(changed, prepend=False, append=False)).tolist()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        for start in range(first, last, _RUN):
            yield start, min(start + _RUN, last)


def _write_at(file: int, data: NDArray[np.uint8], at: int) -> None:
    rest = memoryview(data.data)
    while len(rest):
        done = os.pwrite(file, rest, at)
        rest, at = rest[done:], at + done


def _hex(data: NDArray[Any]) -> str:
    return checksums(data).tobytes().hex()


def _signed(body: bytes) -> bytes:
    """The body and, on a line of its own, its checksum."""
    return body + b"\n" + _hex(np.frombuffer(body, np.uint8)).encode() + b"\n"


def _verified(raw: bytes) -> bytes:
    body, _, rest = raw.partition(b"\n")
    if not body or _signed(body) != body + b"\n" + rest:
        raise BadSnapshot("has a damaged header")
    return body
