"""The second tier: feed records by viewer, in memory or in an SQLite file that several processes may share.

Both columns are kept apart: a bulk write replaces the bulk column if its generation is newer and retires the live
entries it covers; a live write only appends. Feeds can be generated again, so the file is written without waiting for
the disk (synchronous=NORMAL: a power cut loses the last writes, never the file).
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from feedgen.errors import BadRecord, StoreError, StoreFull
from feedgen.feed.record import Bulk, Generation, Live, decode_bulk, decode_live, encode_bulk, encode_live
from feedgen.feed.roles import StoredRecord
from feedgen.ondisk import is_full

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_SQLITE_NEEDED: Final = (3, 35)
"""RETURNING, which tells the accepted records of one statement from the refused, came with this version."""


class MemoryFeedStore:
    """FeedStore in this process; what it holds ends with it. O(1) a record; shares the given objects."""

    def __init__(self) -> None:
        self._bulk: dict[str, Bulk] = {}
        self._live: dict[str, list[Live]] = {}

    async def get(self, viewer: str) -> StoredRecord | None:
        """The viewer's record, or None."""
        bulk = self._bulk.get(viewer)
        return None if bulk is None else StoredRecord(bulk, tuple(self._live.get(viewer, ())))

    async def put_many(self, records: Sequence[tuple[str, Bulk]]) -> list[bool]:
        """Write bulk columns; False where the same or a newer generation is there already."""
        return [self._put(viewer, bulk) for viewer, bulk in records]

    def _put(self, viewer: str, bulk: Bulk) -> bool:
        old = self._bulk.get(viewer)
        if old is not None and old.generation >= bulk.generation:
            return False
        self._bulk[viewer] = bulk
        if viewer in self._live:
            self._live[viewer] = [entry for entry in self._live[viewer] if entry.offset > bulk.watermark]
        return True

    async def append_live(self, viewer: str, entries: Sequence[Live]) -> None:
        """Append to the viewer's live column."""
        self._live.setdefault(viewer, []).extend(entries)

    async def delete(self, viewer: str) -> None:
        """Drop both columns; nothing happens if there are none."""
        self._bulk.pop(viewer, None)
        self._live.pop(viewer, None)

    async def generations(self) -> dict[str, Generation]:
        """Every stored viewer's generation. O(stored records); copies."""
        return {viewer: bulk.generation for viewer, bulk in self._bulk.items()}

    async def close(self) -> None:
        """Nothing to let go of."""


