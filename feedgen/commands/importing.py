"""`feedgen import`: outside data into the event log."""

import time
from contextlib import aclosing
from pathlib import Path

from feedgen.commands.console import MESSAGE_MAX, Reporter, one_line, put_json
from feedgen.config import Settings
from feedgen.errors import ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers import ways
from feedgen.importers.intake import Batch, Report, pour
from feedgen.importers.source import STDIN


async def run(settings: Settings, data_dir: Path, source: str, mapping: str | None, *, now: float) -> None:
    """Import `source` and say on stdout what came of it. `now`: s, UTC; events more than a day later are refused.

    `mapping`: name of the one for a table. Raises ImportFailed when the source cannot be read, broke off, or holds
    lines but not one event; ConfigError when the settings do not say how to read it; LogError.
    """
    started = time.perf_counter()
    title = "standard input" if source == STDIN else source
    with ways.opened(settings, source, mapping, now) as way, Reporter(f"importing {one_line(title)}") as reporter:

        def on_batch(report: Report, batch: Batch) -> None:
            for line, reason, what in batch.refused:
                reporter.say(f"{what} {line}: {one_line(reason, MESSAGE_MAX)}")
            done, total, more = way.progress()
            reporter.progress(done, total, f"{more}{report.read:,} events read")

        async with await EventLog.open(settings.log, data_dir) as log, aclosing(way.stream(log)) as batches:
            report = await pour(batches, log, on_batch)
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
