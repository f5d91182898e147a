"""Room is claimed while there is any; who gets none is told what is missing, before anything is made."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest import generate_bench
from loadtest.__main__ import app
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


MEMORY = 8 << 30
OLDER, UNIFIED = "sys/fs/cgroup/memory", "sys/fs/cgroup"


def system(root: Path, listed: str, files: dict[str, str]) -> Path:
    """A machine with 8 GiB left whose process is in these control groups."""
    given = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {MEMORY >> 10} kB\n", "proc/self/cgroup": listed}
    for name, text in {**given, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def group(mount: str, path: str, most: int | str, used: int, cache: int) -> dict[str, str]:
    """The files of a control group, as the kernel has them in version 1 or 2."""
    older = mount == OLDER
    return {
        f"{mount}/{path}/{'memory.limit_in_bytes' if older else 'memory.max'}": f"{most}\n",
        f"{mount}/{path}/{'memory.usage_in_bytes' if older else 'memory.current'}": f"{used}\n",
        f"{mount}/{path}/memory.stat": f"anon 7\n{'total_' if older else ''}inactive_file {cache}\nslab 5\n",
    }


@pytest.mark.parametrize(
    ("mount", "line"), [(OLDER, "4:memory:/a/b"), (OLDER, "4:cpu,memory:/a/b"), (UNIFIED, "0::/a/b")]
)
def test_a_container_has_what_its_limit_leaves_and_never_more_than_the_machine(
    tmp_path: Path, mount: str, line: str
) -> None:
    boundless: int | str = (1 << 63) - 4096 if mount == OLDER else "max"
    listed = f"9:pids:/a/b\n1:name=systemd:/c\n{line}\n"
    most, used, cache = 3 << 30, 1 << 30, 1 << 20

    def left(name: str, *groups: dict[str, str]) -> float:
        files = {name: text for files in groups for name, text in files.items()}
        return free_here(system(tmp_path / name, listed, files)).memory

    free = group(mount, "a/b", boundless, used, cache)
    assert left("no limit", free) == MEMORY
    assert left("its own", group(mount, "a/b", most, used, cache)) == most - used + cache
    assert left("one around it", free, group(mount, "a", most, used, 0)) == most - used
    assert left("the least", group(mount, "a/b", most, used, 0), group(mount, "a", 2 * most, used, 0)) == most - used
    assert left("the top, being told the host's path", group(mount, ".", most, used, 0)) == most - used
    assert left("more than there is", group(mount, "a/b", MEMORY * 4, used, 0)) == MEMORY
    assert left("another's", free, group(mount, "c", 1 << 20, 0, 0)) == MEMORY
    assert left("exhausted", group(mount, "a/b", most, most + 4096, 0)) == -4096


def test_a_system_without_control_groups_gives_what_it_has(tmp_path: Path) -> None:
    root = system(tmp_path, "", {})
    assert free_here(root).memory == MEMORY
    (root / "proc/self/cgroup").unlink()
    assert free_here(root).memory == MEMORY


def test_a_peer_without_disk_is_left_out_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_bench, "free_here", lambda: Room(memory=1e12, disk=1e6))
    figures = measure([40], Plan(followees=5, rounds=1, seconds=0.02, batch=8), lambda line: None)
    assert figures["sql"]["skipped"].startswith("needs 0.1 GB in ")
    assert figures["ours"]["feeds_per_s"] > 0
    assert {*figures["growth"]} >= {"ours", "ships"}
    assert "sql" not in figures["growth"]


def test_a_network_beyond_the_memory_is_refused_in_one_line_before_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_bench, "free_here", lambda: Room(memory=4e9, disk=1e12))
    done = CliRunner().invoke(app, ["generate", "--viewers", "40", "--viewers", "1000000", "--followees", "10000"])
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("loadtest: 1,000,000 viewers: needs 16")
    assert line.endswith("GB of memory, and 3.7 are left; ask for fewer viewers or followees")
