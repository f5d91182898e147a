"""Room is claimed while there is any; who gets none is told what is missing, before anything is made."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import generate_bench
from loadtest.generate_bench import Plan, measure
from loadtest.room import Room, Rooms, free_here

SIZES = st.integers(0, 100).map(float)
ROOMS = st.builds(Room, SIZES, SIZES)


@given(ROOMS, st.lists(ROOMS, max_size=8))
def test_what_is_granted_fits_and_who_is_refused_takes_nothing(free: Room, needs: list[Room]) -> None:
    rooms, granted = Rooms(free), []
    for need in needs:
        fits = all(sum(column) <= most for column, most in zip(zip(need, *granted, strict=True), free, strict=True))
        assert (rooms.claim(need) is None) == fits
        if fits:
            granted.append(need)


def test_the_reason_names_what_is_missing_and_what_to_do() -> None:
    rooms = Rooms(Room(memory=2e9, disk=3e9))
    assert rooms.claim(Room(memory=4e9)) == "needs 4.0 GB of memory, and 2.0 are left"
    assert "needs 5.0 GB in /" in str(rooms.claim(Room(memory=1e9, disk=5e9)))
    assert "set TMPDIR" in str(rooms.claim(Room(memory=1e9, disk=5e9)))


def test_the_room_here_is_read_from_the_system() -> None:
    assert min(free_here()) > 1e6


def test_a_peer_without_disk_is_left_out_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_bench, "free_here", lambda: Room(memory=1e12, disk=1e6))
    figures = measure([40], Plan(followees=5, rounds=1, seconds=0.02, batch=8), lambda line: None)
    assert figures["sql"]["skipped"].startswith("needs 0.1 GB in ")
    assert figures["ours"]["feeds_per_s"] > 0
    assert {*figures["growth"]} >= {"ours", "ships"}
    assert "sql" not in figures["growth"]


def test_a_network_beyond_the_memory_is_refused_in_one_line_before_it_is_drawn() -> None:
    command = ["generate", "--viewers", "40", "--viewers", "1000000", "--followees", "10000"]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("loadtest: 1,000,000 viewers: needs 16")
    assert line.endswith("ask for fewer viewers or followees")
