"""Files whole or not at all: whoever fails inside, is killed, or finds what a process before left."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from feedgen.ondisk import WRITING, beside, drop_unfinished, put, put_whole, whole


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


def test_what_was_left_by_a_killed_process_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from feedgen.ondisk import beside, whole\n"
        "beside(Path('folder')).mkdir(); (beside(Path('folder')) / 'part').write_text('half')\n"
        "with whole(Path('file')) as file:\n    print('writing', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    others = {f".mine{WRITING}", f"file{WRITING}", f".file.{os.getpid()}{WRITING}"}
    for name in others:
        (tmp_path / name).touch()
    left = {f".{name}.{process.pid}{WRITING}" for name in ("file", "folder")}
    drop_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others | left, "it still runs"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    drop_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others


def test_a_part_of_an_unfinished_folder_is_written_once(tmp_path: Path) -> None:
    put(tmp_path / "part", b"whole")
    with pytest.raises(FileExistsError):
        put(tmp_path / "part", b"another")
    assert (tmp_path / "part").read_bytes() == b"whole"
