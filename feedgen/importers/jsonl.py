"""JSON Lines, plain or gzip, from a file or standard input. One pass, bounded memory, every refused line named."""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from feedgen.errors import BadEvent, ImportFailed
from feedgen.events import decode_json
from feedgen.importers.intake import Batch, Refused

LINE_MAX_BYTES: Final = 1 << 20
STDIN: Final = "-"

_BOM: Final = b"\xef\xbb\xbf"
_BUFFER_BYTES: Final = 1 << 18
# The first byte is enough, and more a pipe may not have sent yet: no JSON text starts with it.
_GZIP_FIRST: Final = b"\x1f"


class Source:
    """An opened source. `name` goes into derived ids; `size_bytes` is None where it is not known beforehand."""

    def __init__(self, raw: io.FileIO, name: str) -> None:
        """Reads `raw`, which stays the caller's to close."""
        self._raw = raw
        self.name = name
        status = os.fstat(raw.fileno())
        self.size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        plain = io.BufferedReader(raw, _BUFFER_BYTES)
        # Not buffered once more: filling a buffer from a GzipFile that is cut short loses what came before the cut.
        self.stream: io.BufferedIOBase = gzip.GzipFile(fileobj=plain) if plain.peek(1)[:1] == _GZIP_FIRST else plain

    def read_bytes(self) -> int:
        """Bytes of the file read so far (compressed ones, if it is)."""
        return self._raw.tell() if self.size_bytes is not None else 0


@contextmanager
def opened(source: str) -> Iterator[Source]:
    """The file at path `source`, or standard input for "-". Raises ImportFailed if it is missing or unreadable."""
    with _named(source):
        # Standard input by its number: a thread left reading sys.stdin would hold its lock at exit.
        raw = io.FileIO(0, closefd=False) if source == STDIN else io.FileIO(source)
    with raw:
        with _named(source):
            made = Source(raw, STDIN if source == STDIN else Path(source).name)
        yield made


@contextmanager
def _named(source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ImportFailed(f"{source}: no such file") from None
    except IsADirectoryError:
        raise ImportFailed(f"{source}: is a folder; a JSON Lines file is wanted") from None
    except (OSError, ValueError) as error:
        raise ImportFailed(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def batches(source: Source, now: float, size: int) -> Iterator[Batch]:
    """The events of `source` in batches of `size` lines; an event without an id gets one from source and content.

    `now`: domain time, s. A source that breaks off (gzip cut short, read error) ends in a batch with a `failure`.
    """
    batch = Batch([], [])
    try:
        for number, line in _lines(source.stream):
            if line is None:
                batch.refused.append(Refused(number, f"longer than {LINE_MAX_BYTES} bytes"))
            else:
                try:
                    batch.events.append(decode_json(line, now, derive_from=source.name))
                except BadEvent as reason:
                    batch.refused.append(Refused(number, str(reason)))
            if len(batch.events) + len(batch.refused) >= size:
                yield batch
                batch = Batch([], [])
    except EOFError:
        batch = batch._replace(failure="the gzip file is cut short; everything before the cut was imported")
    except (OSError, zlib.error) as error:
        batch = batch._replace(failure=f"reading broke off ({error}); everything before was imported")
    if batch != Batch([], []):
        yield batch


def _lines(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes | None]]:
    """Lines that are not blank, numbered from 1; None for one that is too long, which is never held whole."""
    number = 0
    while line := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > LINE_MAX_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, None
        elif not line.isspace() and line:
            yield number, line


def _skip_line(stream: io.BufferedIOBase) -> None:
    while (rest := stream.readline(_BUFFER_BYTES)) and not rest.endswith(b"\n"):
        pass
