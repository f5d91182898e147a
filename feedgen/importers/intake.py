"""From any reader of outside data to the log: batches are read in a thread while the one before is written."""

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
    """Append every batch; `on_batch` is told after each, once its events are on disk. Two batches are held at most.

    Raises LogError when the log cannot be written, and whatever the reader raises.
    """
    report = Report()
    ahead = _next(batches)
    try:
        while (batch := await ahead) is not None:
            ahead = _next(batches)
            done = await log.append(batch.events) if batch.events else None
            report = Report(
                read=report.read + len(batch.events) + len(batch.refused),
                appended=report.appended + (done.appended if done else 0),
                duplicate=report.duplicate + (done.duplicate if done else 0),
                refused=report.refused + len(batch.refused),
                failure=batch.failure,
            )
            on_batch(report, batch)
    finally:
        if not ahead.cancel() and not ahead.cancelled():
            ahead.exception()  # seen: it is not what this import fails of
    return report


def _next(batches: Iterator[Batch]) -> asyncio.Future[Batch | None]:
    """The next batch, None at the end, read in a thread that nothing waits for.

    A daemon, not the loop's executor: a read that waits for a terminal or pipe cannot be cancelled, and the executor
    would be waited for at exit. Not read on the loop, because that would keep the write before it from going on.
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
