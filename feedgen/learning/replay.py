"""The feed that every login of a past period would have got: written down, and judged by what the viewers then did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import Final, Literal

from msgspec.structs import replace as replaced

from feedgen.config import Settings
from feedgen.learning.foreseen import Foreseen
from feedgen.learning.history import History
from feedgen.learning.judging import Judged
from feedgen.learning.kept import Kept, each_kept, job_of
from feedgen.learning.replayer import LINES, Replayer, Task
from feedgen.learning.work import drop_work, work_of
from feedgen.models.model import Model
from feedgen.ondisk import sync_folder, whole

_GZIP: Final = ".gz"
_NEVER_MS: Final = 1e9
Scorer = Literal["formula", "linear", "trees", "stacked"]


@dataclass(frozen=True)
class Replayed:
    """What a period gave. `foreseen`: what the model foresaw, where that was asked for."""

    judged: Judged
    foreseen: Sequence[Foreseen] = ()


def ranking_by(settings: Settings, scorer: Scorer) -> Settings:
    """The settings of a replay by `scorer`: no deadline, as nobody waits and a replay gives the same every time."""
    return replaced(settings, models=replaced(settings.models, scorer=scorer, deadline_ms=_NEVER_MS))


def replay(
    history: History,
    settings: Settings,
    begin: float,
    until: float,
    *,
    model: Model | None = None,
    foresee: bool = False,
    dump: Path | None = None,
    processes: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    say: Callable[[str], None] = lambda line: None,
) -> Replayed:
    """What every login in [begin, until) would have got; a line each, by time, in `dump` (gzip if it is called so).

    `settings`: see `ranking_by`; without a model the formula ranks. `foresee`: also keep what the model foresees of
    every login; not with a dump. The dump is there once all is done, or not at all; until then what is done is in
    `work_of` it, and the next time the same is asked for, that is gone on with, and `say` is told. Where the model goes
    on learning, it is done by one process and from the beginning: it has to have learnt all before.
    About 7 ms a login. Raises WorkerFailed, OSError.
    """
    folder = None if dump is None else work_of(dump) / "lines"
    task = Task(history, settings, model, foresee, begin, folder, dump is not None and dump.suffix == _GZIP)
    kept = None if folder is None else _kept(folder, task, until, say)
    each = each_kept(
        Replayer, task, history.logins(begin, until), tuple[Judged, tuple[()]],
        processes=1 if task.learns else processes, on_progress=on_progress, kept=kept, say=say,
    )  # fmt: skip
    if dump is not None and folder is not None:
        with whole(folder / "whole") as file:
            for part in sorted(folder.glob(f"*{LINES}")):
                with part.open("rb") as opened:
                    copyfileobj(opened, file)  # gzip files one after the other are a gzip file
        (folder / "whole").replace(dump)
        sync_folder(dump.parent)
        drop_work(dump)
    judged, foreseen = Judged(), list[Foreseen]()
    for of_piece, foreseen_of_piece in each:
        judged.extend(of_piece)
        foreseen += foreseen_of_piece
    return Replayed(judged, foreseen)


def _kept(folder: Path, task: Task, until: float, say: Callable[[str], None]) -> Kept:
    """What of this very task is done; nothing of another stays."""
    name = None if task.model is None else task.model.name
    job = job_of(task.history, task.settings, "lines", task.begin, until, name, task.packed)
    kept = Kept(folder)
    if task.learns:
        rmtree(folder, ignore_errors=True)
    kept.begin_anywhere(job, say)
    return kept
