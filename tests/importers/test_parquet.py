"""Parquet, by the same mapping as every table."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet as writer

from feedgen.config import Cell, Moment, TableMapping
from feedgen.errors import ConfigError, ImportFailed
from feedgen.events import Event
from feedgen.importers.intake import Batch
from feedgen.importers.parquet import Table

NOW = 1_735_000_000.0
MAPPING = TableMapping(
    type="post",
    id="id",
    ts="at",
    actor="who",
    object=Cell(column="id", prefix="p"),
    attrs={"topics": "tags", "length": "n"},
)
TIMES = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=n, microseconds=5) for n in range(3)]
COLUMNS: dict[str, Any] = {
    "id": arrow.array([1, 2, 3], arrow.int32()),
    "at": arrow.array(TIMES, arrow.timestamp("us", "Europe/Berlin")),
    "unused": [b"\xff", None, b""],
    "who": arrow.array(["ann", None, "cem"]).dictionary_encode(),
    "tags": [["a", "b"], [], None],
    "n": [5.0, None, None],
}


def read(path: Path, mapping: TableMapping = MAPPING, size: int = 1_000) -> list[Batch]:
    table = Table(str(path))
    try:
        return list(table.batches("m", mapping, NOW, size))
    finally:
        table.close()


def write(tmp_path: Path, **more: Any) -> Path:
    writer.write_table(arrow.table(COLUMNS | more), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_rows_are_events_and_refusals_by_number(tmp_path: Path) -> None:
    [batch] = read(write(tmp_path))
    assert batch.events == [
        Event("m:1", "post", TIMES[0].timestamp(), "ann", "p1", {"topics": ["a", "b"], "length": 5}),
        Event("m:3", "post", TIMES[2].timestamp(), "cem", "p3", {}),
    ]
    assert batch.refused == [(2, "no actor: column 'who' is empty", "row")]


@pytest.mark.parametrize(
    "kind", [arrow.timestamp("ns"), arrow.timestamp("ns", "Asia/Tokyo"), arrow.timestamp("s"), arrow.date32()], ids=str
)
def test_times_of_every_kind(tmp_path: Path, kind: Any) -> None:
    whole = [time.replace(microsecond=0, tzinfo=None) for time in TIMES]
    column = arrow.array(whole, arrow.timestamp("us")).cast(kind, safe=False)
    [batch] = read(write(tmp_path, at=column))
    wanted = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert batch.events[0].ts == wanted
    assert batch.events[1].ts == (wanted if kind == arrow.date32() else wanted + 2)


def test_nanoseconds_are_cut_and_decimals_are_ids(tmp_path: Path) -> None:
    column = arrow.array([1_700_000_000_123_456_789] * 3, arrow.timestamp("ns"))
    [batch] = read(write(tmp_path, at=column, id=arrow.array([Decimal(n) for n in range(3)], arrow.decimal128(20, 2))))
    assert batch.events[0].ts == 1_700_000_000.123456
    assert batch.events[1].id == "m:2"


def test_epoch_numbers(tmp_path: Path) -> None:
    mapping = TableMapping(type="login", ts=Moment(column="ms", format="ms"), actor="who")
    [batch] = read(write(tmp_path, ms=[1_000, 2_000, 3_500]), mapping)
    assert [event.ts for event in batch.events] == [1.0, 3.5]


def test_a_file_of_many_row_groups_is_read_in_batches_of_the_size_asked_for(tmp_path: Path) -> None:
    rows = 12_345
    table = arrow.table({"at": [TIMES[0]] * rows, "who": [f"u{n}" for n in range(rows)]})
    writer.write_table(table, tmp_path / "t.parquet", row_group_size=1_000)
    opened = Table(str(tmp_path / "t.parquet"))
    batches = list(opened.batches("m", TableMapping(type="login", ts="at", actor="who"), NOW, 4_000))
    opened.close()
    assert [len(batch.events) for batch in batches] == [4_000, 4_000, 4_000, 345]
    assert opened.rows == opened.rows_read == rows
    assert [event.actor for batch in batches for event in batch.events] == [f"u{n}" for n in range(rows)]


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    mapping = TableMapping(type="login", ts="at", actor="whom")
    with pytest.raises(ConfigError, match=r"`import\.mappings\.m\.actor` names column 'whom'.* it has id, at, unused"):
        read(write(tmp_path), mapping)


def test_what_is_no_parquet_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("id,at\n" * 10)
    (tmp_path / "empty").write_bytes(b"")
    for name, reason in [
        ("none", "no such file"),
        (".", "is a folder"),
        ("text", "cannot be read"),
        ("empty", "cannot"),
    ]:
        with pytest.raises(ImportFailed, match=reason) as refusal:
            Table(str(tmp_path / name))
        assert "\n" not in str(refusal.value)


def test_damage_in_the_middle_keeps_what_is_before(tmp_path: Path) -> None:
    rows = 20_000
    table = arrow.table({"at": [TIMES[0]] * rows, "who": [os.urandom(8).hex() for _ in range(rows)]})
    path = tmp_path / "t.parquet"
    writer.write_table(table, path, row_group_size=5_000, use_dictionary=False, compression="gzip")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    batches = read(path, TableMapping(type="login", ts="at", actor="who"))
    assert 5_000 <= sum(len(batch.events) for batch in batches) < rows
    assert "broke off" in str(batches[-1].failure)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("import: {mappings: {m: {type: login, ts: at, actor: who}}}")
    code = "import sys; sys.modules['pyarrow'] = None; from feedgen.cli import main; main(sys.argv[1:])"
    args = (
        "import",
        str(write(tmp_path)),
        "--mapping",
        "m",
        "--config",
        str(tmp_path / "c.yaml"),
        "--data",
        str(tmp_path),
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"feedgen: {tmp_path / 't.parquet'}: Parquet needs pyarrow: pip install 'forefeed[parquet]'"
    ]
