"""The durable, append-only event log: SQLite by default, PostgreSQL by URL, one code path for both.

An event that `append` has returned for is on disk. Offsets grow by insertion and may have gaps; a reader that follows
them sees every event once. Ids are kept as bytes, so that every id (NUL included) is compared exactly, on both.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    CursorResult,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateTable

from feedgen import config, events
from feedgen.errors import BadEvent, LogError, LogFull
from feedgen.events import Event
from feedgen.ondisk import is_full

SQLITE_NAME: Final = "events.sqlite"

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}

# Taken first in every writing transaction. SQLite: the write lock at once, since a transaction that begins by reading
# cannot wait for it later. PostgreSQL gives out offsets before the commit: without one writer at a time, offset 8 could
# become visible before offset 7, and a reader that follows offsets would pass 7 by for ever.
_LOCKS: Final = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(7310577382525465444)"}

# Rows per INSERT, in powers of two: few statements to keep prepared, and SQLite's 32,766 parameters are not reached.
# Many rows per statement, because sqlite3 gives the GIL up once per statement: beside a busy thread, one row each
# (executemany) writes 190 events/s, 1,000 rows each 10,900; alone 184,000 against 280,000.
_ROWS_MAX: Final = 4_096

# Rows fetched and decoded before other tasks of the loop get their turn: 5 ms on a busy machine. Longer pages are no
# faster (130,000 events/s at 5,000 rows, 240,000 at 1,000), and a thread would not help: decoding holds the GIL.
_READ_ROWS: Final = 1_000

_POLL_S: Final = 0.02
"""Between two tries for SQLite's write lock."""

