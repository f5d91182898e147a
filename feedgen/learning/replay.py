"""The feed that every login of a past period would have got: written down, and judged by what the viewers then did."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import IO, Final, Literal

import msgspec
from msgspec.structs import replace as replaced

from feedgen.config import Settings
from feedgen.learning.dataset import Outcomes, RowMaker
from feedgen.learning.evaluation import Foreseer
from feedgen.learning.foreseen import Foreseen
from feedgen.learning.history import History
from feedgen.learning.judging import Judge, Judged
from feedgen.learning.online import Online
from feedgen.learning.player import Login, Player
from feedgen.learning.spans import each_span
from feedgen.models.actions import values_of
from feedgen.models.lining import version_of
from feedgen.models.model import Model
from feedgen.models.ranker import LineUp
from feedgen.shortlist import Shortlist

_GZIP: Final = ".gz"
_NEVER_MS: Final = 1e9
Scorer = Literal["formula", "linear", "trees", "stacked"]


@dataclass(frozen=True)
class Replayed:
    """What a period gave. `foreseen`: what the model foresaw, where that was asked for."""

    judged: Judged
    foreseen: Sequence[Foreseen] = ()


@dataclass(frozen=True)
class _Task:
    history: History
    settings: Settings
    model: Model | None
    foresee: bool
    begin: float
    folder: Path | None = None
    packed: bool = False


def ranking_by(settings: Settings, scorer: Scorer) -> Settings:
    """The settings of a replay by `scorer`: no deadline, as nobody waits and a replay gives the same every time."""
    return replaced(settings, models=replaced(settings.models, scorer=scorer, deadline_ms=_NEVER_MS))


class Lines:
    """Lines of the dump: one a login."""

    def __init__(self, player: Player) -> None:
        self._posts = player.state.post_ids
        self._encoder = msgspec.json.Encoder()

    def line(self, login: Login, feed: Shortlist) -> bytes:
        """O(items)."""
        ranked = self._posts.names_of(feed.order)
        ts = int(login.ts) if login.ts == int(login.ts) else login.ts
        fields = {
            "viewer": login.name,
            "ts": ts,
            "items_ranked": ranked,
            "scores": [float(f"{score:.7g}") for score in feed.scores.tolist()],
            "items": self._posts.names_of(feed.posts),
        }
        return self._encoder.encode(fields) + b"\n"


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
) -> Replayed:
    """What every login in [begin, until) would have got; a line each, by time, in `dump` (gzip if it is called so).

    `settings`: see `ranking_by`; without a model the formula ranks. `foresee`: also keep what the model foresees of
    every login. One process where the model goes on learning: it has to have learnt all before. The file is there once
    all is done, or not at all. About 15 ms a login. Raises WorkerFailed, OSError.
    """
    places = history.logins(begin, until)
    task = _Task(history, settings, model, foresee, begin)
    if _learns(task):
        processes = 1
    if dump is None:
        spans = each_span(_replay_span, task, places, processes, on_progress)
    else:
        with TemporaryDirectory(dir=dump.parent, prefix=f".{dump.name}-") as folder:
            writing = replace(task, folder=Path(folder), packed=dump.suffix == _GZIP)
            spans = each_span(_replay_span, writing, places, processes, on_progress)
            whole = Path(folder) / "whole"
            with whole.open("wb") as file:
                for part in sorted(Path(folder).glob("part-*")):
                    with part.open("rb") as opened:
                        copyfileobj(opened, file)  # gzip files one after the other are a gzip file
            whole.replace(dump)
    judged = Judged()
    for span in spans:
        judged.extend(span.judged)
    return Replayed(judged, [part for span in spans for part in span.foreseen])


def _learns(task: _Task) -> bool:
    """Whether the model goes on learning from every login."""
    return task.settings.models.scorer == "stacked" and task.model is not None and task.model.stacked is not None


def _replay_span(task: _Task, places: Sequence[int], one_more: Callable[[], None]) -> Replayed:
    player, settings, model = Player(task.history, task.settings), task.settings, task.model
    outcomes = Outcomes.of(task.history, task.begin, inf, settings.learning.horizon_hours)
    maker = RowMaker(player, outcomes, settings.learning)
    judge = Judge(task.history, player.state, outcomes, values_of(settings))
    online = Online(player, model, settings, maker) if model is not None and _learns(task) else None
    if model is not None and online is None and settings.models.scorer != "formula":
        player.pipeline.ranker.line_up = LineUp((version_of(model, settings),))
    foreseer = None
    if model is not None and task.foresee:
        weights = None if online is None else online.weights
        foreseer = Foreseer(player, maker, model, settings.models.scorer, weights, settings.learning.seed)

    def lines() -> Iterable[bytes]:
        written = Lines(player)
        for login in player.stops(places):
            if online is not None:
                online.advance(login.ts)
            feed = player.pipeline.shortlist(login.viewer, login.ts)
            judge.judge(login, feed)
            if foreseer is not None:
                foreseer.foresee(login, feed)
            if online is not None:
                online.note(login, feed)
            yield written.line(login, feed)
            one_more()

    if task.folder is None:
        for _ in lines():
            pass
    else:
        with _part(task.folder, task.packed, places[0] if places else 0) as file:
            file.writelines(lines())
    failed = sum(count for name, count in player.pipeline.ranker.counted.items() if name.startswith("failed_"))
    judge.judged.stood_in = failed
    return Replayed(judge.judged, () if foreseer is None else foreseer.all())


@contextmanager
def _part(folder: Path, packed: bool, first: int) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with (folder / f"part-{first:012d}").open("wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile("", "wb", 4, file, mtime=0) as zipped:
            yield zipped
