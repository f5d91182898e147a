"""The event log on SQLite and on a real PostgreSQL, and how it refuses what it cannot use."""

import asyncio
import multiprocessing
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event as hook

from feedgen.config import Log
from feedgen.errors import LogError
from feedgen.eventlog import _LOCKS, EventLog
from loadtest import postgres
from tests.contracts.event_log import EventLogContract, Holder, Opener, ids_in, login, logins


class TestSqlite(EventLogContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return lambda busy_timeout_s: EventLog.open(Log(busy_timeout_s=busy_timeout_s), tmp_path / "new" / "folder")

    @pytest.fixture
    async def log(self, opener: Opener) -> AsyncIterator[EventLog]:
        async with await opener(30.0) as log:
            yield log

    @pytest.fixture
    def holder(self, tmp_path: Path) -> Holder:
        @asynccontextmanager
        async def hold() -> AsyncIterator[None]:
            connection = sqlite3.connect(tmp_path / "new" / "folder" / "events.sqlite", isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
            connection.close()

        return hold

    async def test_a_commit_is_on_disk_on_every_connection(self, log: EventLog) -> None:
        async with log._engine.connect() as one, log._engine.connect() as two:
            for connection in (one, two):
                assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2
                assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal"

    async def test_a_full_disk_is_one_line_and_the_batch_leaves_nothing(self, log: EventLog) -> None:
        await log.append(logins(0, 10))
        pages = 20

        def bound(connection: Any, *_: object) -> None:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA max_page_count={pages}")
            cursor.close()

        hook.listen(log._engine.sync_engine, "checkout", bound)
        with pytest.raises(LogError, match=r"^event log .*events\.sqlite: the disk is full .*; free some space"):
            await log.append(logins(0, 5_000))
        assert await log.count() == 10
        pages = 100_000
        assert (await log.append(logins(0, 5_000))).appended == 4_990


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A PostgreSQL server."""
    try:
        with postgres.server() as url:
            yield url
    except postgres.NoPostgres as reason:
        pytest.skip(str(reason))


class TestPostgres(EventLogContract):
    @pytest.fixture
    def opener(self, url: str, tmp_path: Path) -> Opener:
        return lambda busy_timeout_s: EventLog.open(Log(url=url, busy_timeout_s=busy_timeout_s), tmp_path)

    @pytest.fixture
    async def log(self, url: str, opener: Opener) -> AsyncIterator[EventLog]:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP TABLE IF EXISTS events")
        await connection.close()
        async with await opener(30.0) as log:
            yield log

    @pytest.fixture
    def holder(self, url: str) -> Holder:
        @asynccontextmanager
        async def hold() -> AsyncIterator[None]:
            connection = await asyncpg.connect(url)
            async with connection.transaction():
                await connection.execute(_LOCKS["postgresql"])
                yield
            await connection.close()

        return hold

    async def test_a_lost_connection_is_one_line_and_the_next_append_works(self, log: EventLog, url: str) -> None:
        await log.append(logins(0, 3))
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
        assert (await log.append(logins(0, 5))).appended == 2

    async def test_a_database_that_is_not_there(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(LogError, match='database "nowhere" does not exist'):
            await EventLog.open(Log(url=url.removesuffix("postgres") + "nowhere"), tmp_path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("garbage", "`log.url` is no SQLAlchemy URL"),
        ("mysql://u:secret@h/d", "mysql is not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///x?mode=memory", "takes no arguments"),
        ("postgresql://u:secret@127.0.0.1:1/d", "Connect call failed"),
        ("postgresql://u:secret@127.0.0.1:1/d?colour=red", "colour"),
    ],
)
async def test_a_wrong_url_is_one_line_without_the_password(url: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(LogError) as refusal:
        await EventLog.open(Log(url=url), tmp_path)
    assert reason in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_a_missing_driver_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(LogError, match=r"forefeed\[postgres\]"):
        await EventLog.open(Log(url="postgresql://127.0.0.1/d"), tmp_path)


async def test_a_sqlite_url_names_its_own_file(tmp_path: Path) -> None:
    async with await EventLog.open(Log(url=f"sqlite:///{tmp_path}/else/where.db"), tmp_path / "unused") as log:
        await log.append(logins(0, 1))
    assert (tmp_path / "else" / "where.db").exists()
    assert not (tmp_path / "unused").exists()


async def refused(data_dir: Path) -> str:
    with pytest.raises(LogError) as refusal:
        await EventLog.open(Log(busy_timeout_s=0.5), data_dir)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").write_text("these are not the events you are looking for " * 40)
    assert "file is not a database; put a backup of the file in its place" in await refused(tmp_path)


async def test_folders_that_cannot_hold_a_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file is not a folder; --data names" in await refused(tmp_path / "file")
    (tmp_path / "events.sqlite").mkdir()
    assert "unable to open database file" in await refused(tmp_path)
    assert "null " in await refused(tmp_path / "nul\0")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a folder that is read-only")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "unable to open database file" in asyncio.run(refused(tmp_path))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where even root can create nothing")
async def test_a_folder_where_nothing_can_be_created() -> None:
    assert "/proc/forefeed" in await refused(Path("/proc/forefeed"))


async def test_a_table_of_somebody_else(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.sqlite")
    connection.execute("CREATE TABLE events (name TEXT)")
    connection.close()
    async with await EventLog.open(Log(), tmp_path) as log:
        with pytest.raises(LogError, match="column"):
            await log.append([login("a")])
        with pytest.raises(LogError, match="no such column"):
            await log.read(0, 1)


async def test_bytes_that_are_no_event_are_a_log_error(tmp_path: Path) -> None:
    async with await EventLog.open(Log(), tmp_path) as log:
        with closing(sqlite3.connect(tmp_path / "events.sqlite")) as connection, connection:
            connection.execute("INSERT INTO events (id, ts, payload) VALUES (x'61', 1.0, x'c1')")
        with pytest.raises(LogError, match=r"events\.sqlite: the log holds bytes that are no event"):
            await log.read(0, 1)


def _open_and_append(place: tuple[str, int]) -> int:
    async def go() -> int:
        async with await EventLog.open(Log(), Path(place[0])) as log:
            return (await log.append([login("shared"), *(login(f"{place[1]}.{n}") for n in range(20))])).appended

    return asyncio.run(go())


async def test_processes_that_open_a_new_log_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        appended = pool.map(_open_and_append, [(str(tmp_path), number) for number in range(8)], chunksize=1)
    assert sorted(appended) == [20] * 7 + [21]
    async with await EventLog.open(Log(), tmp_path) as log:
        assert len(set(await ids_in(log))) == 161
