"""Whoever makes feeds of the crowd makes those that numpy finds in it; on real servers, or a skip with the reason."""

import asyncio
import os
import signal
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from feedgen.config import Settings, load
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from loadtest import postgres, sql_peer
from loadtest.caller import ITEMS, LOGIN, Caller, ours
from loadtest.crowd import NOW, Crowd, deeds_into, draw, follows_into, people_into, posts_into
from loadtest.generate_bench import YARDSTICK
from loadtest.peers import NotHere
from loadtest.redis_peer import redis
from loadtest.sql_peer import sql

Start = Callable[[Crowd], AbstractContextManager[Caller]]


def silent(line: str) -> None:
    """Nobody reads how far it is."""


def by_sql(crowd: Crowd) -> AbstractContextManager[Caller]:
    return sql(crowd, silent)


def by_redis(crowd: Crowd) -> AbstractContextManager[Caller]:
    followees = crowd.followees.tolist()
    return redis(crowd, followees.__getitem__, silent)


def by_us(crowd: Crowd) -> AbstractContextManager[Caller]:
    state = State(Settings().state, Settings().ranking)
    for load_part in (people_into, posts_into, follows_into, deeds_into):
        load_part(state, crowd)
    return nullcontext(ours(Pipeline(state, load(YARDSTICK)), 8))


@pytest.fixture
def here() -> Iterator[Callable[[AbstractContextManager[Caller]], Caller]]:
    """Enters a caller until the test ends; skips where its server or its client is not here."""
    with ExitStack() as stack:

        def enter(caller: AbstractContextManager[Caller]) -> Caller:
            try:
                return stack.enter_context(caller)
            except (postgres.NoPostgres, NotHere, ModuleNotFoundError) as reason:
                pytest.skip(str(reason))

        yield enter


def candidates(crowd: Crowd, viewer: int) -> NDArray[np.int64]:
    """Posts of whom the viewer follows since the login, that the viewer has neither seen nor liked; newest first."""
    known = np.isin(np.arange(len(crowd.author)), crowd.seen[viewer]) | (crowd.likes == viewer).any(axis=1)
    found = np.flatnonzero(np.isin(crowd.author, crowd.followees[viewer]) & (crowd.created > LOGIN) & ~known)
    return found[np.argsort(-crowd.created[found], kind="stable")]


@pytest.mark.parametrize("start", [by_us, by_sql, by_redis])
def test_a_feed_is_everything_new_of_whom_the_viewer_follows(
    start: Start, here: Callable[[AbstractContextManager[Caller]], Caller]
) -> None:
    crowd = draw(viewers=60, followees=20, posts_each=3.0, likes_each=5, seen_each=10, seed=3)
    caller = here(start(crowd))
    expected = {viewer: candidates(crowd, viewer).tolist() for viewer in range(60)}
    for viewer, posts in expected.items():
        assert sorted(caller.posts(viewer)) == sorted(posts), viewer
    assert caller.feeds(range(60)) == sum(map(len, expected.values()))
    assert min(map(len, expected.values())) > 0


@pytest.mark.parametrize("start", [by_sql, by_redis])
def test_of_more_than_a_feed_holds_the_newest_come_newest_first(
    start: Start, here: Callable[[AbstractContextManager[Caller]], Caller]
) -> None:
    """Of equal times either may come: every post has as many likes."""
    crowd = draw(viewers=40, followees=30, posts_each=30.0, likes_each=2, seen_each=10, seed=4)
    caller = here(start(crowd))
    for viewer in range(0, 40, 7):
        found, expected = caller.posts(viewer), candidates(crowd, viewer)
        assert len(expected) > ITEMS == len({*found} & {*expected.tolist()})
        assert np.array_equal(crowd.created[found], crowd.created[expected[:ITEMS]])


@pytest.mark.parametrize("start", [by_sql, by_redis])
def test_a_peer_keeps_nothing_of_the_crowd_once_it_is_filled(
    start: Start, here: Callable[[AbstractContextManager[Caller]], Caller]
) -> None:
    crowd = draw(viewers=40, followees=5, posts_each=1.0, likes_each=2, seen_each=4, seed=5)
    held = weakref.ref(crowd.seen)
    here(start(crowd))
    del crowd
    assert held() is None


def test_a_server_that_dies_while_it_is_filled_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose disk is full: killed for real, by its own folder, before its first index."""
    pytest.importorskip("asyncpg")
    crowd = draw(viewers=40, followees=5, posts_each=1.0, likes_each=2, seen_each=4, seed=5)
    killed: list[int] = []
    with TemporaryDirectory(prefix="fill-", dir="/tmp") as folder:  # short: a socket's path is in it
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)

        def kill(line: str) -> None:
            if "PRIMARY KEY" in line:
                (server,) = Path(folder).glob("*/data/postmaster.pid")
                killed.append(backend_of(int(server.read_text().split()[0])))
                os.kill(killed[0], signal.SIGKILL)

        with pytest.raises(postgres.NoPostgres) as reason, sql(crowd, kill):
            pass
        if not killed:
            pytest.skip(str(reason.value))
        assert "could not be filled" in str(reason.value)
        assert not [*Path(folder).iterdir()]


def backend_of(server: int) -> int:
    """The one process of that server which answers a client."""
    for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        if "127.0.0.1" in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError("nobody answers")


def test_the_query_reads_no_table_where_an_index_has_it_all() -> None:
    """COPY FREEZE marked every page as visible to all, so that no VACUUM is needed."""
    pytest.importorskip("asyncpg")
    crowd = draw(viewers=300, followees=50, posts_each=2.0, likes_each=2, seen_each=100, seed=6)

    async def plan(url: str) -> list[str]:
        connection, _, _ = await sql_peer.filled(url, crowd, silent)
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexscan = off")
        query = sql_peer.QUERY.replace("$1", "7").replace("$2", str(NOW))
        lines = [row[0].strip() for row in await connection.fetch(f"EXPLAIN (ANALYZE) {query}")]
        assert await connection.fetchval("SELECT count(*) FROM seen") == crowd.seen.size + crowd.likes.size
        await connection.close()
        return lines

    try:
        with postgres.server(sql_peer.settings(crowd.extent())) as url:
            lines = asyncio.run(plan(url))
    except postgres.NoPostgres as reason:
        pytest.skip(str(reason))
    for table in ("follows", "posts", "seen"):
        assert any("Index Only Scan" in line and f"on {table} " in line for line in lines), lines
    fetched = [line for line in lines if line.startswith("Heap Fetches")]
    assert len(fetched) >= 3
    assert {*fetched} == {"Heap Fetches: 0"}
