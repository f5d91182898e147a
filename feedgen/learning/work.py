"""The folder of work beside a dump: what is done of it until it is whole. One process at a time is at it."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Final

from feedgen.errors import ForefeedError
from feedgen.learning.kept import DONE

_LOCK: Final = "replay.lock"
"""Also what tells such a folder from one of somebody's own."""


def work_of(dump: Path) -> Path:
    """The folder beside the dump."""
    return dump.with_name(f"{dump.name}.work")


@contextmanager
def at_work(dump: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Be the one who works at the dump. If that fails inside, `say` is told what is kept; nothing done: nothing is.

    Raises ForefeedError where there can be no such dump, or another process is at it; OSError.
    """
    folder = work_of(dump)
    _need_place(dump, folder)
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR)
    try:
        _only_one(lock, dump)
        try:
            yield
        except BaseException:
            _leave(folder, say)
            raise
    finally:
        os.close(lock)


def _need_place(dump: Path, folder: Path) -> None:
    if dump.exists() and not dump.is_file():
        raise ForefeedError(f"{dump} is no file that a dump could take the place of; name another --dump")
    if folder.exists() and not _own(folder):
        raise ForefeedError(f"{folder} is in the way and was not made by a replay; move it, or name another --dump")


def _own(folder: Path) -> bool:
    """Versions before had no lock, but records of what was done."""
    return folder.is_dir() and ((folder / _LOCK).exists() or any(folder.rglob(f"*{DONE}")) or not any(folder.iterdir()))


def _only_one(lock: int, dump: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ForefeedError(f"another process is writing {dump}; wait for it, or name another --dump") from None


def _leave(folder: Path, say: Callable[[str], None]) -> None:
    if any(folder.rglob(f"*{DONE}")):
        say(f"{folder} keeps what is done: the same command goes on from there; remove it if that is not wanted")
    else:
        rmtree(folder, ignore_errors=True)
