"""What a long job has done so far, in a folder: one that was cut off goes on from there.

Of each piece that is done there is a record, which names the files of the piece with their digests. Files and records
are written beside and renamed, the record last; so what is recorded is whole, and what is not is done again.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, NamedTuple

import msgspec

from feedgen.config import Settings
from feedgen.learning.history import History
from feedgen.learning.spans import Begin, cut, each_piece
from feedgen.ondisk import WRITING, put_whole

_JOB: Final = "job"
DONE: Final = ".done"
"""How records end of pieces that are done."""
_SOURCES: Final = Path(__file__).parent.parent


class Done(NamedTuple):
    """What a piece gave, as JSON can hold it, and the files it wrote into the folder."""

    result: Any
    files: Sequence[Path] = ()


class _Record(msgspec.Struct, frozen=True):
    files: dict[str, str]
    result: msgspec.Raw


def job_of(history: History, settings: Settings, *about: object) -> str:
    """A digest of what decides the results of a job: events, settings, sources, what else it is told. O(events)."""
    digest = blake2b(digest_size=16)
    for path in sorted(_SOURCES.rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update(msgspec.json.encode(settings))
    digest.update(repr(about).encode())
    encode = msgspec.msgpack.Encoder().encode
    for event in history.events:
        digest.update(encode(event))
    return digest.hexdigest()


class Kept:
    """The pieces of one job that are done, by name, in a folder. One process writes."""

    def __init__(self, folder: Path) -> None:
        """`folder`: is there when something is begun, put or asked for, unless the method says otherwise."""
        self.folder = folder

    @property
    def job(self) -> str | None:
        """Of which job the pieces are; None where nothing says so."""
        path = self.folder / _JOB
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None

    def begin(self, job: str) -> None:
        """What is kept from now on is of this job: records of another go, and files half written. Raises OSError."""
        for path in self.folder.glob(f"*{WRITING}"):
            path.unlink(missing_ok=True)
        if self.job != job:
            for path in self.folder.glob(f"*{DONE}"):
                path.unlink()
        put_whole(self.folder / _JOB, job.encode() + b"\n")

    def begin_anywhere(self, job: str, say: Callable[[str], None]) -> None:
        """The same, in a folder that need not be there; if it is of another job `say` is told, and nothing stays."""
        if self.folder.exists() and self.job != job:
            if self.job is not None:
                say(f"{self.folder}: what is there is of other events, settings or sources; beginning anew")
            rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.begin(job)

    def put(self, name: str, files: Sequence[Path], result: Any) -> None:
        """The piece is done; `files` are in the folder. Raises OSError."""
        digests = {path.name: _digest(path) for path in files}
        record = {"files": digests, "result": result}
        put_whole(self.folder / f"{name}{DONE}", msgspec.json.encode(record))

    def result(self, name: str, kind: Any) -> Any | None:
        """What the piece gave, as `kind`; None where it is not done, or a file of it is not what it was. O(bytes)."""
        try:
            record = msgspec.json.decode((self.folder / f"{name}{DONE}").read_bytes(), type=_Record)
            if any(_digest(self.folder / file) != digest for file, digest in record.files.items()):
                return None
            return msgspec.json.decode(record.result, type=kind)
        except (OSError, msgspec.MsgspecError):
            return None


def each_kept(
    begin: Begin,
    shared: Any,
    places: Sequence[int],
    kind: Any,
    *,
    processes: int,
    on_progress: Callable[[int, int], None],
    kept: Kept | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Any]:
    """What the pieces of a period give, in order: `spans.each_piece`, whose results are of `Done`.

    With `kept`, those done before are taken from there, each of type `kind`, and `say` is told; others are put there.
    """
    pieces = cut(places)
    names = [f"part-{piece[0]:012d}" for piece in pieces]
    found = [None if kept is None else kept.result(name, kind) for name in names]
    left = [number for number, result in enumerate(found) if result is None]
    before = sum(len(piece) for piece, result in zip(pieces, found, strict=True) if result is not None)
    if kept is not None and before:
        say(f"{kept.folder}: {before:,} of {len(places):,} logins were done before; going on from there")

    def on_result(at: int, done: Done) -> None:
        found[left[at]] = done.result
        if kept is not None:
            kept.put(names[left[at]], done.files, done.result)

    todo = [pieces[number] for number in left]
    each_piece(begin, shared, todo, processes, on_result, lambda count: on_progress(before + count, len(places)))
    return found


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()
