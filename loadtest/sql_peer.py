"""How a feed is made where nothing is precomputed: one SQL query on PostgreSQL.

It gets what a team would have for this query: covering indices whose tables are not looked at, a prepared statement,
a planner that is told what it gets wrong, and shared buffers for a quarter of its tables and indices, 4 GB at most.
It answers what ours does by `yardstick.yaml`: followees' posts since the viewer's last login, without those seen or
blocked, the best 500 first. It has no features, heads or diversity, and keeps nothing of what it found.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from loadtest import postgres
from loadtest.binary_copy import END, HEAD, rows
from loadtest.caller import ITEMS, LOGIN, Caller, ServerGone, cpu_s
from loadtest.crowd import NOW, Crowd, Extent
from loadtest.peers import SERVER_CPU
from loadtest.progress import Progress
from loadtest.room import Room

QUERY: Final = f"""
SELECT p.id, p.author, p.created,
       ln(1 + p.likes) - 0.95 * ln(1 + ($2 - p.created) / 43200.0) AS score
FROM follows f JOIN posts p ON p.author = f.author
WHERE f.viewer = $1
  AND p.created > (SELECT last_login FROM viewers v WHERE v.id = $1)
  AND NOT EXISTS (SELECT FROM seen s WHERE s.viewer = $1 AND s.post = p.id)
  AND NOT EXISTS (SELECT FROM blocks b WHERE b.viewer = $1 AND b.author = p.author)
