"""The feed stores: one contract for both, then what only a file can do wrong."""

import asyncio
import logging
import multiprocessing
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from feedgen.errors import StoreError
from feedgen.feed.record import Generation, encode_bulk, encode_live
from feedgen.feed.store import MemoryFeedStore, SqliteFeedStore
from tests.contracts.feed_store import FeedStoreContract, feed, insertion


class TestMemoryFeedStore(FeedStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryFeedStore]:
        store = MemoryFeedStore()
        yield store
        await store.close()


class TestSqliteFeedStore(FeedStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteFeedStore]:
        store = await SqliteFeedStore.open(tmp_path / "feeds.sqlite", 5.0)
        yield store
        await store.close()

    async def test_it_outlives_the_process_that_wrote_it(self, tmp_path: Path) -> None:
        path = tmp_path / "kept.sqlite"
        store = await SqliteFeedStore.open(path, 5.0)
        await store.put_many([("v", feed(5))])
        await store.append_live("v", [insertion(6)])
        await store.close()
        again = await SqliteFeedStore.open(path, 5.0)
        record = await again.get("v")
        await again.close()
        assert record is not None
        assert (record.bulk, list(record.live)) == (feed(5), [insertion(6)])

    async def test_the_file_is_in_wal_mode_and_does_not_wait_for_the_disk(self, store: SqliteFeedStore) -> None:
        assert await store._rows(text("PRAGMA journal_mode")) == [("wal",)]
        assert await store._rows(text("PRAGMA synchronous")) == [(1,)]

    async def test_after_close_it_says_so(self, tmp_path: Path) -> None:
        store = await SqliteFeedStore.open(tmp_path / "feeds.sqlite", 5.0)
        await store.close()
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await store.get("v")
        with pytest.raises(StoreError, match="closed"):
            await store.put_many([("v", feed(1))])

    async def test_a_caller_who_gives_up_leaves_the_store_usable(self, store: SqliteFeedStore) -> None:
        writes = [asyncio.create_task(store.put_many([(f"v{n}", feed(1))])) for n in range(6)]
        await asyncio.sleep(0)
        for task in writes[::2]:
            task.cancel()
        done = await asyncio.gather(*writes, return_exceptions=True)
        assert [result for result in done if not isinstance(result, asyncio.CancelledError)] == [[True]] * 3
        assert await store.put_many([("v0", feed(2))]) == [True]
        assert len(await store.generations()) == 6, "what was begun is finished"


GOOD = encode_bulk(feed(5))


@pytest.mark.parametrize(
    "blob",
    [b"", b"\x00", b"\x03" + GOOD[1:], GOOD[:-1], GOOD[: len(GOOD) // 2], b"\x01\xc1", b"hello", "text", 7, 1.5],
    ids=["empty", "zero", "another version", "torn end", "torn half", "foreign", "bytes", "text", "integer", "float"],
)
@pytest.mark.parametrize("column", ["bulk", "live"])
async def test_what_cannot_be_decoded_is_none_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, blob: object, column: str
) -> None:
    path = tmp_path / "feeds.sqlite"
    store = await SqliteFeedStore.open(path, 5.0)
    await store.put_many([("v", feed(5)), ("w", feed(5))])
    await store.append_live("v", [insertion(6)])
    with closing(sqlite3.connect(path)) as other:
        statement = (
            "UPDATE feeds SET bulk = ? WHERE viewer = ?"
            if column == "bulk"
            else "UPDATE live SET entry = ? WHERE viewer = ?"
        )
        other.execute(statement, (blob, b"v"))
        other.commit()
    with caplog.at_level(logging.WARNING):
        assert await store.get("v") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'v'" in caplog.text
    assert await store.get("w") is not None
    assert await store.put_many([("v", feed(7))]) == [True]
    assert await store.get("v") is not None
    await store.close()


async def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreError, match=r"feeds\.sqlite: file is not a database; move it away"):
        await SqliteFeedStore.open(path, 5.0)


async def test_a_missing_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        await SqliteFeedStore.open(tmp_path / "nowhere" / "feeds.sqlite", 5.0)


async def test_a_foreign_table_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE feeds (name TEXT)")
    store = await SqliteFeedStore.open(path, 5.0)
    with pytest.raises(StoreError, match="no such column"):
        await store.get("v")
    with pytest.raises(StoreError):
        await store.put_many([("v", feed(1))])
    await store.close()


async def test_another_writer_is_waited_for_and_no_longer_than_the_busy_timeout(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    store = await SqliteFeedStore.open(path, 0.05)
    await store.put_many([("v", feed(1))])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.put_many([("v", feed(2))])
        assert await store.get("v") is not None
        other.execute("ROLLBACK")
    assert await store.put_many([("v", feed(2))]) == [True]
    await store.close()


VIEWERS = [f"v{n}" for n in range(8)]


def _write_generations(path: Path, generations: range) -> None:
    """Another process: opens the file at the same time, and puts every generation once."""

    async def write() -> None:
        store = await SqliteFeedStore.open(path, 20.0)
        for generation in generations:
            taken = await store.put_many([(viewer, feed(generation, items=1)) for viewer in VIEWERS])
            stored = await store.generations()
            for viewer, was_taken in zip(VIEWERS, taken, strict=True):
                newest = stored[viewer].watermark
                assert newest >= generation if was_taken else newest > generation, "an older one is there"
        await store.close()

    asyncio.run(write())


def test_processes_that_share_the_file_never_turn_a_generation_back(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    spawn = multiprocessing.get_context("spawn")
    last = 60
    writers = [spawn.Process(target=_write_generations, args=(path, range(start, last, 2))) for start in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        with closing(sqlite3.connect(tmp_path / "feeds.sqlite", timeout=20.0)) as reader:
            newest = dict.fromkeys((viewer.encode() for viewer in VIEWERS), -1)
            while any(writer.is_alive() for writer in writers):
                if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'feeds'").fetchone():
                    for viewer, watermark in reader.execute("SELECT viewer, watermark FROM feeds").fetchall():
                        assert watermark >= newest[viewer], "an older generation came back"
                        newest[viewer] = watermark
                writers[0].join(0.01)
    finally:
        for writer in writers:
            writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert asyncio.run(_generations(path)) == {viewer: Generation(last - 1, 1) for viewer in VIEWERS}


async def _generations(path: Path) -> dict[str, Generation]:
    store = await SqliteFeedStore.open(path, 5.0)
    try:
        return await store.generations()
    finally:
        await store.close()


async def test_a_live_row_of_several_entries_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    store = await SqliteFeedStore.open(path, 5.0)
    await store.put_many([("v", feed(1))])
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "INSERT INTO live (viewer, offset, entry) VALUES (?, 3, ?)",
            (b"v", encode_live([insertion(2), insertion(3)])),
        )
        other.commit()
    record = await store.get("v")
    await store.close()
    assert record is not None
    assert list(record.live) == [insertion(2), insertion(3)]