_meta = sa.MetaData()
_feeds = sa.Table(
    "feeds",
    _meta,
    sa.Column("viewer", sa.LargeBinary, primary_key=True),
    sa.Column("watermark", sa.Integer, nullable=False),
    sa.Column("generated_at_ms", sa.Integer, nullable=False),
    sa.Column("bulk", sa.LargeBinary, nullable=False),
)
_live = sa.Table(
    "live",
    _meta,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("viewer", sa.LargeBinary, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
)
_live_index = sa.Index("live_viewer_offset", _live.c.viewer, _live.c.offset)
# Not create_all: it looks first and creates then, and two processes that start together would both create.
_SCHEMA: Final = (
    CreateTable(_feeds, if_not_exists=True),
    CreateTable(_live, if_not_exists=True),
    CreateIndex(_live_index, if_not_exists=True),
)

_new = upsert(_feeds)
_PUT: Final = _new.on_conflict_do_update(
    index_elements=[_feeds.c.viewer],
    set_={name: _new.excluded[name] for name in ("watermark", "generated_at_ms", "bulk")},
    where=sa.tuple_(_new.excluded.watermark, _new.excluded.generated_at_ms)
    > sa.tuple_(_feeds.c.watermark, _feeds.c.generated_at_ms),
).returning(_feeds.c.viewer, _feeds.c.watermark, _feeds.c.generated_at_ms)
_RETIRE: Final = sa.delete(_live).where(
    _live.c.viewer == sa.bindparam("viewer_"), _live.c.offset <= sa.bindparam("watermark_")
)
_DELETE: Final = tuple(sa.delete(table).where(table.c.viewer == sa.bindparam("viewer_")) for table in (_feeds, _live))
_GENERATIONS: Final = sa.select(_feeds.c.viewer, _feeds.c.watermark, _feeds.c.generated_at_ms)
# One statement, hence one snapshot: a put between two reads would show its live column with the bulk before it.
_GET: Final = sa.union_all(
    sa.select(sa.null().label("seq"), sa.cast(_feeds.c.bulk, sa.LargeBinary).label("payload")).where(
        _feeds.c.viewer == sa.bindparam("viewer_")
    ),
    sa.select(_live.c.seq, sa.cast(_live.c.entry, sa.LargeBinary)).where(_live.c.viewer == sa.bindparam("viewer_")),
).order_by("seq")


class SqliteFeedStore:
    """FeedStore in one SQLite file (WAL). Other processes may read and write the file at the same time.

    Every operation is one transaction in a thread of its own and raises StoreError when the file cannot be used, or
    another process holds it for longer than the busy timeout.
    """

    def __init__(self, engine: AsyncEngine, path: Path) -> None:
        """Use `open`."""
        self._engine = engine
        self._path = path
        # Two writers of one process would poll for the file's lock; in a line they are woken at once.
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, busy_timeout_s: float) -> "SqliteFeedStore":
        """The store in the file `path`, made if it is not there. Raises StoreError if it is no such file."""
        if sqlite3.sqlite_version_info < _SQLITE_NEEDED:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or newer is needed")
        try:
            await asyncio.to_thread(_prepare_file, path, busy_timeout_s)
        except sqlite3.Error as error:
            raise _failed(path, error) from None
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)),
            # IMMEDIATE: a writer takes its place in the line when it begins, so it cannot be refused halfway.
            connect_args={"timeout": busy_timeout_s, "isolation_level": "IMMEDIATE"},
        )
        sa.event.listen(engine.sync_engine, "connect", _prepare)
        store = cls(engine, path)
        try:
            await store._change([(statement, None) for statement in _SCHEMA])
        except BaseException:
            await engine.dispose()
            raise
        return store

    async def get(self, viewer: str) -> StoredRecord | None:
        """The viewer's record, or None; one that cannot be decoded is None too, and is logged. O(record)."""
        rows = await self._run(self._rows(_GET, {"viewer_": _key(viewer)}))
        if not rows or rows[0].seq is not None:  # none, or live entries that wait for their first bulk
            return None
        try:
            live = [entry for row in rows[1:] for entry in decode_live(row.payload)]
            return StoredRecord(decode_bulk(rows[0].payload), live)
        except BadRecord as error:
            _log.warning("%s: the record of viewer %r is not used: %s", self._path, viewer, error)
            return None

    async def put_many(self, records: Sequence[tuple[str, Bulk]]) -> list[bool]:
        """Write bulk columns in one transaction; False where the same or a newer generation is there already.

        The comparison is made by the database under its write lock, so no other process can come between.
        """
        if not records:
            return []
        rows = [
            {
                "viewer": _key(viewer),
                "watermark": bulk.watermark,
                "generated_at_ms": bulk.generated_at_ms,
                "bulk": encode_bulk(bulk),
            }
            for viewer, bulk in records
        ]
        taken = await self._run(self._put(rows))
        return [_take(taken, row) for row in rows]

    async def _put(self, rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        async with self._write() as connection:
            taken = {tuple(row) for row in await connection.execute(_PUT, rows)}
            if taken:
                covered = [{"viewer_": viewer, "watermark_": watermark} for viewer, watermark, _ in taken]
                await connection.execute(_RETIRE, covered)
        return taken

    async def append_live(self, viewer: str, entries: Sequence[Live]) -> None:
        """Append to the viewer's live column."""
        key = _key(viewer)
        rows = [{"viewer": key, "offset": entry.offset, "entry": encode_live([entry])} for entry in entries]
        if rows:
            await self._run(self._change([(sa.insert(_live), rows)]))

    async def delete(self, viewer: str) -> None:
        """Drop both columns; nothing happens if there are none."""
        where = {"viewer_": _key(viewer)}
        await self._run(self._change([(statement, where) for statement in _DELETE]))

    async def generations(self) -> dict[str, Generation]:
        """Every stored viewer's generation. O(stored records)."""
        rows = await self._run(self._rows(_GENERATIONS))
        return {_viewer(row.viewer): Generation(row.watermark, row.generated_at_ms) for row in rows}

    async def close(self) -> None:
        """Finish what was begun and let go of the file. Idempotent; later calls of the others raise StoreError."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()

    async def _run(self, operation: Coroutine[Any, Any, _T]) -> _T:
        """A caller who gives up (a reader's deadline) does not tear the operation's connection down with it."""
        task = asyncio.create_task(operation)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if the caller has given up

    async def _rows(self, query: sa.Executable, values: dict[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        with self._errors():
            async with self._engine.connect() as connection:
                return (await connection.execute(query, values)).all()

    async def _change(self, statements: Sequence[tuple[sa.Executable, Any]]) -> None:
        async with self._write() as connection:
            for statement, values in statements:
                await connection.execute(statement, values)

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with self._errors():
            async with self._writing, self._engine.begin() as connection:
                yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._closed:
            raise StoreError(f"{self._path}: the feed store is closed")
        try:
            yield
        except DBAPIError as error:
            raise _failed(self._path, error.orig or error) from None
        except SQLAlchemyError as error:
            raise StoreError(f"{self._path}: {' '.join(str(error).split())}") from None


def _prepare_file(path: Path, busy_timeout_s: float) -> None:
    """WAL, which the file remembers: readers and the writer do not wait for one another.

    Also where a path that is no database fails: in aiosqlite the thread of a connection that never opened may outlive
    the loop.
    """
    with closing(sqlite3.connect(path, timeout=busy_timeout_s)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _failed(path: Path, error: BaseException) -> StoreError:
    """With the database's reason, and what to do."""
    if is_full(error):
        return StoreFull(f"{path}: {error}; free some space")
    again = "not a database" in str(error) or "malformed" in str(error)
    return StoreError(f"{path}: {error}" + ("; move it away, and feeds are made anew" if again else ""))


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _key(viewer: str) -> bytes:
    """Bytes, so that no collation and no NUL has a say in which ids are the same."""
    return viewer.encode("utf-8", "surrogatepass")


def _viewer(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def _take(taken: set[tuple[Any, ...]], row: dict[str, Any]) -> bool:
    """Whether the database took this row: the first of its viewer and generation in the batch."""
    mark = (row["viewer"], row["watermark"], row["generated_at_ms"])
    if mark not in taken:
        return False
    taken.remove(mark)
    return True
