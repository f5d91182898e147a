"""The JSON Lines reader: every line is an event or a named refusal, whatever the file is like."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import Log
from feedgen.errors import ImportFailed
from feedgen.eventlog import EventLog
from feedgen.events import decode_json
from feedgen.importers import jsonl
from feedgen.importers.intake import Batch, Report, pour, threaded
from feedgen.importers.source import LINE_MAX_BYTES, opened

NOW = 1_735_000_000.0


def line(number: int, **more: object) -> bytes:
    return json.dumps({"id": f"e{number}", "type": "login", "ts": 5.0, "actor": "u1"} | more).encode()


def read(path: Path, size: int = 1_000) -> list[Batch]:
    with opened(str(path)) as source:
        return list(jsonl.batches(source, NOW, size))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def ids(batches: Sequence[Batch]) -> list[str]:
    return [event.id for batch in batches for event in batch.events]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\r\n \t\n"])
def test_the_forms_a_file_may_have(tmp_path: Path, packed: bool, end: bytes, mark: bytes, last: bytes) -> None:
    data = mark + end.join([line(0), b"", line(1), b"  ", line(2)]) + last
    path = write(tmp_path / "any.name", gzip.compress(data) if packed else data)
    assert read(path) == [Batch([decode_json(line(n), NOW) for n in range(3)], [])]


def test_refused_lines_keep_their_numbers_and_the_others_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"\n".join([line(0), b"", b"{broken", line(1), line(2, type="likes"), b"\xff\xfe"]))
    batches = read(path)
    assert ids(batches) == ["e0", "e1"]
    refused = {refusal.line: refusal.reason for batch in batches for refusal in batch.refused}
    assert set(refused) == {3, 5, 6}
    assert "malformed" in refused[3]
    assert refused[5] == "unknown type 'likes'"


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_is_too_long_is_refused_and_never_held(tmp_path: Path, packed: bool) -> None:
    most = line(1)[:-1] + b" " * (LINE_MAX_BYTES - len(line(1))) + b"}"
    assert len(most) == LINE_MAX_BYTES
    data = b"\n".join([line(0), b"x" * 40_000_000, most, most + b" ", line(2), b"y" * (LINE_MAX_BYTES + 1)])
    path = write(tmp_path / "a", gzip.compress(data, 1) if packed else data)
    del data
    tracemalloc.start()
    batches = read(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ids(batches) == ["e0", "e1", "e2"]
    assert [refusal.line for batch in batches for refusal in batch.refused] == [2, 4, 6]
    assert peak_bytes < 8_000_000


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_batches_are_of_the_size_asked_for(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a", b"\n".join(line(n) if n % 3 else b"broken" for n in range(11)))
    batches = read(path, size)
    assert [len(batch.events) + len(batch.refused) for batch in batches] == [size] * (11 // size) + (
        [11 % size] if 11 % size else []
    )
    assert ids(batches) == [f"e{n}" for n in range(11) if n % 3]


def test_an_empty_file_has_no_batches(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", b"")) == []
    assert read(write(tmp_path / "b", b"\n\r\n  \n")) == []
    assert read(write(tmp_path / "c", gzip.compress(b""))) == []


def test_ids_are_derived_from_the_files_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    plain = json.dumps({"type": "login", "ts": 5.0, "actor": 1}).encode()
    [first] = ids(read(write(tmp_path / "a", plain)))
    assert ids(read(write(tmp_path / "else" / "a", b"\n" + plain + b"\n"))) == [first]
    assert ids(read(write(tmp_path / "b", plain))) != [first]


@given(st.data())
def test_a_gzip_file_cut_anywhere_gives_what_is_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = gzip.compress(b"\n".join(line(n, attrs={"x": f"{n * 7919 % 1009:x}"}) for n in range(300)), mtime=0)
    cut = data.draw(st.integers(2, len(whole) - 1))
    batches = read(write(tmp_path_factory.mktemp("cut") / "a.gz", whole[:cut]), 100)
    lines_before = zlib.decompressobj(wbits=31).decompress(whole[:cut]).count(b"\n")
    assert ids(batches) == [f"e{n}" for n in range(lines_before)]
    assert not any(batch.refused for batch in batches)
    assert batches[-1].failure is not None
    assert "cut short" in batches[-1].failure


def test_a_gzip_file_with_damage_or_rubbish_behind_it(tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join([line(0), line(1), b""]))
    damaged = read(write(tmp_path / "a.gz", whole[:-6] + b"\0\0\0\0\0\0"))
    assert ids(damaged) == ["e0", "e1"]
    assert "broke off" in str(damaged[-1].failure)
    assert "broke off" in str(read(write(tmp_path / "b.gz", whole + b"rubbish"))[-1].failure)
    assert ids(read(write(tmp_path / "c.gz", whole + gzip.compress(line(2))))) == ["e0", "e1", "e2"]


@pytest.mark.parametrize(("name", "reason"), [("none", "no such file"), (".", "is a folder"), ("a\0", "null byte")])
def test_a_source_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ImportFailed, match=reason), opened(f"{tmp_path}/{name}"):
        pass


async def test_pour_reports_after_each_batch_once_it_is_in_the_log(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"\n".join([*(line(n % 7) for n in range(10)), b"broken"]))
    told: list[Report] = []
    async with await EventLog.open(Log(), tmp_path) as log:
        with opened(str(path)) as source:
            report = await pour(threaded(jsonl.batches(source, NOW, 4)), log, lambda so_far, _: told.append(so_far))
        assert await log.count() == 7
    assert [one.read for one in told] == [4, 8, 11]
    assert told[-1] == report == Report(read=11, appended=7, duplicate=3, refused=1)


async def test_what_the_reader_raises_reaches_the_caller(tmp_path: Path) -> None:
    def failing() -> Iterator[Batch]:
        yield Batch([], [])
        raise ZeroDivisionError

    async with await EventLog.open(Log(), tmp_path) as log:
        with pytest.raises(ZeroDivisionError):
            await pour(threaded(failing()), log, lambda *_: None)
