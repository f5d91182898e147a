"""CSV as people have it: byte-order marks, quoted line ends, other delimiters, broken rows."""

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import Moment, TableMapping
from feedgen.errors import ConfigError, ImportFailed
from feedgen.events import Event
from feedgen.importers import csvtable
from feedgen.importers.intake import Batch
from feedgen.importers.source import LINE_MAX_BYTES, opened

NOW = 1_735_000_000.0


def mapping(delimiter: str = ",", header: bool = True, first: str = "at", second: str = "who") -> TableMapping:
    return TableMapping(
        type="login", ts=Moment(column=first, format="s"), actor=second, delimiter=delimiter, header=header
    )


def read(path: Path, of: TableMapping | None = None, size: int = 1_000) -> list[Batch]:
    with opened(str(path)) as source:
        return list(csvtable.batches(source, "m", of or mapping(), NOW, size))


def read_bytes(tmp_path: Path, data: bytes, of: TableMapping | None = None) -> tuple[list[Event], dict[int, str]]:
    (tmp_path / "t.csv").write_bytes(data)
    batches = read(tmp_path / "t.csv", of)
    assert {refusal.what for batch in batches for refusal in batch.refused} <= {"row"}
    return (
        [event for batch in batches for event in batch.events],
        {refusal.line: refusal.reason for batch in batches for refusal in batch.refused},
    )


def actors(events: list[Event]) -> list[str]:
    return [event.actor for event in events]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_forms_a_file_may_have(tmp_path: Path, packed: bool, end: str, mark: str, delimiter: str) -> None:
    rows = ["who, at", 'ann,"5"', "", '"b""o\nb",6', "日本,7"]
    data = (mark + end.join(rows).replace(",", delimiter) + end).encode()
    events, refused = read_bytes(tmp_path, gzip.compress(data) if packed else data, mapping(delimiter))
    assert actors(events) == ["ann", 'b"o\nb', "日本"]
    assert [event.ts for event in events] == [5.0, 6.0, 7.0]
    assert refused == {}


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path: Path) -> None:
    data = b'who,at\nann,5\n\n"two\nlines",x\nshort\nbob,6,7\n\xff,8\n"a"b,9\ncem,10\n"open,11\n'
    events, refused = read_bytes(tmp_path, data)
    assert actors(events) == ["ann", "cem"]
    assert set(refused) == {4, 5, 6, 7, 8, 10}
    assert refused[4] == "ts 'x' is no number (`format: s`)"
    assert refused[5] == "1 cells, where the table has 2 columns"
    assert refused[7] == "not UTF-8"
    assert "expected after" in refused[8]
    assert "unexpected end of data" in refused[10]


def test_without_a_header_columns_have_numbers(tmp_path: Path) -> None:
    events, refused = read_bytes(tmp_path, b"ann,5\nbob,x\n", mapping(header=False, first="2", second="1"))
    assert actors(events) == ["ann"]
    assert set(refused) == {2}


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"`import\.mappings\.m\.actor` names column 'who', which t\.csv does not have"
    ):
        read_bytes(tmp_path, b"at,whom\n5,ann\n")


def test_a_header_that_is_none(tmp_path: Path) -> None:
    for data, reason in [
        (b"\xff\xfe\n", "not UTF-8"),
        (b"x" * (LINE_MAX_BYTES + 1), "longer than"),
        (b'"', "end of data"),
    ]:
        with pytest.raises(ImportFailed, match=f"t.csv: row 1 is no row of a CSV file: .*{reason}"):
            read_bytes(tmp_path, data)


def test_nothing_and_a_header_alone(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"") == read_bytes(tmp_path, b"\n\n") == read_bytes(tmp_path, b"at,who\n") == ([], {})


def test_a_quote_never_closed_and_a_line_too_long_are_not_held(tmp_path: Path) -> None:
    data = (
        b"at,who\n1,ann\n"
        + b"2,x"
        + b"x" * 20_000_000
        + b'\n3,bob\n4,"'
        + (b"y" * 1_000 + b"\n") * 2_000
        + b'"\n5,cem\n'
    )
    (tmp_path / "t.csv").write_bytes(data)
    tracemalloc.start()
    batches = read(tmp_path / "t.csv", size=100)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 12_000_000
    events = [event for batch in batches for event in batch.events]
    assert actors(events)[:2] == ["ann", "bob"]
    refused = [refusal for batch in batches for refusal in batch.refused]
    assert refused[0].reason == f"a line longer than {LINE_MAX_BYTES} bytes"
    assert "is a quote not closed?" in refused[1].reason


def test_a_gzip_file_cut_short_keeps_what_is_before_the_cut(tmp_path: Path) -> None:
    whole = gzip.compress(b"at,who\n" + b"".join(b"%d,u%d\n" % (n, n * 7919 % 1009) for n in range(5_000)))
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    batches = read(tmp_path / "t.csv.gz")
    assert sum(len(batch.events) for batch in batches) > 1_000
    assert "cut short" in str(batches[-1].failure)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), max_size=20))
def test_what_pythons_writer_wrote_is_read_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("at", "who"), *enumerate(names)])
    events, refused = read_bytes(tmp_path_factory.mktemp("csv"), text.getvalue().encode())
    assert actors(events) == names
    assert refused == {}


@given(st.binary(max_size=200))
def test_any_bytes_end_in_events_and_refusals(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    read_bytes(tmp_path_factory.mktemp("csv"), b"at,who\n" + data)
