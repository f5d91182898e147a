"""The folder of work beside a dump: what is done of it until it is whole. One process at a time is at it."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

from feedgen.errors import ForefeedError
from feedgen.learning.kept import DONE
from feedgen.ondisk import Taken

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
    with closing(_only_one(folder, dump)) as lock:
        try:
            yield
        except BaseException:
            if lock.stands:  # else the dump was whole, and the folder is another's by now
                _leave(dump, say)
            raise


def drop_work(dump: Path) -> None:
    """Remove the folder, its lock last: what there is until then is known to be a replay's. Raises OSError."""
    folder = work_of(dump)
    for path in folder.iterdir():
        if path.is_dir():
            rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    (folder / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # somebody has begun anew in it
        folder.rmdir()


def _need_place(dump: Path, folder: Path) -> None:
    if dump.exists() and not dump.is_file():
        raise ForefeedError(f"{dump} is no file that a dump could take the place of; name another --dump")
    if (folder.exists() or folder.is_symlink()) and not _own(folder):
        raise ForefeedError(f"{folder} is in the way and was not made by a replay; move it, or name another --dump")


def _own(folder: Path) -> bool:
    """Versions before had no lock, but records of what was done."""
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():  # a file, or a link to nowhere
        return False
    with suppress(FileNotFoundError):
        return (folder / _LOCK).exists() or any(folder.rglob(f"*{DONE}")) or not any(folder.iterdir())
    return True  # whoever was at it has just removed it


def _only_one(folder: Path, dump: Path) -> Taken:
    while True:
        with suppress(FileExistsError):
            folder.mkdir()
        try:
            return Taken(folder / _LOCK, os.O_CREAT | os.O_RDWR, wait=False)
        except FileNotFoundError:
            continue  # whoever was at it has just removed the folder
        except BlockingIOError:
            raise ForefeedError(f"another process is writing {dump}; wait for it, or name another --dump") from None


def _leave(dump: Path, say: Callable[[str], None]) -> None:
    folder = work_of(dump)
    if any(folder.rglob(f"*{DONE}")):
        say(f"{folder} keeps what is done: the same command goes on from there; remove it if that is not wanted")
    else:
        with suppress(OSError):
            drop_work(dump)