_table: Final = Table(
    "events",
    MetaData(),
    Column("log_offset", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("ts", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

_marks: Final = Table(
    "import_marks", MetaData(), Column("source", Text, primary_key=True), Column("mark", Text, nullable=False)
)

_Written = TypeVar("_Written")


def holds_log(settings: config.Log, data_dir: Path) -> bool:
    """Whether there is a log already, asked before an empty one is made. A log by URL counts as there.

    Raises LogError if there can be none, `data_dir` being a file.
    """
    need_folder(data_dir)
    return bool(settings.url) or (data_dir / SQLITE_NAME).exists()


def need_folder(data_dir: Path) -> None:
    """Raises LogError where a data folder can neither be nor be made, a file being there."""
    if data_dir.exists() and not data_dir.is_dir():
        raise LogError(f"{data_dir} is not a folder; --data names the folder of the event log")


class Appended(NamedTuple):
    """What an append did: events new to the log, events it had already, and the log's head after it."""

    appended: int
    duplicate: int
    head: int


class EventLog:
    """The log. Tasks of one loop may share it; other processes may append to the same database meanwhile.

    Every method raises LogError, one line, when the database cannot be read or written.
    """

    def __init__(self, engine: AsyncEngine, name: str, busy_timeout_s: float) -> None:
        """Use `open`. `name` is what error messages call the log."""
        self._engine = engine
        self._name = name
        self._busy_timeout_s = busy_timeout_s
        self._writing: set[asyncio.Task[Any]] = set()
        self._called_off = False  # whether the caller whose turn it is has given up
        self._turn = asyncio.Lock()  # in turn within this process; SQLite's own waiting is by polling, and unfair

    @classmethod
    async def open(cls, settings: config.Log, data_dir: Path) -> Self:
        """The log at `settings.url`, or else in `data_dir`; folder and table are made where missing."""
        url = _url(settings.url, data_dir)
        if not settings.url:
            need_folder(data_dir)
        name = url.render_as_string(hide_password=True) if settings.url else str(url.database)
        # TypeError, ValueError: how drivers refuse a URL argument nobody knows, and a path with NUL.
        with _clear(name, TypeError, ValueError, sqlite3.Error):
            if url.get_backend_name() == "sqlite":
                Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
                # aiosqlite's thread may outlive the loop when it cannot open the file, and print a traceback of that.
                sqlite3.connect(str(url.database)).close()
            log = cls(_engine(url, settings.busy_timeout_s), name, settings.busy_timeout_s)
            try:
                await log._prepare()
            except BaseException:
                await log.close()
                raise
        return log

    async def _prepare(self) -> None:
        async with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                await _use_wal(connection, self._busy_timeout_s)
            if await connection.run_sync(lambda sync: inspect(sync).has_table(_table.name)):
                return
            await connection.rollback()
            await self._lock(connection)
            await connection.execute(CreateTable(_table, if_not_exists=True))
            await connection.commit()

    async def _lock(self, connection: AsyncConnection) -> None:
        """Keep other writers out until the commit. SQLite would wait in a thread, where nobody can end it."""
        lock = _LOCKS[connection.dialect.name]
        if connection.dialect.name != "sqlite":
            await connection.exec_driver_sql(lock)
            return
        await connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            await _insist(connection, lock, self._busy_timeout_s, lambda: self._called_off)
        finally:
            await connection.exec_driver_sql(f"PRAGMA busy_timeout={round(self._busy_timeout_s * 1_000)}")

    async def append(self, batch: Sequence[Event]) -> Appended:
        """Append the events whose ids are new, all or none, in their order; returns when they are on disk.

        O(n log size). Events with an id the log or an earlier part of the batch holds count as duplicates. A caller
        that is cancelled meanwhile waits for the end of the transaction, and does not learn what came of it; one that
        is still waiting for another process's transaction writes nothing.

        Raises LogError after twice `busy_timeout_s` at most, when another process keeps the database locked.
        """
        values = [value for item in batch for value in (item.id.encode(), item.ts, events.encode(item))]
        return await self._in_turn(self._write(len(batch), values))

    async def _in_turn(self, write: Coroutine[Any, Any, _Written]) -> _Written:
        """To its end even when the caller gives up: a connection dropped in the middle of a statement would go on with
        it, and hold up whoever comes next.
        """
        await self._take_turn(write)
        try:
            self._called_off = False
            writing = asyncio.create_task(write)
            self._writing.add(writing)
            writing.add_done_callback(self._written)
            try:
                return await asyncio.shield(writing)
            except asyncio.CancelledError:
                self._called_off = True
                await asyncio.wait({writing})
                raise
        finally:
            self._turn.release()

    async def _take_turn(self, write: Coroutine[Any, Any, Any]) -> None:
        """Wait `busy_timeout_s` at most: beside a locked database the tenth in line would wait ten times as long."""
        try:
            async with asyncio.timeout(self._busy_timeout_s):
                await self._turn.acquire()
        except BaseException as error:
            write.close()
            if isinstance(error, TimeoutError):
                raise LogError(f"event log {self._name}: no turn to write within log.busy_timeout_s") from None
            raise

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # seen, in case its caller gave up

    async def _write(self, count: int, values: list[Any]) -> Appended:
        appended = 0
        with _clear(self._name):
            async with self._engine.connect() as connection:
                await self._lock(connection)
                for start, rows in _chunks(count):
                    statement = _insert(connection.dialect.name, rows)
                    done = await connection.exec_driver_sql(statement, tuple(values[3 * start : 3 * (start + rows)]))
                    appended += done.rowcount
                head = await _head(connection)
                await connection.commit()
        return Appended(appended, count - appended, head)

    async def read(self, after: int, limit: int, until_ts: float | None = None) -> list[tuple[int, Event]]:
        """At most `limit` events behind offset `after`, in offset order; only those with ts ≤ `until_ts`, if given.

        O(limit); with `until_ts` also the events passed over.
        """
        query = select(_table.c.log_offset, _table.c.payload).order_by(_table.c.log_offset)
        if until_ts is not None:
            query = query.where(_table.c.ts <= until_ts)
        found: list[tuple[int, Event]] = []
        with _clear(self._name):
            async with self._engine.connect() as connection:
                while len(found) < limit:
                    wanted = min(_READ_ROWS, limit - len(found))
                    rows = (await connection.execute(query.where(_table.c.log_offset > after).limit(wanted))).all()
                    found += [(offset, events.decode(payload)) for offset, payload in rows]
                    if len(rows) < wanted:
                        break
                    after = found[-1][0]
        return found

    async def first_later(self, ts: float, after: int, until: int) -> int | None:
        """The least offset above `after`, up to `until`, of an event later than `ts`; None if there is none.

        O(events between).
        """
        query = select(func.min(_table.c.log_offset)).where(
            _table.c.ts > ts, _table.c.log_offset > after, _table.c.log_offset <= until
        )
        with _clear(self._name):
            async with self._engine.connect() as connection:
                first: int | None = (await connection.execute(query)).scalar_one()
                return first

    async def head(self) -> int:
        """The greatest offset, 0 when the log is empty. O(log size)."""
        with _clear(self._name):
            async with self._engine.connect() as connection:
                return await _head(connection)

    async def count(self) -> int:
        """Events in the log. O(size)."""
        with _clear(self._name):
            async with self._engine.connect() as connection:
                return (await connection.execute(select(func.count()).select_from(_table))).scalar_one()

    async def id_at(self, offset: int) -> str | None:
        """The id of the event at `offset`; None if there is none. O(log size)."""
        with _clear(self._name):
            async with self._engine.connect() as connection:
                query = select(_table.c.id).where(_table.c.log_offset == offset)
                found: bytes | None = (await connection.execute(query)).scalar_one_or_none()
                return None if found is None else found.decode()

    async def mark(self, source: str) -> str | None:
        """What `set_mark` last kept for `source`: up to where it has been imported. None if nothing was."""
        with _clear(self._name):
            async with self._engine.connect() as connection:
                if not await connection.run_sync(lambda sync: inspect(sync).has_table(_marks.name)):
                    return None
                query = select(_marks.c.mark).where(_marks.c.source == source)
                found: str | None = (await connection.execute(query)).scalar_one_or_none()
                return found

    async def set_mark(self, source: str, mark: str) -> None:
        """Keep how far `source` has been imported: here, since it says what this log holds. On disk at return."""
        await self._in_turn(self._write_mark(source, mark))

    async def keep_mark(self, source: str, mark: str) -> str:
        """The mark kept for `source`, which is `mark` if there was none. On disk at return."""
        kept = await self.mark(source)
        return await self._in_turn(self._write_mark(source, mark, over=False)) if kept is None else kept

    async def _write_mark(self, source: str, mark: str, *, over: bool = True) -> str:
        with _clear(self._name):
            async with self._engine.connect() as connection:
                await self._lock(connection)
                await connection.execute(CreateTable(_marks, if_not_exists=True))
                query = select(_marks.c.mark).where(_marks.c.source == source)
                found: str | None = (await connection.execute(query)).scalar_one_or_none()
                if over or found is None:
                    await connection.execute(delete(_marks).where(_marks.c.source == source))
                    await connection.execute(insert(_marks).values(source=source, mark=mark))
                await connection.commit()
                return mark if over or found is None else found

    async def close(self) -> None:
        """Let go of connections and files. What was acknowledged is safe with or without it."""
        if self._writing:
            await asyncio.wait(self._writing)
        with _clear(self._name):
            await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _head(connection: AsyncConnection) -> int:
    return (await connection.execute(select(func.max(_table.c.log_offset)))).scalar_one() or 0


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """(start, rows) of the INSERTs that write `count` rows."""
    start, rows = 0, _ROWS_MAX
    while start < count:
        while rows > count - start:
            rows //= 2
        yield start, rows
        start += rows


@lru_cache(maxsize=64)
def _insert(backend: str, rows: int) -> str:
    """Text and not Core's `insert`, which takes 0.2 s to write out a statement of this size."""
    if backend == "sqlite":
        marks = ["(?, ?, ?)"] * rows
    else:
        marks = [f"(${i}, ${i + 1}, ${i + 2})" for i in range(1, 3 * rows, 3)]
    return f"INSERT INTO events (id, ts, payload) VALUES {', '.join(marks)} ON CONFLICT DO NOTHING"


def _url(text: str, data_dir: Path) -> URL:
    if not text:
        return URL.create(_DRIVERS["sqlite"], database=str(data_dir / SQLITE_NAME))
    try:
        url = make_url(text)
    except ArgumentError:
        raise LogError("`log.url` is no SQLAlchemy URL; one looks like postgresql://user@host/name") from None
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise LogError(f"`log.url`: {backend[:40]} is not supported; sqlite and postgresql are")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise LogError("`log.url` is a database in memory; the event log has to be on disk")
    if backend == "sqlite" and url.query:
        raise LogError("`log.url`: a SQLite URL takes no arguments (the part from `?` on)")
    return url.set(drivername=_DRIVERS[backend])


def _engine(url: URL, busy_timeout_s: float) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        # isolation_level None: sqlite3 begins no transactions of its own, `_lock` does.
        engine = create_async_engine(url, connect_args={"isolation_level": None, "timeout": busy_timeout_s})
        event.listen(engine.sync_engine, "connect", _sync_fully)
        return engine
    limits = {"lock_timeout": str(round(busy_timeout_s * 1_000))}
    try:
        return create_async_engine(
            url, pool_pre_ping=True, connect_args={"timeout": busy_timeout_s, "server_settings": limits}
        )
    except ModuleNotFoundError:
        raise LogError("`log.url` names PostgreSQL, which needs asyncpg: pip install 'forefeed[postgres]'") from None


def _sync_fully(connection: Any, _record: object) -> None:
    """FULL is what puts a WAL commit on disk before it returns; with SQLite's NORMAL a power cut could undo it."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


async def _insist(
    connection: AsyncConnection, statement: str, for_s: float, called_off: Callable[[], bool] = lambda: False
) -> CursorResult[Any]:
    """What the statement gives as soon as no other process is in its way; tried for `for_s` unless called off."""
    deadline = asyncio.get_running_loop().time() + for_s
    while True:
        last = called_off()  # asked before: who was in the way of a try that began earlier may have gone
        try:
            return await connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if "locked" not in str(error.orig) or last or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_POLL_S)


async def _use_wal(connection: AsyncConnection, busy_timeout_s: float) -> None:
    """Readers go on beside a writer. Processes that open a new file at once collide here without SQLite waiting."""
    mode = (await _insist(connection, "PRAGMA journal_mode=WAL", busy_timeout_s)).scalar_one()
    if mode != "wal":
        raise LogError(f"this file system cannot keep SQLite's write-ahead log (it says {mode}); choose another --data")


@contextmanager
def _clear(name: str, *more: type[Exception]) -> Iterator[None]:
    """What the driver raises, bytes that are no event, and `more`, as one line."""
    expected: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, BadEvent, *more)
    try:
        yield
    except expected as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        kind = LogFull if is_full(cause) else LogError
        raise kind(f"event log {name}: {_reason(cause)}") from error


def _reason(cause: BaseException) -> str:
    text = " ".join(str(cause).split()) or type(cause).__name__
    if is_full(cause):
        return f"the disk is full ({text}); free some space and run this again: what was acknowledged is kept"
    if "is locked" in text or "lock timeout" in text:
        return f"another process kept it locked for longer than log.busy_timeout_s ({text})"
    if "not a database" in text or "malformed" in text:
        return f"{text}; put a backup of the file in its place, or name another --data"
    return text