ORDER BY score DESC LIMIT {ITEMS}
"""
"""Score: popularity against age, as many a team has it. Everything of a post is in the index (INCLUDE)."""
_TABLES: Final = """
CREATE TABLE viewers (id int, last_login float8);
CREATE TABLE follows (viewer int, author int);
CREATE TABLE posts (id int, author int, created float8, likes int);
CREATE TABLE seen (viewer int, post int);
CREATE TABLE blocks (viewer int, author int, PRIMARY KEY (viewer, author));
"""
_KNOWN: Final = """
ALTER TABLE follows ALTER viewer SET (n_distinct = {viewers});
ALTER TABLE seen ALTER viewer SET (n_distinct = {viewers});
"""
"""What ANALYZE does not find: it takes a viewer of 500 follows for one of 1,600, whose rows stand together."""
_INDICES: Final = (
    "ALTER TABLE viewers ADD PRIMARY KEY (id)",
    "CREATE INDEX ON seen (viewer, post)",
    "CREATE INDEX ON posts (author, created) INCLUDE (id, likes)",
    "CREATE INDEX ON follows (viewer) INCLUDE (author)",
)
_ROWS_AT_ONCE: Final = 1 << 16
_SORTING: Final = 512 << 20
"""Bytes of memory to build an index with; given back before ours is loaded."""
_BYTES_A_ROW: Final = 60
_BYTES_SORTED: Final = 24
"""Of a pair in its table and its index; and of one in a file while the index of the largest table is built."""
_BUFFERS_MOST: Final = 4 << 30

Parts = Iterator[tuple[NDArray[Any], ...]]
_Answer = TypeVar("_Answer")


def room(extent: Extent) -> Room:
    """What it takes at most; of disk, while it is filled."""
    return Room(_buffers(extent) + (100 << 20), _kept(extent) + _BYTES_SORTED * extent.follows)


def _kept(extent: Extent) -> int:
    rows = extent.follows + extent.seen + extent.likes + 2 * extent.posts + extent.viewers
    return (100 << 20) + _BYTES_A_ROW * rows


def _buffers(extent: Extent) -> int:
    return min(_BUFFERS_MOST, max(128 << 20, _kept(extent) // 4))


def settings(extent: Extent) -> tuple[str, ...]:
    """Of the server: what a team would set to fill it at once, and then only to read."""
    return (
        f"shared_buffers={_buffers(extent) >> 20}MB",
        f"maintenance_work_mem={_SORTING >> 20}MB",
        "random_page_cost=1.1",  # else, from 100,000 viewers on, it reads all posts for each feed: 18 ms instead of 3
        "autovacuum=off",  # all is frozen when it comes in, and nothing changes after
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_wal_size=64GB",
        "checkpoint_timeout=1h",
    )


@contextmanager
def sql(crowd: Crowd, tell: Callable[[str], None]) -> Iterator[Caller]:
    """The tables filled, and the query. Raises NoPostgres, or ModuleNotFoundError without asyncpg."""
    import asyncpg

    # The last is of a server that said it ends, and then is asked before the connection is seen to have ended.
    lost = asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncpg.InternalClientError
    with postgres.server(settings(crowd.extent())) as url, asyncio.Runner() as runner:
        try:
            connection, query, backend = runner.run(filled(url, crowd, tell))
        except lost as error:
            raise postgres.NoPostgres(f"PostgreSQL could not be filled: {error}") from error
        del crowd  # this frame stays, and a million viewers' crowd is 2.5 GB

        async def feeds(some: Sequence[int]) -> int:
            return sum([len(await query.fetch(viewer, NOW)) for viewer in some])

        async def posts(viewer: int) -> list[int]:
            return [row["id"] for row in await query.fetch(viewer, NOW)]

        def answered(coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
            try:
                return runner.run(coroutine)
            except lost as error:
                raise ServerGone(f"PostgreSQL stopped answering: {error}") from error

        try:
            yield Caller(
                lambda some: answered(feeds(some)),
                lambda viewer: answered(posts(viewer)),
                lambda: cpu_s(backend),
            )
        finally:
            with suppress(*lost):
                runner.run(connection.close())


async def filled(url: str, crowd: Crowd, tell: Callable[[str], None]) -> tuple[Any, Any, int]:
    """A connection, the query prepared on it, and the process that answers; everything filled and looked through."""
    import asyncpg

    connection = await asyncpg.connect(url)
    extent = crowd.extent()
    everyone = np.arange(extent.viewers, dtype=np.int32)
    posts = np.arange(extent.posts, dtype=np.int32)
    likes = np.full(extent.posts, crowd.likes.shape[1], np.int32)
    async with connection.transaction():  # FREEZE wants the tables made in it, and nothing of it goes to the WAL
        await connection.execute(_TABLES + _KNOWN.format(viewers=extent.viewers))
        await _copy(connection, "viewers", extent.viewers, _whole(everyone, np.full(extent.viewers, LOGIN)), tell)
        await _copy(connection, "posts", extent.posts, _whole(posts, crowd.author, crowd.created, likes), tell)
        await _copy(connection, "seen", extent.seen + extent.likes, _seen(crowd), tell)
        await _copy(connection, "follows", extent.follows, _pairs(crowd.followees), tell)
        for index in _INDICES:
            tell(f"sql: {index}")
            await connection.execute(index)
    await connection.execute("ANALYZE")
    await connection.execute("CHECKPOINT")
    backend: int = await connection.fetchval("SELECT pg_backend_pid()")
    os.sched_setaffinity(backend, {SERVER_CPU})
    return connection, await connection.prepare(QUERY), backend


async def _copy(connection: Any, table: str, count: int, parts: Parts, tell: Callable[[str], None]) -> None:
    progress = Progress(tell, f"sql: {table}", count)

    async def source() -> AsyncIterator[bytes]:
        yield HEAD
        for part in parts:
            yield rows(*part)
            progress.add(len(part[0]))
        yield END

    await connection.copy_to_table(table, source=source(), format="binary", freeze=True)


def _seen(crowd: Crowd) -> Parts:
    """What was seen, and after it the likes: who liked a post has seen it."""
    yield from _pairs(crowd.seen)
    yield from ((fan, post) for post, fan in _pairs(crowd.likes))


def _pairs(column: NDArray[np.int32]) -> Parts:
    """Row numbers beside what stands in the row."""
    at_once = max(1, _ROWS_AT_ONCE // max(1, column.shape[1]))
    for first in range(0, len(column), at_once):
        part = column[first : first + at_once]
        yield np.repeat(np.arange(first, first + len(part), dtype=np.int32), part.shape[1]), part.ravel()


def _whole(*columns: NDArray[Any]) -> Parts:
    for first in range(0, len(columns[0]), _ROWS_AT_ONCE):
        yield tuple(column[first : first + _ROWS_AT_ONCE] for column in columns)
