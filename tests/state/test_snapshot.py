"""A snapshot gives back what was written, or says in one line why it cannot."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen.errors import BadSnapshot
from feedgen.state.checksum import CHUNK_BYTES, checksums
from feedgen.state.columns import Column
from feedgen.state.snapshot import FORMAT, Columns, Draft, Stand, drop_abandoned, map_columns, read_header

STAND = Stand(log="a-log", watermark=7, last_event="e7", latest_ts=5.5, settings={"retention_days": 365.0}, base="")
DTYPES = (np.int32, np.int64, np.uint8, np.bool_, np.float64, np.uint32)


def some(rng: random.Random) -> dict[str, NDArray[Any]]:
    """Columns of any length, many about as long as a chunk."""
    lengths = (0, 1, 3, 7, 8, 100, CHUNK_BYTES // 8 + rng.randrange(-1, 2), CHUNK_BYTES + rng.randrange(-9, 9), 90_001)
    return {
        f"part{n}.values": np.frombuffer(rng.randbytes(rng.choice(lengths)), np.uint8).astype(dtype)
        for n, dtype in enumerate(DTYPES)
    }


def touched(columns: Columns, rng: random.Random) -> dict[str, NDArray[Any]]:
    """The columns after some time: entries changed in place, columns grown (elsewhere in memory), or cut short."""
    after = {}
    for name, column in columns.items():
        for _ in range(rng.choice((0, 0, 1, 5)) if len(column) else 0):
            column[rng.randrange(len(column))] = rng.randrange(2)
        change = rng.choice((0, 0, 1, 3, CHUNK_BYTES, -1, -CHUNK_BYTES))
        after[name] = (
            np.concatenate([column, np.ones(change, column.dtype)]) if change > 0 else column[: len(column) + change]
        )
    return after


def written(columns: Columns, place: Path, stand: Stand = STAND) -> Path:
    with Draft(place) as draft:
        draft.write(columns)
        return draft.finish(stand)


def mapped(place: Path) -> dict[str, NDArray[Any]]:
    return map_columns(place, read_header(place))


def assert_same(one: Columns, other: Columns) -> None:
    assert sorted(one) == sorted(other)
    for name, column in one.items():
        assert column.dtype == other[name].dtype
        assert np.array_equal(column, other[name]), name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 4))
def test_what_is_mapped_is_what_the_last_pass_saw(seed: int, passes: int) -> None:
    rng = random.Random(seed)
    columns = some(rng)
    with TemporaryDirectory() as folder, Draft(Path(folder) / "s") as draft:
        for _ in range(passes):
            draft.write(columns)
            columns = touched(columns, rng)
        draft.write(columns)
        assert draft.write(columns) == 0
        place = draft.finish(STAND)
        found = mapped(place)
        assert_same(found, columns)
        header = read_header(place)
        assert header.stand == STAND
        assert header.nbytes == sum(column.nbytes for column in columns.values())


def test_a_later_pass_writes_little_where_little_has_changed(tmp_path: Path) -> None:
    columns = {"big": np.zeros(1 << 20, np.int64)}
    with Draft(tmp_path / "s") as draft:
        assert draft.write(columns) == 8 << 20
        columns["big"][[5, 6, 700_000]] = 1
        assert draft.write(columns) == 2 * CHUNK_BYTES
        draft.finish(STAND)
    assert_same(mapped(tmp_path / "s"), columns)


def test_what_is_written_to_mapped_columns_stays_in_the_process(tmp_path: Path) -> None:
    place = written({"a": np.arange(100_000)}, tmp_path / "s")
    mine = mapped(place)["a"]
    mine[:] = -1
    assert np.array_equal(mapped(place)["a"], np.arange(100_000))
    place.rename(tmp_path / "elsewhere")
    assert mine[99_999] == -1


def test_a_large_column_is_mapped_with_room_to_grow_which_takes_no_disk(tmp_path: Path) -> None:
    column = Column(np.int64)
    column.extend(np.arange(1 << 18))
    place = written({"a": column.values}, tmp_path / "s")
    again = Column(np.int64)
    again.restore({"": mapped(place)["a"]})
    where = again.values.ctypes.data
    again.extend(np.arange(1 << 15))
    assert again.values.ctypes.data == where
    again.extend(np.arange(1 << 15))
    column.extend(np.tile(np.arange(1 << 15), 2))
    assert np.array_equal(again.values, column.values)
    assert len(mapped(place)["a"]) == 1 << 18
    on_disk = (place / "a").stat()
    assert on_disk.st_size > 512 * on_disk.st_blocks - 8_192


def test_the_last_written_takes_the_place_and_nothing_is_left_behind(tmp_path: Path) -> None:
    written({"a": np.arange(3)}, tmp_path / "s")
    written({"a": np.arange(5)}, tmp_path / "s")
    assert len(mapped(tmp_path / "s")["a"]) == 5
    with Draft(tmp_path / "t") as draft:
        draft.write({"a": np.arange(5)})
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_draft_under_way_is_left_alone(tmp_path: Path) -> None:
    with Draft(tmp_path / "s") as draft:
        assert drop_abandoned(tmp_path) == 0
        draft.write({"a": np.arange(5)})
        draft.finish(STAND)
    assert len(mapped(tmp_path / "s")["a"]) == 5


def refusal(place: Path) -> str:
    with pytest.raises(BadSnapshot) as refused:
        mapped(place)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_any_flipped_byte_and_any_cut_is_noticed(seed: int) -> None:
    rng = random.Random(seed)
    with TemporaryDirectory() as folder:
        place = written(some(rng), Path(folder) / "s")
        files = [path for path in place.iterdir() if path.name != "lock" and path.stat().st_size]
        victim = rng.choice(files)
        data = bytearray(victim.read_bytes())
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] ^= 1 << rng.randrange(8)
        else:
            del data[at:]
        victim.write_bytes(data)
        reason = refusal(place)
        assert any(word in reason for word in ("damaged", "torn", "header", "format"))


def test_a_missing_file_and_a_missing_header_are_named(tmp_path: Path) -> None:
    place = written({"graph.values": np.arange(5)}, tmp_path / "s")
    (place / "graph.values").unlink()
    assert refusal(place) == "is torn: graph.values is missing"
    (place / "header.json").unlink()
    assert refusal(place) == "has no header"
    assert refusal(tmp_path / "nothing") == "has no header"
    (place / "header.json").mkdir()
    assert refusal(place).startswith("cannot be read")


@pytest.mark.parametrize("number", [0, FORMAT + 1])
def test_another_format_is_refused_by_its_number(tmp_path: Path, number: int) -> None:
    place = written({"a": np.arange(5)}, tmp_path / "s")
    body = (place / "header.json").read_bytes().split(b"\n")[0]
    other = msgspec.json.encode({**msgspec.json.decode(body), "format": number})
    signature = checksums(np.frombuffer(other, np.uint8)).tobytes().hex().encode()
    (place / "header.json").write_bytes(other + b"\n" + signature + b"\n")
    assert refusal(place) == f"is of format {number}, this version reads {FORMAT}"


KILLED = """
import sys, numpy as np
from pathlib import Path
from feedgen.state.snapshot import Draft, Stand
stand = Stand(log="a", watermark=int(sys.argv[2]), last_event="", latest_ts=0.0, settings={})
columns = {f"c{n}": np.arange(400_000) + n for n in range(12)}
while True:
    with Draft(Path(sys.argv[1]) / "s") as draft:
        draft.write(columns)
        print("written", flush=True)
        draft.finish(stand)
        print("finished", flush=True)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.013, 0.05])
def test_who_is_killed_in_the_midst_of_writing_leaves_the_one_before(tmp_path: Path, wait_s: float) -> None:
    written({"before": np.arange(9)}, tmp_path / "r")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), "3"], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    time.sleep(wait_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    assert_same(mapped(tmp_path / "r"), {"before": np.arange(9)})
    whole = [path.name for path in tmp_path.iterdir() if path.suffix != ".part"]
    if "s" in whole:
        assert len(mapped(tmp_path / "s")) == 12
    drop_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(whole)
    written({"next": np.arange(9)}, tmp_path / "s")
    assert_same(mapped(tmp_path / "s"), {"next": np.arange(9)})
