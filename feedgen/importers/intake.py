"""From any reader of outside data to the log, batch by batch."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from feedgen.eventlog import EventLog
from feedgen.events import Event


class Refused(NamedTuple):
    """A line (or row) that is no event, counted from 1, and why."""

    line: int
    reason: str


class Batch(NamedTuple):
    """Some lines of a source: the events in them, and the lines that are none. `failure`: why the source ends here."""

    events: list[Event]
    refused: list[Refused]
    failure: str | None = None


class Report(NamedTuple):
    """What an import has done so far. read = appended + duplicate + refused; `failure`: why the source broke off."""

    read: int = 0
    appended: int = 0
    duplicate: int = 0
    refused: int = 0
    failure: str | None = None


async def pour(batches: Iterator[Batch], log: EventLog, on_batch: Callable[[Report, Batch], None]) -> Report:
    """Append every batch; `on_batch` is told after each, once its events are on disk. One batch is held.

    Raises LogError when the log cannot be written, and whatever the reader raises.
    """
    report = Report()
    while (batch := await _next(batches)) is not None:
        done = await log.append(batch.events) if batch.events else None
        report = Report(
            read=report.read + len(batch.events) + len(batch.refused),
            appended=report.appended + (done.appended if done else 0),
            duplicate=report.duplicate + (done.duplicate if done else 0),
            refused=report.refused + len(batch.refused),
            failure=batch.failure,
        )
        on_batch(report, batch)
    return report


def _next(batches: Iterator[Batch]) -> asyncio.Future[Batch | None]:
    """The next batch, None at the end, read in a thread that nothing waits for.

    A daemon, not the loop's executor: a read that waits for a terminal or pipe cannot be cancelled, and the executor
    would be waited for at exit. Nothing is read ahead of the write: both mostly hold the GIL, and 216,389 events took
    as long with it as without (best of 3: 111,000 and 127,000 events/s).
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Batch | None] = loop.create_future()

    def settle(batch: Batch | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(batch)
        else:
            future.set_exception(error)

    def read() -> None:
        batch, error = None, None
        try:
            batch = next(batches, None)
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, batch, error)

    threading.Thread(target=read, name="import-reader", daemon=True).start()
    return future
