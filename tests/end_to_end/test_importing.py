"""docs/importing.md is run as it stands; and imports that are killed come to the same log as ones that are not."""

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from feedgen.config import Log, parse
from feedgen.errors import ConfigError, ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers.intake import pour
from feedgen.importers.sql import DatabaseSource
from loadtest import postgres
from tests.end_to_end.conftest import in_bash
from tests.importers.histories import Made, git, many, repository

REPO = Path(__file__).parents[2]
DOC = (REPO / "docs" / "importing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w-]+\.(?:csv|yaml|sql))`[^\n`]*\n\n```\w+\n(.*?)```", DOC, re.DOTALL))
CONSOLE = "\n".join(re.findall(r"```console\n(.*?)```", DOC, re.DOTALL))
COMMANDS = [line[2:] for line in CONSOLE.splitlines() if line.startswith("$ ")]
PRINTED = [line for line in CONSOLE.splitlines() if line and not line.startswith("$ ")]

FILL = """
INSERT INTO users SELECT n, 'user ' || n, CASE n % 3 WHEN 0 THEN 'en' END,
  timestamptz '2024-01-01Z' + n * interval '1 min' FROM generate_series(1, 5000) n;
INSERT INTO follows SELECT 1 + n % 5000, 1 + (n % 5000 + 1 + n / 5000 * 7) % 5000,
  timestamptz '2024-02-01Z' + n * interval '1 min' FROM generate_series(0, 34999) n;
INSERT INTO posts SELECT n, 1 + n % 5000, repeat('x', n % 100), CASE n % 2 WHEN 0 THEN 'jazz, tea' ELSE '' END,
  timestamptz '2024-03-01Z' + n * interval '1 min',
  CASE n % 100 WHEN 0 THEN timestamptz '2024-06-01Z' + n * interval '1 h' END FROM generate_series(1, 20000) n;
INSERT INTO likes SELECT n, 1 + n % 5000, 1 + n * 7 % 20000, timestamptz '2024-04-01Z' + n * interval '1 min'
  FROM generate_series(1, 39800) n;
"""
FEW = "INSERT INTO users VALUES (1, 'ann', 'en', '2024-11-01Z'), (2, 'bob', 'en', '2024-11-01Z');"
ROWS = 5_000 + 35_000 + 20_000 + 200 + 39_800
NEW = """
INSERT INTO users VALUES (6001, 'new', 'de', '2024-12-01Z');
INSERT INTO follows VALUES (6001, 1, '2024-12-01 00:00:01Z'), (6001, 2, '2024-12-01 00:00:01Z');
INSERT INTO posts VALUES (30001, 6001, 'hello', 'tea', '2024-12-01 00:00:02Z', NULL);
INSERT INTO likes VALUES (50001, 1, 30001, '2024-12-01 00:00:03Z'), (39801, 2, 30001, '2024-12-01 00:00:03Z');
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    try:
        with postgres.server() as url:
            yield url
    except postgres.NoPostgres as reason:
        pytest.skip(str(reason))


def execute(url: str, *scripts: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        for script in scripts:
            await connection.execute(script)
        await connection.close()

    asyncio.run(run())


@pytest.fixture
def shop(server: str) -> str:
    """The shop of the docs, without a row."""
    execute(server, "DROP SCHEMA public CASCADE; CREATE SCHEMA public", FILES["schema.sql"])
    return server


def shop_yaml(url: str) -> str:
    text, changed = re.subn(r"url: postgresql://\S+", f"url: {url}", FILES["shop.yaml"])
    assert changed == 1
    return text


def stable(text: str) -> str:
    return re.sub(r',"(events|feeds)_per_s":[\d.]+', "", text)


def held(data: Path) -> list[tuple[bytes, bytes]]:
    """The log's events, in its order."""
    with closing(sqlite3.connect(data / "events.sqlite")) as log:
        return log.execute("SELECT id, payload FROM events ORDER BY log_offset").fetchall()


def test_the_docs_show_files_and_commands() -> None:
    assert set(FILES) == {"posts.csv", "reactions.csv", "tables.yaml", "schema.sql", "shop.yaml"}
    assert len(COMMANDS) >= 9
    assert len(PRINTED) >= 5


def test_every_command_of_the_docs_runs_and_answers_as_printed(tmp_path: Path, shop: str) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(shop_yaml(shop) if name == "shop.yaml" else text, encoding="utf-8")
    execute(shop, FEW, NEW)
    repository(tmp_path / "project", many(100))
    done = in_bash("\n".join(["set -euo pipefail", *COMMANDS]), tmp_path)
    ran = stable(done.stdout + done.stderr).splitlines()
    for line in PRINTED:
        assert stable(line) in ran
    assert len(done.stdout.splitlines()) == len(COMMANDS)


