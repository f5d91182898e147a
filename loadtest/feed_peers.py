"""How a feed is made where nothing is precomputed: one SQL query on PostgreSQL, or Redis sorted sets merged on read.

Both get what a team would have for this query: covering indices and a prepared statement, one pipelined round trip and
the C parser. Both answer what ours does by `yardstick.yaml`: followees' posts since the viewer's last login, without
those seen or blocked, the best 500 first. Neither has features, heads or diversity, nor keeps what it found.
"""

import asyncio
import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from loadtest import postgres
from loadtest.crowd import NOW, Crowd
from loadtest.peers import SERVER_CPU, bare_redis

ITEMS: Final = 500
LOGIN: Final = NOW - 3 * 86_400.0
"""When everyone of the crowd logged in last."""
_QUERY: Final = f"""
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
CREATE TABLE viewers (id int PRIMARY KEY, last_login float8);
CREATE TABLE follows (viewer int, author int);
CREATE TABLE posts (id int, author int, created float8, likes int);
CREATE TABLE seen (viewer int, post int);
CREATE TABLE blocks (viewer int, author int, PRIMARY KEY (viewer, author));
"""
_INDICES: Final = """
CREATE INDEX ON follows (viewer) INCLUDE (author);
CREATE INDEX ON posts (author, created) INCLUDE (id, likes);
CREATE INDEX ON seen (viewer, post);
"""
_AT_ONCE: Final = 1_000

Feeds = Callable[[Sequence[int]], int]
"""Makes the feeds of some viewers; how many items they hold together."""


class Caller(NamedTuple):
    """Who makes feeds; `server_s`: seconds of processor time that its server has taken so far."""

    feeds: Feeds
    server_s: Callable[[], float]


@contextmanager
def sql(crowd: Crowd) -> Iterator[Caller]:
    """PostgreSQL. Raises NoPostgres, or ModuleNotFoundError without asyncpg."""
    import asyncpg

    with postgres.server() as url, asyncio.Runner() as runner:

        async def filled() -> tuple[Any, Any, int]:
            connection = await asyncpg.connect(url)
            await connection.execute(_TABLES)
            await _fill(connection, crowd)
            await connection.execute(_INDICES)
            await connection.execute("VACUUM ANALYZE")
            backend: int = await connection.fetchval("SELECT pg_backend_pid()")
            os.sched_setaffinity(backend, {SERVER_CPU})
            return connection, await connection.prepare(_QUERY), backend

        connection, query, backend = runner.run(filled())

        async def feeds(some: Sequence[int]) -> int:
            return sum([len(await query.fetch(viewer, NOW)) for viewer in some])

        try:
            yield Caller(lambda some: runner.run(feeds(some)), lambda: _cpu_s(backend))
        finally:
            runner.run(connection.close())


async def _fill(connection: Any, crowd: Crowd) -> None:
    viewers, posts = len(crowd.followees), len(crowd.author)
    await connection.copy_records_to_table("viewers", records=[(viewer, LOGIN) for viewer in range(viewers)])
    for table, column in (("follows", crowd.followees), ("seen", crowd.seen)):
        for first in range(0, viewers, _AT_ONCE):
            rows = column[first : first + _AT_ONCE]
            who = np.repeat(np.arange(first, first + len(rows)), rows.shape[1])
            pairs = list(zip(who.tolist(), rows.ravel().tolist(), strict=True))
            await connection.copy_records_to_table(table, records=pairs)
    for first in range(0, posts, _AT_ONCE):  # who liked a post has seen it
        fans = crowd.likes[first : first + _AT_ONCE]
        liked = np.repeat(np.arange(first, first + len(fans)), fans.shape[1])
        pairs = list(zip(fans.ravel().tolist(), liked.tolist(), strict=True))
        await connection.copy_records_to_table("seen", records=pairs)
    columns = (range(posts), crowd.author.tolist(), crowd.created.tolist(), [crowd.likes.shape[1]] * posts)
    await connection.copy_records_to_table("posts", records=list(zip(*columns, strict=True)))


@contextmanager
def redis(crowd: Crowd) -> Iterator[Caller]:
    """A sorted set of posts by time for each author, a set of those seen for each viewer, and one of who is blocked.

    Raises NotHere, or ModuleNotFoundError without the client.
    """
    with bare_redis() as (client, peer):
        pipe = client.pipeline(transaction=False)
        for post, (author, created) in enumerate(zip(crowd.author.tolist(), crowd.created.tolist(), strict=True)):
            pipe.zadd(f"a{author}", {f"p{post}": created})
            _send(pipe)
        for viewer, seen in enumerate(crowd.seen.tolist()):
            if seen:
                pipe.sadd(f"s{viewer}", *(f"p{post}" for post in seen))
            _send(pipe)
        for post, fans in enumerate(crowd.likes.tolist()):  # who liked a post has seen it
            for fan in fans:
                pipe.sadd(f"s{fan}", f"p{post}")
            _send(pipe)
        pipe.execute()

        def feeds(some: Sequence[int]) -> int:
            return sum(len(_merged(pipe, viewer, crowd.followees[viewer].tolist())) for viewer in some)

        yield Caller(feeds, lambda: _cpu_s(peer.pid))


def _merged(pipe: Any, viewer: int, authors: list[int]) -> list[tuple[float, bytes]]:
    """One feed: everything asked for in one round trip, then merged, newest first."""
    pipe.smembers(f"b{viewer}")
    pipe.smembers(f"s{viewer}")
    for author in authors:
        pipe.zrevrange(f"a{author}", 0, ITEMS - 1, withscores=True)
    blocked, seen, *lines = pipe.execute()
    found = [
        (created, post)
        for author, line in zip(authors, lines, strict=True)
        if author not in blocked
        for post, created in line
        if created > LOGIN and post not in seen
    ]
    return heapq.nlargest(ITEMS, found)


def _send(pipe: Any) -> None:
    if len(pipe) >= 5 * _AT_ONCE:
        pipe.execute()


def _cpu_s(pid: int) -> float:
    """What the process has used so far, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
