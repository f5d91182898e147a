"""Rows of a SQLite or PostgreSQL database by the queries in config.yaml: whole the first time, then by watermark.

Nothing is written there: SQLite is opened read-only, PostgreSQL asked in READ ONLY transactions. Rows are streamed.
"""

import re
import sqlite3
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import aiosqlite
import msgspec
from msgspec import UNSET
from sqlalchemy import URL, NullPool, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from feedgen.config import Database, Query
from feedgen.errors import BadEvent, ConfigError, ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers.intake import Batch, Refused
from feedgen.importers.mapping import RowReader
from feedgen.importers.watermark import Watermark

_CONNECT_S: Final = 10.0

# How asyncpg's errors begin when SQLAlchemy has wrapped them.
_CLASS: Final = re.compile(r"^<class '[^']*'>: ")


class DatabaseSource:
    """The database `import.sql.NAME`."""

    def __init__(self, name: str, settings: Database) -> None:
        """Raises ConfigError when the URL is none that can be read from. Nothing is connected to yet."""
        self._name = name
        self._queries = settings.queries
        self._url = _checked(settings.url, f"import.sql.{name}.url")
        self.rows_read = 0

    async def batches(self, log: EventLog, now: float, size: int) -> AsyncGenerator[Batch, None]:
        """The events of every query in turn, in batches of `size` rows. `now`: domain time, s.

        A query's watermark is kept in `log`, once its last row is on disk there. Raises ImportFailed when the database
        cannot be reached or a query fails, ConfigError for a column that is not in a query's result.
        """
        engine = _engine(self._url)
        try:
            for key, query in self._queries.items():
                async with aclosing(self._query(engine, key, query, log, now, size)) as batches:
                    async for batch in batches:
                        yield batch
        finally:
            await engine.dispose()

    async def _query(
        self, engine: AsyncEngine, key: str, query: Query, log: EventLog, now: float, size: int
    ) -> AsyncGenerator[Batch, None]:
        mark_key = f"{self._name}.{key} {_digest(self._url, query)}"
        kept = await log.mark(mark_key) if query.watermark is not UNSET else None
        path, texts = f"import.sql.{self._name}.queries.{key}", engine.dialect.name == "sqlite"
        mark = Watermark(query, kept, path, texts=texts)
        with _clear(f"sql:{self._name}, query {key}"):
            async with engine.connect() as connection:
                await _only_read(connection)
                result = await connection.stream(*mark.statement(), execution_options={"yield_per": size})
                columns = list(result.keys())
                table = f"the result of query {key}"
                reader = RowReader(query, columns, path=mark.path, table=table, name=f"{self._name}.{key}")
                mark.find(columns, table)
                number = 0
                async for rows in result.partitions(size):
                    batch = Batch([], [])
                    for number, row in enumerate(rows, number + 1):  # noqa: B020 counted on
                        try:
                            mark.see(row)
                            event = reader.event(row, now)
                        except BadEvent as reason:
                            batch.refused.append(Refused(number, str(reason), f"{key} row"))
                        else:
                            batch.events.append(event)
                            mark.move(row, event.ts, now)
                    self.rows_read += len(rows)
                    yield batch
        if (written := mark.written()) is not None and written != kept:
            await log.set_mark(mark_key, written)


def _digest(url: URL, query: Query) -> str:
    """Other rows, or other events of the same rows, are another import: all of it is read once more."""
    what = [url.host, url.port, url.database, query]
    return blake2b(msgspec.json.encode(what, order="deterministic"), digest_size=8).hexdigest()


def _checked(text: str, path: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(f"`{path}` is no URL; one looks like postgresql://user@host/name or sqlite:///file") from None
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql", "postgres"}:
        raise ConfigError(f"`{path}`: {backend[:40]} is not supported; sqlite and postgresql are")
    if backend == "sqlite" and (not url.database or url.query or url.database == ":memory:"):
        raise ConfigError(f"`{path}`: a SQLite URL names a file and nothing else: sqlite:///shop.db")
    return url


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        address = f"{Path(str(url.database)).resolve().as_uri()}?mode=ro"
        return create_async_engine("sqlite+aiosqlite://", poolclass=NullPool, async_creator=lambda: _read_only(address))
    try:
        return create_async_engine(
            url.set(drivername="postgresql+asyncpg"), poolclass=NullPool, connect_args={"timeout": _CONNECT_S}
        )
    except ModuleNotFoundError:
        raise ImportFailed("PostgreSQL needs asyncpg: pip install 'forefeed[postgres]'") from None


async def _read_only(address: str) -> aiosqlite.Connection:
    # aiosqlite's thread may outlive the loop when it cannot open the file, and print a traceback of that.
    sqlite3.connect(address, uri=True).close()
    return await aiosqlite.connect(address, uri=True)


async def _only_read(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("PRAGMA query_only=ON")  # mode=ro says nothing of databases ATTACHed
    else:
        await connection.execution_options(postgresql_readonly=True)


def _driver_errors() -> tuple[type[Exception], ...]:
    """What asyncpg raises while rows are fetched, which SQLAlchemy does not wrap."""
    if (asyncpg := sys.modules.get("asyncpg")) is None:  # an extra, and loaded by now if PostgreSQL is read
        return ()
    return asyncpg.PostgresError, asyncpg.InterfaceError


@contextmanager
def _clear(what: str) -> Iterator[None]:
    """What the drivers raise, as one line."""
    expected: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, sqlite3.Error, *_driver_errors())
    try:
        yield
    except expected as error:
        if isinstance(error, OSError):
            raise ImportFailed(f"{what}: the database cannot be reached: {error.strerror or error}") from error
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        reason = _CLASS.sub("", " ".join(str(cause).split())) or type(cause).__name__
        raise ImportFailed(f"{what}: {reason}") from error
