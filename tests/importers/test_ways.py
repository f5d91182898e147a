"""Which reader takes a source, and how a table finds its mapping."""

from contextlib import aclosing
from pathlib import Path

import pytest

from feedgen.config import Log, Settings, parse
from feedgen.errors import ConfigError, ImportFailed
from feedgen.eventlog import EventLog
from feedgen.importers import ways

NOW = 1_735_000_000.0
MAPPINGS = """
log: {batch_events: 2}
import:
  mappings:
    logins: {files: "log*.csv*", type: login, ts: at, actor: who}
    logouts: {files: "*outs.csv", type: logout, ts: at, actor: who}
  sql:
    shop: {url: "sqlite:///x.db", queries: {users: {query: q, type: login, ts: a, actor: b}}}
"""


async def kinds(settings: Settings, source: str, mapping: str | None = None) -> list[str]:
    with ways.opened(settings, source, mapping, NOW) as way:
        async with await EventLog.open(Log(), Path(source).parent / "log") as log, aclosing(way.stream(log)) as batches:
            return [event.type async for batch in batches for event in batch.events]


@pytest.mark.parametrize(
    ("name", "mapping", "kind"),
    [
        ("log.csv", None, "login"),
        ("log.csv.gz", None, "login"),
        ("outs.csv", None, "logout"),
        ("log.csv", "logouts", "logout"),
        ("notes.txt", "logins", "login"),
    ],
)
async def test_a_table_finds_its_mapping(tmp_path: Path, name: str, mapping: str | None, kind: str) -> None:
    (tmp_path / name).write_text("at,who\n" + "2024-01-01,ann\n" * 3)
    assert await kinds(parse(MAPPINGS), str(tmp_path / name), mapping) == [kind] * 3


async def test_what_is_no_table_is_json_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"type": "login", "ts": 1, "actor": "ann"}\n')
    with ways.opened(parse(MAPPINGS), str(tmp_path / "log"), None, NOW) as way:
        async with await EventLog.open(Log(), tmp_path / "data") as log, aclosing(way.stream(log)) as batches:
            assert [len(batch.events) async for batch in batches] == [1]
        assert way.progress()[:2] == (43, 43)


@pytest.mark.parametrize(
    ("source", "mapping", "reason"),
    [
        (
            "posts.csv",
            None,
            "posts.csv: which mapping? By their `files`, none matches it; say --mapping (there is logins,",
        ),
        ("logouts.csv", None, "logouts.csv: which mapping? By their `files`, several match it: logins, logouts"),
        ("posts.parquet", None, "posts.parquet: which mapping?"),
        ("posts.csv", "no", "--mapping no: no `import.mappings.no` in the settings; there is logins, logouts"),
        ("sql:no", None, "sql:no: no `import.sql.no` in the settings; there is shop"),
        ("sql:shop", "logins", "--mapping is for CSV and Parquet files"),
        ("git:.", "logins", "--mapping is for CSV and Parquet files"),
    ],
)
def test_what_the_settings_do_not_say(source: str, mapping: str | None, reason: str) -> None:
    with pytest.raises(ConfigError) as refusal, ways.opened(parse(MAPPINGS), source, mapping, NOW):
        pass
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize("source", ["none.jsonl", "log.csv", "git:none", "log.parquet"])
def test_what_is_not_there(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mapping = "logins" if source == "log.parquet" else None
    with pytest.raises(ImportFailed, match="no such"), ways.opened(parse(MAPPINGS), source, mapping, NOW):
        pass
