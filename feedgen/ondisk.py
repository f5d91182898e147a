"""Files that are there whole or not at all, and on disk once they are there.

What is written stands beside its place, is brought to disk, and is renamed into it: a process that is killed, a full
disk and a loss of power leave what was there before.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

WRITING: Final = ".writing"
"""How names end of what is not whole yet."""


def beside(path: Path) -> Path:
    """Where this process writes what will be `path`. Two of its threads must not write the same at once."""
    return path.with_name(f".{path.name}.{os.getpid()}{WRITING}")


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` at the end; if anything fails inside, it goes. Raises OSError."""
    unfinished = beside(path)
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def put_whole(path: Path, content: bytes) -> None:
    """The same of what is in memory. Raises OSError."""
    with whole(path) as file:
        file.write(content)


def put(path: Path, content: bytes) -> None:
    """A new file of a folder that has not its name yet: on disk, but for the folder's entry. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the folder's entries to disk: what was made in it, renamed and removed. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def is_full(error: BaseException) -> bool:
    """Whether the system, or SQLite, says by this that there is no room on the disk."""
    return "disk is full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def drop_unfinished(folder: Path) -> None:
    """Remove files and folders that processes left which ended while they wrote `beside`. Raises OSError."""
    for path in folder.glob(f".*{WRITING}"):
        process = path.name.removesuffix(WRITING).rpartition(".")[2]
        if not process.isdecimal() or _runs(int(process)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
