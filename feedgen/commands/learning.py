"""`feedgen train`, `replay` and `evaluate`: a log played through the pipeline that serves."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import msgspec

from feedgen.commands.compiling import announced
from feedgen.commands.console import MESSAGE_MAX, Reporter, one_line, put_json, terminable, to_stderr
from feedgen.commands.engine import Counting
from feedgen.commands.modelling import registry_of
from feedgen.commands.needed import need_data, need_data_folder
from feedgen.config import Settings
from feedgen.errors import ForefeedError, ModelError
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.learning import evaluation, history, judging, report
from feedgen.learning.dataset import Made, kind_of
from feedgen.learning.history import History
from feedgen.learning.kept import Kept, job_of
from feedgen.learning.replay import Replayed, Scorer, ranking_by
from feedgen.learning.replay import replay as replayed_by
from feedgen.learning.teaching import Taught, teach
from feedgen.learning.work import at_work, work_of
from feedgen.models.definitions import definitions
from feedgen.models.model import Model, read_model
from feedgen.models.registry import told
from feedgen.models.warming import warm as warm_models
from feedgen.ondisk import put_whole
from feedgen.warming import warm

_PROCESSES: Final = 4
_HOUR_S: Final = 3_600.0


@dataclass(frozen=True)
class Asked:
    """What all three are asked. `events` None: the event log of the data folder."""

    settings: Settings
    data_dir: Path
    events: str | None
    scorer_wanted: str | None
    processes_wanted: int | None

    @property
    def scorer(self) -> Scorer:
        """Which model ranks."""
        return cast(Scorer, self.scorer_wanted or self.settings.models.scorer)

    @property
    def processes(self) -> int:
        """How many processes play the log."""
        return self.processes_wanted or min(os.cpu_count() or 1, _PROCESSES)


def train(asked: Asked, *, until: float | None, promote: bool, rows: Path | None, refresh: bool = False) -> None:
    """Train on what came before `until` (s; all where None), and add the version to the registry.

    `refresh`: move the version that ranks on instead.

    Raises ModelError where there is too little to learn from, ForefeedError where there is no data folder,
    ImportFailed, LogError, OSError.
    """
    if asked.scorer == "formula":
        raise ModelError("the formula is configured, not learnt; name another --scorer")
    if asked.events is not None:
        need_data_folder(asked.settings, asked.data_dir)
    with terminable(), ExitStack() as stack:
        past = _read(asked)
        _compile(asked)
        end = past.events[-1].ts + 1.0 if until is None else until
        folder = rows if rows is not None else _rows_folder(stack)
        registry = registry_of(asked.data_dir)
        base = None
        if refresh:
            if not (promoted := registry.promoted()):
                raise ModelError("no version ranks that could be moved on; train one first")
            base = registry.load(promoted[-1], definitions(asked.settings))
        taught = _teach(asked, past, end, folder, base)
        name = registry.add(taught.model)
        if promote:
            registry.promote(name, definitions(asked.settings))
        put_json({"version": name, "promoted": promote, "made_from": _made(taught.made), **told(taught.model.meta)})


def replay(asked: Asked, begin: float, until: float, *, version: str | None, dump: Path | None) -> None:
    """Replay the logins of [begin, until), and say how good the orders were. Raises as `train`, and WorkerFailed."""
    with terminable(), at_work(dump, _say) if dump is not None else nullcontext():
        period = _Period(asked, begin, until, version, dump)
        found = period.replayed(foresee=False)
        with period.timed("judging"), Reporter("judging"):
            answer = period.said(found)
        answer["seconds"] = period.seconds
    to_stderr(report.text(answer))
    put_json(answer)


def evaluate(
    asked: Asked,
    begin: float,
    until: float,
    *,
    version: str | None,
    json: Path | None,
    html: Path | None,
    plots: Path | None,
) -> None:
    """The same with what the model foresaw, in tables, JSON, a page and pictures. Raises as `replay`."""
    with terminable():
        period = _Period(asked, begin, until, version)
        found = period.replayed(foresee=True)
        with period.timed("judging"), Reporter("judging"):
            answer = period.said(found) | evaluation.measures(found.foreseen)
            answer["order_slices"] = evaluation.order_slices(found.judged)
        answer["seconds"] = period.seconds
    to_stderr(report.text(answer))
    drawn = report.pictures(answer) if html is not None or plots is not None else []
    if plots is not None:
        report.write_pictures(drawn, plots)
    if html is not None:
        html.write_text(report.page(answer, drawn), encoding="utf-8")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(answer)) + b"\n")
    else:
        put_json(answer)


class _Period:
    """The logins that are asked about, and what ranks them."""

    def __init__(self, asked: Asked, begin: float, until: float, version: str | None, dump: Path | None = None) -> None:
        self._asked = asked
        self._span = begin, until
        self._settings = ranking_by(asked.settings, asked.scorer)
        self.seconds: dict[str, float] = {}
        """By stage, so far: wall clock."""
        self._dump = dump
        if version is not None and asked.events is not None:
            need_data_folder(asked.settings, asked.data_dir)
        with self.timed("reading"):
            self._past = _read(asked)
        if not self._past.logins(begin, until):
            raise ForefeedError(f"{_name(asked)}: no login between --train-until and --until")
        _compile(asked)
        self._made: Made | None = None
        self._model = self._learnt(version)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time what is inside under `stage`."""
        began = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - began, 1)

    def _learnt(self, version: str | None) -> Model | None:
        asked, (begin, _) = self._asked, self._span
        if asked.scorer == "formula":
            return None
        if version is not None:
            model = registry_of(asked.data_dir).load(version, definitions(asked.settings))
            if model.meta.until + asked.settings.learning.horizon_hours * _HOUR_S > begin:
                raise ModelError(f"{version} has learnt from what came after --train-until ({_moment(begin)})")
            return model
        with ExitStack() as stack:
            if self._dump is None:
                taught = _teach(asked, self._past, begin, _rows_folder(stack), seconds=self.seconds)
            else:
                taught = self._taught(self._dump)
        self._made = taught.made
        return taught.model

    def _taught(self, dump: Path) -> Taught:
        """With the dump's own folder of work: rows and model that were made there before are taken."""
        asked, (begin, _) = self._asked, self._span
        kept = Kept(work_of(dump) / "model")
        job = job_of(History(self._past.events[: self._past.at(begin)]), asked.settings, "model", begin, asked.scorer)
        kept.begin_anywhere(job, _say)
        if (made := kept.result("model", Made)) is not None:
            _say(f"{kept.folder}: the model was trained before")
            return Taught(read_model(kept.folder), made)
        taught = _teach(asked, self._past, begin, kept.folder / "rows", seconds=self.seconds)
        for name, content in taught.model.files().items():
            put_whole(kept.folder / name, content)
        kept.put("model", [kept.folder / name for name in taught.model.files()], taught.made)
        return taught

    def replayed(self, *, foresee: bool) -> Replayed:
        """Every login of the period."""
        with self.timed("replay"), Reporter(f"replaying with {self._asked.scorer}") as reporter:
            return replayed_by(
                self._past,
                self._settings,
                *self._span,
                model=self._model,
                foresee=foresee,
                dump=self._dump,
                processes=self._asked.processes,
                on_progress=_logins(reporter),
                say=_say,
            )

    def said(self, found: Replayed) -> dict[str, Any]:
        """For programs."""
        begin, until = self._span
        return {
            "scorer": self._asked.scorer,
            "version": None if self._model is None else self._model.name,
            "from": _moment(begin),
            "until": _moment(until),
            "rows": kind_of(self._past, begin),
            "made_from": None if self._made is None else _made(self._made),
            **judging.summary(found.judged),
        }


