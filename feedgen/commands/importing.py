"""`feedgen import`: outside data into the event log."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from feedgen.commands.console import MESSAGE_MAX, Reporter, one_line, put_json
from feedgen.config import Settings
from feedgen.errors import ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers import ways
from feedgen.importers.intake import Batch, Refused, Report, pour
from feedgen.importers.source import STDIN

_SUMMED_FROM: Final = 20
"""Refusals that fit a screen, and need no summary."""
_KINDS_MAX: Final = 100
_VALUES: Final = re.compile(r"""'[^']*'|"[^"]*"|\d+""")


class Kinds:
    """Refusals by kind, whatever values and numbers are in them: how many, and one line of each. 100 kinds at most."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, refused: Refused, line: str) -> None:
        """`line`: what is said of it."""
        kind = _VALUES.sub("", f"{refused.what} {refused.reason}")
        if kind not in self._counts and len(self._counts) >= _KINDS_MAX:
            kind = ""
        self._counts[kind] += 1
        self._first.setdefault(kind, line)

    def lines(self) -> Iterator[str]:
        """How many of each kind, the most frequent first, with the first of them. Nothing for a few."""
        if self._counts.total() > _SUMMED_FROM:
            yield f"{self._counts.total():,} refused, by reason, each with the first of its kind:"
            for kind, count in self._counts.most_common():
                yield f"{count:>10,} × {self._first[kind]}"


async def run(settings: Settings, data_dir: Path, source: str, mapping: str | None, *, now: float) -> None:
    """Import `source` and say on stdout what came of it. `now`: s, UTC; events more than a day later are refused.

    `mapping`: name of the one for a table. Raises ImportFailed when the source cannot be read, broke off, or holds
    lines but not one event; ConfigError when the settings do not say how to read it; LogError.
    """
    started = time.perf_counter()
    title = "standard input" if source == STDIN else source
    with ways.opened(settings, source, mapping, now) as way, Reporter(f"importing {one_line(title)}") as reporter:
        kinds = Kinds()

        def on_batch(report: Report, batch: Batch) -> None:
            for refused in batch.refused:
                line = f"{refused.what} {refused.line}: {one_line(refused.reason, MESSAGE_MAX)}"
                reporter.say(line)
                kinds.add(refused, line)
            done, total, more = way.progress()
            reporter.progress(done, total, f"{more}{report.read:,} events read")

        async with await EventLog.open(settings.log, data_dir) as log, aclosing(way.stream(log)) as batches:
            report = await pour(batches, log, on_batch)
        for line in kinds.lines():
            reporter.say(line)
        if report.read == 0 and report.failure is None:
            reporter.say(f"{one_line(title)}: holds no events" if way.whole else f"{one_line(title)}: nothing new")
    put_json(
        {
            "read": report.read,
            "appended": report.appended,
            "duplicate": report.duplicate,
            "refused": report.refused,
            "events_per_s": round(report.read / (time.perf_counter() - started), 1),
        }
    )
    if report.failure is not None:
        raise ImportFailed(f"{title}: {report.failure}")
    if report.read and report.read == report.refused:
        raise ImportFailed(f"{title}: no line of {report.read} could be read as an event")
