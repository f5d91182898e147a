"""A file to import, plain or gzip, or standard input: opened with clear errors, read as one stream of bytes."""

import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from feedgen.errors import ImportFailed

STDIN: Final = "-"
LINE_MAX_BYTES: Final = 1 << 20

_BUFFER_BYTES: Final = 1 << 18
# The first byte is enough, and more a pipe may not have sent yet: no JSON text or table starts with it.
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
    with readable(source):
        # Standard input by its number: a thread left reading sys.stdin would hold its lock at exit.
        raw = io.FileIO(0, closefd=False) if source == STDIN else io.FileIO(source)
    with raw:
        with readable(source):
            made = Source(raw, STDIN if source == STDIN else Path(source).name)
        yield made


@contextmanager
def readable(source: str) -> Iterator[None]:
    """What opening a file raises, as ImportFailed with its name."""
    try:
        yield
    except FileNotFoundError:
        raise ImportFailed(f"{source}: no such file") from None
    except IsADirectoryError:
        raise ImportFailed(f"{source}: is a folder; a file is wanted (for a git history: git:{source})") from None
    except (OSError, ValueError) as error:
        raise ImportFailed(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def lines(stream: io.BufferedIOBase) -> Iterator[bytes | None]:
    """Every line with its end; None for one of more than LINE_MAX_BYTES, which is never held whole."""
    while line := stream.readline(LINE_MAX_BYTES + 1):
        if len(line) > LINE_MAX_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(_BUFFER_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line
