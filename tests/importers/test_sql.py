"""Rows of a SQLite database by queries: whole, then by watermark, and never a write."""

import shutil
import sqlite3
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from feedgen.config import Log, parse
from feedgen.errors import ConfigError, ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers.intake import Refused, Report, pour
from feedgen.importers.sql import DatabaseSource

NOW = 1_735_000_000.0
LIKES: dict[str, Any] = {
    "query": "SELECT id, user_id, post_id, at FROM likes",
    "watermark": "at",
    "overlap": 0,
    "type": "like",
    "id": "id",
    "ts": "at",
    "actor": "user_id",
    "object": "post_id",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop & co? #1.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE likes (id INTEGER PRIMARY KEY, user_id, post_id, at)")
        database.commit()
    return path


def like(shop: Path, *rows: tuple[Any, ...]) -> None:
    with closing(sqlite3.connect(shop)) as database:
        database.executemany("INSERT INTO likes VALUES (?, ?, ?, ?)", rows)
        database.commit()


def day(number: int, second: int = 0) -> str:
    return f"2024-01-{number:02} 10:00:{second:02}"


async def run(tmp_path: Path, shop: Path, size: int = 3, **more: Any) -> tuple[Report, list[Refused]]:
    """One import of the query `likes`, whose settings are LIKES with `more`."""
    likes = {key: value for key, value in (LIKES | more).items() if value is not None}
    text = yaml.safe_dump(
        {"import": {"sql": {"shop": {"url": f"sqlite:///{quote(str(shop))}", "queries": {"likes": likes}}}}}
    )
    refused: list[Refused] = []
    source = DatabaseSource("shop", parse(text).import_.sql["shop"])
    async with await EventLog.open(Log(), tmp_path) as log, aclosing(source.batches(log, NOW, size)) as batches:
        report = await pour(batches, log, lambda _, batch: refused.extend(batch.refused))
    return report, refused


async def events(tmp_path: Path) -> list[str]:
    async with await EventLog.open(Log(), tmp_path) as log:
        return [event.id for _, event in await log.read(0, 1_000)]


async def test_whole_then_nothing_then_only_what_is_new(tmp_path: Path, shop: Path) -> None:
    like(shop, *((n, f"u{n}", n, day(n)) for n in range(1, 11)))
    assert (await run(tmp_path, shop))[0] == Report(read=10, appended=10)
    assert (await run(tmp_path, shop))[0] == Report(read=1, duplicate=1)
    like(shop, (12, "u1", 3, day(12)), (11, "u1", 2, day(11)))
    assert (await run(tmp_path, shop))[0] == Report(read=3, appended=2, duplicate=1)
    assert await events(tmp_path) == [f"shop.likes:{n}" for n in (*range(1, 11), 11, 12)]


async def test_rows_with_the_same_watermark_are_not_missed(tmp_path: Path, shop: Path) -> None:
    like(shop, (1, "a", 1, day(1)), (2, "b", 1, day(2)))
    await run(tmp_path, shop)
    like(shop, (3, "c", 1, day(2)))
    assert (await run(tmp_path, shop))[0] == Report(read=2, appended=1, duplicate=1)


async def test_the_overlap_finds_rows_that_were_committed_late(tmp_path: Path, shop: Path) -> None:
    number = {"watermark": "id", "overlap": 5}
    like(shop, (10, "a", 1, day(1)))
    await run(tmp_path, shop, **number)
    like(shop, (4, "b", 1, day(1)), (5, "c", 1, day(1)))
    assert (await run(tmp_path, shop, **number))[0] == Report(read=2, appended=1, duplicate=1)


async def test_without_a_watermark_everything_is_read_each_time(tmp_path: Path, shop: Path) -> None:
    like(shop, *((n, f"u{n}", n, day(n)) for n in range(1, 6)))
    for expected in (Report(read=5, appended=5), Report(read=5, duplicate=5)):
        assert (await run(tmp_path, shop, watermark=None))[0] == expected


async def test_since_in_the_query_is_null_the_first_time(tmp_path: Path, shop: Path) -> None:
    query = (
        "SELECT id, user_id, post_id, at FROM likes WHERE at >= coalesce(:since, '') AND 'a :b' <> '10:30:00' -- end"
    )
    like(shop, *((n, f"u{n}", n, day(n)) for n in range(1, 6)))
    assert (await run(tmp_path, shop, query=query))[0].appended == 5
    assert (await run(tmp_path, shop, query=query))[0] == Report(read=1, duplicate=1)


async def test_refusals_have_the_querys_name_and_the_rows_number(tmp_path: Path, shop: Path) -> None:
    like(shop, (1, "a", 1, day(1)), (2, None, 1, day(2)), (3, "c", 1, None), (4, "d", 1, 5), (5, "e", 1, day(3)))
    report, refused = await run(tmp_path, shop, size=2)
    assert report == Report(read=5, appended=2, refused=3)
    assert [(what, number) for number, _, what in refused] == [("likes row", 2), ("likes row", 3), ("likes row", 4)]
    assert refused[0].reason == "no actor: column 'user_id' is empty"
    assert refused[1].reason == "its watermark is empty: column 'at'"
    assert "cannot be compared" in refused[2].reason
    assert (await run(tmp_path, shop))[0] == Report(read=1, duplicate=1)


@pytest.mark.parametrize("ahead", ["2099-01-01", "2024-12-24 00:30:00"], ids=["refused", "taken, but an hour ahead"])
async def test_a_row_of_the_future_hides_none_that_come_before_it(tmp_path: Path, shop: Path, ahead: str) -> None:
    like(shop, (1, "a", 1, day(1)), (2, "b", 1, ahead))
    first = (await run(tmp_path, shop))[0]
    like(shop, (3, "c", 1, day(2)))
    again = (await run(tmp_path, shop))[0]
    assert again == Report(read=3, appended=1, duplicate=1 + first.appended - 1, refused=first.refused)
    assert "shop.likes:3" in await events(tmp_path)


async def test_another_mapping_or_database_is_read_whole_again(tmp_path: Path, shop: Path) -> None:
    like(shop, *((n, f"u{n}", n, day(n)) for n in range(1, 6)))
    await run(tmp_path, shop)
    assert (await run(tmp_path, shop, id={"column": "id", "prefix": "like-"}))[0] == Report(read=5, appended=5)
    shutil.copy(shop, tmp_path / "other.db")
    assert (await run(tmp_path, tmp_path / "other.db"))[0] == Report(read=5, duplicate=5)


async def test_the_watermark_stays_when_the_query_breaks_off(tmp_path: Path, shop: Path) -> None:
    query = "SELECT id, user_id, post_id, at, abs(CASE id WHEN 5 THEN -9223372036854775807 - 1 ELSE id END) FROM likes"
    like(shop, *((n, f"u{n}", n, day(n)) for n in range(1, 6)))
    with pytest.raises(ImportFailed, match="sql:shop, query likes: integer overflow"):
        await run(tmp_path, shop, query=query, size=2)
    before = len(await events(tmp_path))
    assert 2 <= before < 5
    with closing(sqlite3.connect(shop)) as database:
        database.execute("DELETE FROM likes WHERE id = 5")
        database.commit()
    assert (await run(tmp_path, shop, query=query))[0] == Report(read=4, appended=4 - before, duplicate=before)


@pytest.mark.parametrize("query", ["DELETE FROM likes RETURNING id, user_id, post_id, at", "DROP TABLE likes"])
async def test_nothing_can_be_written(tmp_path: Path, shop: Path, query: str) -> None:
    like(shop, (1, "a", 1, day(1)))
    with pytest.raises(ImportFailed, match="attempt to write a readonly database"):
        await run(tmp_path, shop, query=query, watermark=None)
    assert (await run(tmp_path, shop))[0].appended == 1


@pytest.mark.parametrize(
    ("more", "error", "reason"),
    [
        ({"query": "SELECT id FRM x"}, ImportFailed, 'sql:shop, query likes: near "x": syntax error'),
        ({"query": "SELECT * FROM nowhere"}, ImportFailed, "sql:shop, query likes: no such table: nowhere"),
        (
            {"actor": "who"},
            ConfigError,
            "`import.sql.shop.queries.likes.actor` names column 'who', which the result of",
        ),
        ({"watermark": "seen"}, ConfigError, "`import.sql.shop.queries.likes.watermark` names column 'seen', which"),
        ({"query": "SELECT id, id, user_id, post_id, at FROM likes", "watermark": None}, ConfigError, "has twice"),
    ],
)
async def test_what_is_wrong_with_a_query(
    tmp_path: Path, shop: Path, more: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error) as refusal:
        await run(tmp_path, shop, **more)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_a_database_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, and long enough to be taken for one " * 100)
    for name, reason in [("none", "unable to open database file"), ("text", "not a database"), (".", "")]:
        with pytest.raises(ImportFailed, match=f"sql:shop, query likes: .*{reason}"):
            await run(tmp_path / "log", tmp_path / name)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("shop.db", "is no URL"),
        ("mysql://h/d", "mysql is not supported"),
        ("sqlite://", "names a file"),
        ("sqlite:///a.db?mode=rw", "names a file"),
    ],
)
def test_urls_that_cannot_be_read_from(url: str, reason: str) -> None:
    text = yaml.safe_dump({"import": {"sql": {"shop": {"url": url, "queries": {"likes": LIKES}}}}})
    with pytest.raises(ConfigError, match=rf"`import\.sql\.shop\.url`.*{reason}"):
        DatabaseSource("shop", parse(text).import_.sql["shop"])
