"""Files whole or not at all: whoever fails inside, is killed, or finds what a process before left."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from feedgen.ondisk import WRITING, Taken, alone, beside, drop_unfinished, put, put_whole, whole, whole_folder


def test_the_new_takes_the_place_of_the_old_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    put_whole(path, b"before")
    with whole(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [False, True])
def test_what_fails_inside_changes_nothing(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "file"
    if there:
        put_whole(path, b"before")
    with suppress(KeyboardInterrupt), whole(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [b"before"] * there


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    put_whole(path, b"before")
    beside(path).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        put_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [os.getpid(), 1, 4_000_000_000], ids=["ours", "of one that runs", "of none"])
def test_what_was_left_by_a_killed_process_is_dropped_and_nothing_else(tmp_path: Path, number: int) -> None:
    """Whatever its number: in a container the next process has the same, and numbers come again."""
    script = (
        "import os, time; from pathlib import Path; from feedgen.ondisk import whole, whole_folder\n"
        f"os.getpid = lambda: {number}\n"
        "with whole(Path('file')) as file, whole_folder(Path('folder')) as folder:\n"
        "    (folder / 'part').write_text('half')\n"
        "    print('writing', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    others = {f".mine{WRITING}", f"file{WRITING}"}
    for name in others:
        (tmp_path / name).touch()
    left = {f".{name}.{number}{WRITING}" for name in ("file", "folder")}
    drop_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others | left, "it still runs"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    drop_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others


def test_what_cannot_be_locked_stays_and_keeps_nobody_from_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, really = tmp_path / f".file.1{WRITING}", fcntl.flock
    left.touch()

    def flock(opened: int, how: int) -> None:
        if os.path.samestat(os.fstat(opened), left.stat()):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really(opened, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with whole_folder(tmp_path / "folder") as folder:
        put(folder / "part", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {left.name, "folder"}


def test_a_folder_takes_its_name_at_the_end_and_what_fails_inside_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    with suppress(KeyboardInterrupt), whole_folder(place) as folder:
        put(folder / "part", b"half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with whole_folder(place) as folder:
        put(folder / "part", b"whole")
        assert not place.exists()
    assert list(tmp_path.rglob("*")) == [place, place / "part"]
    with pytest.raises(OSError, match="not empty"), whole_folder(place) as folder:
        put(folder / "part", b"another")
    assert (place / "part").read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [place]


def test_who_writes_the_same_waits_for_its_turn(tmp_path: Path) -> None:
    path, among = tmp_path / "file", list[int]()

    def write(number: int) -> None:
        with whole(path) as file:
            among.append(number)
            file.write(bytes([number]) * 100_000)
            file.flush()
            assert among.pop() == number

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(write, number) for number in range(100)]:
            done.result()
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 100_000
    assert list(tmp_path.iterdir()) == [path]


def test_who_is_alone_keeps_others_waiting_and_leaves_nothing(tmp_path: Path) -> None:
    lock, among = tmp_path / "lock", list[int]()

    def work(number: int) -> None:
        with alone(lock):
            among.append(number)
            with pytest.raises(BlockingIOError), alone(lock, wait=False):
                pass
            assert among.pop() == number

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, number) for number in range(100)]:
            done.result()
    assert list(tmp_path.iterdir()) == []


def test_what_was_removed_before_the_lock_was_had_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, really = tmp_path / "lock", fcntl.flock

    def late(opened: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", really)
        path.unlink()
        really(opened, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with closing(Taken(path, os.O_CREAT | os.O_RDWR)) as taken:
        assert taken.stands
        with pytest.raises(BlockingIOError):
            Taken(path, os.O_RDWR, wait=False)
        path.unlink()
        assert not taken.stands


def test_a_part_of_an_unfinished_folder_is_written_once(tmp_path: Path) -> None:
    put(tmp_path / "part", b"whole")
    with pytest.raises(FileExistsError):
        put(tmp_path / "part", b"another")
    assert (tmp_path / "part").read_bytes() == b"whole"
