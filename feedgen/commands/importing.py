"""`feedgen import`: outside data into the event log."""

import time
from pathlib import Path

from feedgen.commands.console import MESSAGE_MAX, Reporter, one_line, put_json
from feedgen.config import Settings
from feedgen.errors import ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers import jsonl
from feedgen.importers.intake import Batch, Report, pour


async def run(settings: Settings, data_dir: Path, source: str, *, now: float) -> None:
    """Import `source` and say on stdout what came of it. `now`: s, UTC; events more than a day later are refused.

    Raises ImportFailed when the source cannot be read, broke off, or holds lines but not one event; LogError.
    """
    started = time.perf_counter()
    title = "standard input" if source == jsonl.STDIN else source
    with jsonl.opened(source) as opened, Reporter(f"importing {one_line(title)}") as reporter:

        def on_batch(report: Report, batch: Batch) -> None:
            for line, reason in batch.refused:
                reporter.say(f"line {line}: {one_line(reason, MESSAGE_MAX)}")
            reporter.progress(opened.read_bytes(), opened.size_bytes, f"{report.read:,} events read")

        async with await EventLog.open(settings.log, data_dir) as log:
            report = await pour(jsonl.batches(opened, now, settings.log.batch_events), log, on_batch)
        if report.read == 0 and report.failure is None:
            reporter.say(f"{one_line(title)}: holds no events")
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