def _teach(
    asked: Asked,
    past: History,
    until: float,
    folder: Path,
    base: Model | None = None,
    seconds: dict[str, float] | None = None,
) -> Taught:
    """Train, with progress; says what the rows are. `seconds` gets how long rows and training took."""
    began, seconds = time.perf_counter(), {} if seconds is None else seconds

    def on_fit(share: float) -> None:
        reporter.progress(share, 1.0, f"{share:.0%} of the fit")

    def on_made(made: Made) -> None:
        seconds["rows"] = round(time.perf_counter() - began, 1)
        _say(f"learning from {made.rows:,} rows of {made.logins:,} logins ({made.kind})")

    with Reporter("learning") as reporter:
        taught = teach(
            past,
            asked.settings,
            until,
            folder,
            scorer=asked.scorer,
            base=base,
            processes=asked.processes,
            say=_say,
            on_rows=_logins(reporter),
            on_made=on_made,
            on_fit=on_fit,
        )
    seconds["training"] = round(time.perf_counter() - began - seconds["rows"], 1)
    return taught


def _say(line: str) -> None:
    to_stderr(f"feedgen: {line}")


def _read(asked: Asked) -> History:
    """Raises ImportFailed, LogError, and ForefeedError where there is nothing."""
    if asked.events is None:
        need_data(asked.settings, asked.data_dir)
        past = History.of(asyncio.run(_logged(asked)))
    else:
        with Reporter("reading the events") as reporter:
            past = history.read(
                asked.events,
                lambda read, size, count: reporter.progress(read, size, f"{count:,} events"),
                lambda reason: reporter.say(one_line(reason, MESSAGE_MAX)),
            )
    if not past.events:
        raise ForefeedError(f"{_name(asked)}: there are no events")
    return past


def _compile(asked: Asked) -> None:
    """Here, before processes begin that would each compile the same."""
    announced(warm, "the generation")
    if asked.scorer != "formula":
        announced(warm_models, "the models")


async def _logged(asked: Asked) -> list[Event]:
    async with await EventLog.open(asked.settings.log, asked.data_dir) as log:
        found: list[Event] = []
        offset = 0
        with Counting("reading the event log", "events", await log.count()) as counting:
            while batch := await log.read(offset, asked.settings.log.batch_events):
                found += [event for _, event in batch]
                offset = batch[-1][0]
                counting.add(len(batch))
        return found


def _rows_folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory(prefix="forefeed-rows-")))


def _name(asked: Asked) -> str:
    return "the event log" if asked.events is None else asked.events


def _logins(reporter: Reporter) -> Callable[[int, int], None]:
    return lambda done, of: reporter.progress(done, of, f"{done:,} of {of:,} logins")


def _made(made: Made) -> dict[str, Any]:
    return {**asdict(made), "begin": _moment(made.begin), "until": _moment(made.until)}


def _moment(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat().replace("+00:00", "Z")
