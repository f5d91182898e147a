"""From any reader of outside data to the log, batch by batch."""

import asyncio
import threading
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from feedgen.eventlog import EventLog
from feedgen.events import Event


class Refused(NamedTuple):
    """A line that is no event, counted from 1, and why. `what` it is called where it is no line."""

    line: int
    reason: str
    what: str = "line"


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


class Way(NamedTuple):
    """An opened source. `stream`: its batches, for the log they go to; it goes on once a batch is on disk there.

    `progress`: how much has been read, of how much (None: not known), and what to say of it beside the events.
    `whole`: all of the source comes each time, not only what is new.
    """

    stream: Callable[[EventLog], AsyncGenerator[Batch, None]]
    progress: Callable[[], tuple[float, float | None, str]]
    whole: bool = True


def batched(items: Iterator[Event | Refused], size: int) -> Iterator[Batch]:
    """`items` in batches of `size`. A source that breaks off (gzip cut short, read error) ends with a `failure`."""
    batch = Batch([], [])
    try:
        for item in items:
            if isinstance(item, Refused):
                batch.refused.append(item)
            else:
                batch.events.append(item)
            if len(batch.events) + len(batch.refused) >= size:
                yield batch
                batch = Batch([], [])
    except EOFError:
        batch = batch._replace(failure="the gzip file is cut short; everything before the cut was imported")
    except (OSError, zlib.error) as error:
        batch = batch._replace(failure=f"reading broke off ({error}); everything before was imported")
    if batch != Batch([], []):
        yield batch


async def pour(batches: AsyncIterator[Batch], log: EventLog, on_batch: Callable[[Report, Batch], None]) -> Report:
    """Append every batch; `on_batch` is told after each, once its events are on disk. One batch is held.

    Raises LogError when the log cannot be written, and whatever the reader raises.
    """
    report = Report()
    async for batch in batches:
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


async def threaded(batches: Iterator[Batch]) -> AsyncGenerator[Batch, None]:
    """The batches of a reader that blocks."""
    while (batch := await _next(batches)) is not None:
        yield batch


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