def test_a_shop_of_100_000_rows_then_nothing_new_then_only_what_is_new(
    run: Callable[..., Any], shop: str, tmp_path: Path
) -> None:
    execute(shop, FILL)
    (tmp_path / "shop.yaml").write_text(shop_yaml(shop))
    args = ("import", "sql:shop", "--config", str(tmp_path / "shop.yaml"), "--data", str(tmp_path / "data"))
    whole = json.loads(run(*args).stdout)
    assert (whole["read"], whole["appended"], whole["duplicate"], whole["refused"]) == (ROWS, ROWS, 0, 0)
    again = json.loads(run(*args).stdout)
    assert (again["appended"], again["refused"]) == (0, 0)
    assert again["read"] == again["duplicate"] < 1_100  # the overlaps
    execute(shop, NEW)
    new = json.loads(run(*args).stdout)
    assert (new["appended"], new["refused"]) == (6, 0)
    keys = {key for key, _ in held(tmp_path / "data")[-6:]}
    assert keys > {b"shop.users:6001", b"shop.posts:30001", b"shop.likes:39801", b"shop.likes:50001"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("FROM likes", "FRM likes", 'sql:shop, query likes: syntax error at or near "likes"'),
        ("FROM likes", "FROM liks", 'sql:shop, query likes: relation "liks" does not exist'),
        ("actor: follower_id", "actor: follower", "`import.sql.shop.queries.follows.actor` names column 'follower'"),
        ("/postgres ", "/nowhere ", 'sql:shop, query users: database "nowhere" does not exist'),
        (r"@127.0.0.1:\d+", "@127.0.0.1:1", "sql:shop, query users: the database cannot be reached"),
        ("watermark: id", "watermark: created", "`import.sql.shop.queries.likes.watermark` names column 'created'"),
        (
            r"SELECT id, user_id, post_id, created_at FROM likes\n +watermark: id",
            "DELETE FROM likes RETURNING id, user_id, post_id, created_at",
            "sql:shop, query likes: cannot execute DELETE in a read-only transaction",
        ),
    ],
)
async def test_what_goes_wrong_with_postgresql_is_one_line(
    shop: str, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text, changed = re.subn(old, new, shop_yaml(shop))
    assert changed
    source = DatabaseSource("shop", parse(text).import_.sql["shop"])
    async with await EventLog.open(Log(), tmp_path) as log, aclosing(source.batches(log, time.time(), 100)) as batches:
        with pytest.raises((ImportFailed, ConfigError)) as refusal:
            await pour(batches, log, lambda *_: None)
    assert str(refusal.value).startswith(reason)
    assert "\n" not in str(refusal.value)


def kill_in_the_middle(args: tuple[str, ...], data: Path, at: int) -> int:
    """Run an import until the log holds `at` events, then SIGKILL; how many it holds then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "feedgen", *args], cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        while process.poll() is None and count(data) < at:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, said
    return count(data)


def count(data: Path) -> int:
    if not (data / "events.sqlite").exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{data}/events.sqlite?mode=ro", uri=True)) as log:
            [(found,)] = log.execute("SELECT count(*) FROM events").fetchall()
            return int(found)
    except sqlite3.OperationalError:  # the table is being made
        return 0


def check_killed(run: Callable[..., Any], tmp_path: Path, source: str, settings: str) -> None:
    """Twice killed and run to the end is the same log as never killed."""
    (tmp_path / "c.yaml").write_text(settings)
    config = ("--config", str(tmp_path / "c.yaml"))
    whole = json.loads(run("import", source, *config, "--data", str(tmp_path / "whole")).stdout)
    args = ("import", source, *config, "--data", str(tmp_path / "killed"))
    for part in (4, 2):
        left = kill_in_the_middle(args, tmp_path / "killed", whole["read"] // part)
        assert 0 < left < whole["read"]
    rest = json.loads(run(*args).stdout)
    assert rest["appended"] == whole["read"] - left
    assert held(tmp_path / "killed") == held(tmp_path / "whole")
    assert json.loads(run(*args).stdout)["appended"] == 0


def test_a_git_import_killed_in_the_middle_and_run_again(run: Callable[..., Any], tmp_path: Path) -> None:
    repository(tmp_path / "r", many(1_500))
    check_killed(run, tmp_path, f"git:{tmp_path / 'r'}", "log: {batch_events: 50}")


def test_a_sql_import_killed_in_the_middle_and_run_again(run: Callable[..., Any], shop: str, tmp_path: Path) -> None:
    execute(shop, FILL, "TRUNCATE likes, follows; DELETE FROM posts WHERE id > 3000")
    check_killed(run, tmp_path, "sql:shop", shop_yaml(shop) + "log: {batch_events: 100}\n")


def test_a_git_history_grows_between_two_imports(run: Callable[..., Any], tmp_path: Path) -> None:
    args = ("import", f"git:{tmp_path / 'r'}", "--data", str(tmp_path / "data"))
    repository(tmp_path / "r", many(300))
    first = json.loads(run(*args).stdout)
    assert json.loads(run(*args).stdout) | {"events_per_s": 0} == {
        "read": first["read"],
        "appended": 0,
        "duplicate": first["read"],
        "refused": 0,
        "events_per_s": 0,
    }
    repository(tmp_path / "r", [Made("docs: one more\n\nReviewed-by: P1 <p1@x.org>\n", authored_at=1_700_000_000)])
    last = json.loads(run(*args).stdout)
    assert (last["appended"], last["duplicate"]) == (5, first["read"])


def test_the_projects_own_history_is_imported_and_feeds_are_made(run: Callable[..., Any], tmp_path: Path) -> None:
    if not (REPO / ".git").exists():
        pytest.skip("this copy of the project is no clone")
    imported = json.loads(run("import", "git:.", "--data", str(tmp_path)).stdout)
    assert imported["appended"] == imported["read"] >= int(git(REPO, "rev-list", "--count", "HEAD"))
    assert imported["refused"] == 0
    assert json.loads(run("generate", "--all", "--data", str(tmp_path)).stdout)["feeds"] >= 1
