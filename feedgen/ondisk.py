"""Files that are there whole or not at all, and on disk once they are there.

What is written stands beside its place, is brought to disk, and is renamed into it: a process that is killed, a full
disk and a loss of power leave what was there before. Who writes holds a lock, which ends with the process: by that what
a killed one left is known, also where the next has the same number, as in a container each has.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

WRITING: Final = ".writing"
"""How names end of what is not whole yet."""
_DISK_FULL: Final = "53100"
"""PostgreSQL's SQLSTATE."""


class Taken:
    """What is at a path, locked against whoever else takes it, until it is closed or the process ends."""

    def __init__(self, path: Path, flags: int, *, wait: bool = True) -> None:
        """Open it by `flags` of os.open. Taken by another: waits, or raises BlockingIOError. Raises OSError."""
        self._path = path
        while True:
            self._opened = os.open(path, flags, 0o666)
            try:
                fcntl.flock(self._opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if self.stands:
                    return
            except BaseException:
                self.close()
                raise
            self.close()  # whoever had it before has renamed or removed it: what is at the path now is another

    @property
    def stands(self) -> bool:
        """Whether it is still what is at the path: it may have been renamed or removed."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.stat(self._path), os.fstat(self._opened))
        return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._opened)


@contextmanager
def alone(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Alone of all who name this file, which is there meanwhile only. Raises OSError; BlockingIOError as Taken does.

    A file, as NFS locks no folder.
    """
    with closing(Taken(lock, os.O_CREAT | os.O_RDWR, wait=wait)):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Where this process writes what will be `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}{WRITING}")


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` at the end; if anything fails inside, it goes. Raises OSError."""
    unfinished = beside(path)
    with closing(Taken(unfinished, os.O_CREAT | os.O_RDWR)):
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def put_whole(path: Path, content: bytes) -> None:
    """The same of what is in memory. Raises OSError."""
    with whole(path) as file:
        file.write(content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to `put` files into that is `path` at the end; if anything fails inside, it goes.

    Raises OSError, as where `path` is there, or another process of this number writes the same.
    """
    unfinished = beside(path)
    drop_unfinished(path.parent)
    with closing(_taken_folder(unfinished)):
        try:
            yield unfinished
            sync_folder(unfinished)
            unfinished.rename(path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    sync_folder(path.parent)


def _taken_folder(path: Path) -> Taken:
    while True:
        path.mkdir()
        with suppress(FileNotFoundError):  # taken for left behind, and dropped, before it was locked
            return Taken(path, os.O_RDONLY | os.O_DIRECTORY)


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
    """Whether the system, SQLite or PostgreSQL says by this that there is no room on the disk."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return True
    return "disk is full" in str(error) or getattr(error, "sqlstate", None) == _DISK_FULL


def drop_unfinished(folder: Path) -> None:
    """Remove files and folders that processes left which ended while they wrote `beside`.

    What cannot be opened, locked (NFS locks no file that is open to be read only) or removed stays.
    """
    for path in folder.glob(f".*{WRITING}"):
        if not path.name.removesuffix(WRITING).rpartition(".")[2].isdecimal():
            continue
        with suppress(OSError), closing(Taken(path, os.O_RDONLY, wait=False)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
