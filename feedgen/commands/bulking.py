"""`feedgen import --bulk`: a large network from Parquet tables into a snapshot, which the log then goes on from."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from feedgen.commands.compiling import announced
from feedgen.commands.console import Reporter, put_json
from feedgen.config import Settings
from feedgen.errors import ImportFailed
from feedgen.eventlog import EventLog, need_folder
from feedgen.feed.removals import RemovalIndex
from feedgen.gate import EpochGate
from feedgen.importers.bulk import BulkReader
from feedgen.keeper import StateKeeper
from feedgen.offloop import in_thread
from feedgen.ondisk import alone
from feedgen.snapshots import Snapshots, rest_on
from feedgen.state import warming
from feedgen.state.state import State

LOCK: Final = ".import"
"""Within data_dir, while it is filled."""


async def run(settings: Settings, data_dir: Path, folder: Path, *, now: float) -> None:
    """Load the tables in `folder` and write them as the snapshot that an empty log goes on from; say what came of it.

    The snapshot is whole before the log is told: who is interrupted before begins again. Raises ImportFailed when the
    log is not empty, another process does the same, or the tables cannot be used; LogError; OSError when the disk is
    full.
    """
    with Reporter(f"importing {folder}") as reporter:
        reader = BulkReader(folder, now)
        with _alone(data_dir):
            async with await EventLog.open(settings.log, data_dir) as log:
                told = await _imported(reader, settings, data_dir, log, reporter)
    put_json(told)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """The snapshot of a second import at once would take the place of the first one's, which the log then lacks."""
    need_folder(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(data_dir / LOCK, wait=False))
        except BlockingIOError:
            raise ImportFailed(f"another bulk import fills {data_dir}; wait for it, or name another --data") from None
        yield


async def _imported(
    reader: BulkReader, settings: Settings, data_dir: Path, log: EventLog, reporter: Reporter
) -> dict[str, Any]:
    state = State(settings.state, settings.ranking)
    removals = RemovalIndex(settings.state.removals_kept)
    keeper = StateKeeper(log, state, removals, EpochGate(), settings.log.batch_events, settings.worker.fold_poll_s)
    snapshots = Snapshots(data_dir, settings, log, state, removals, reporter.say)
    if await log.head() or await snapshots.base():
        raise ImportFailed(f"{data_dir} holds a log already; a bulk import begins one, in a new folder")
    await in_thread(announced, lambda: warming.warm(State(settings.state, settings.ranking)), "the state")
    began, done = time.perf_counter(), 0

    def on_rows(table: str, rows: int) -> None:
        nonlocal done
        done += rows
        reporter.progress(done, reader.rows, f"{table}: {done:,} of {reader.rows:,} rows")

    loaded = await in_thread(reader.load, state, on_rows)
    loaded_s = time.perf_counter() - began
    reporter.progress(done, reader.rows, "writing the snapshot")
    keeper.latest_ts = loaded.latest_ts
    base = uuid.uuid4().hex
    cut = await snapshots.cut(keeper, base)
    assert cut is not None
    await rest_on(log, base)
    return {
        "rows": loaded.rows,
        "rows_per_s": round(reader.rows / loaded_s, 1),
        "snapshot_bytes": cut.nbytes,
        "seconds": {"load": round(loaded_s, 2), "snapshot": round(cut.took_s, 2)},
    }
