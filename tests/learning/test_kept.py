"""Long jobs that are cut off go on where they stopped, and end in the same bytes; what is torn is done again."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feedgen import config
from feedgen.config import Settings
from feedgen.errors import ForefeedError
from feedgen.learning import spans
from feedgen.learning.dataset import make
from feedgen.learning.kept import Kept, job_of
from feedgen.learning.replay import ranking_by, replay
from feedgen.learning.spans import Shares
from feedgen.learning.work import at_work, drop_work, work_of
from feedgen.ranking.dataset import read
from feedgen.ranking.inputs import INPUTS
from tests.learning.communities import DAY, START, community, history
from tests.learning.test_commands import write
from tests.learning.test_dataset import same

HALF = Settings(learning=config.Learning(negative_rate=0.5), feed=config.Feed(items=12))
"""Feeds so short that many candidates are drawn from beyond them."""
UNTIL = START + 9 * DAY
_WAIT_S = 120.0


@hypothesis_settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 5), st.data())
def test_every_piece_is_done_once_and_nobody_goes_back(pieces: int, processes: int, data: st.DataObject) -> None:
    shares, done = Shares(pieces, processes), list[int]()
    mine: dict[int, list[int]] = {who: [] for who in range(processes)}
    while mine:
        who = data.draw(st.sampled_from(sorted(mine)))
        number = shares.next_of(who)
        if number is None:
            assert all(one < other for one, other in pairwise(mine.pop(who)))
        else:
            mine[who].append(number)
            done.append(number)
    assert sorted(done) == list(range(pieces))


def test_a_job_is_another_with_other_events_settings_or_orders() -> None:
    past, more = history(3), history(4)
    jobs = [
        job_of(past, HALF),
        job_of(more, HALF),
        job_of(past, Settings()),
        job_of(past, HALF, "rows"),
    ]
    assert len(set(jobs)) == len(jobs)
    assert job_of(history(3), HALF) == jobs[0]


def test_nothing_of_another_job_is_taken(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for job, found in (("one", None), ("one", 5), ("other", None), ("one", None)):
        kept.begin(job)
        assert (kept.job, kept.result("part", int)) == (job, found)
        if job == "one":
            kept.put("part", [], 5)


def test_rows_that_are_there_are_kept_and_torn_ones_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "PIECE", 20)
    past, told = history(10), list[str]()
    whole = make(past, HALF, UNTIL, tmp_path / "whole")
    make(past, HALF, UNTIL, tmp_path / "rows")
    parts = sorted((tmp_path / "rows").glob("*.parquet"))
    assert len(parts) >= 5
    parts[0].write_bytes(parts[0].read_bytes()[:-9])
    parts[2].unlink()  # played after a leap over those that are there: posts are numbered in another order then
    (tmp_path / "rows" / f"{parts[4].stem.rpartition('-')[0]}.done").write_text('{"files":')
    (tmp_path / "rows" / "x.writing").write_text("half")
    untouched = parts[3].stat().st_mtime_ns
    assert make(past, HALF, UNTIL, tmp_path / "rows", say=told.append) == whole
    assert parts[3].stat().st_mtime_ns == untouched
    assert same(read(tmp_path / "whole", INPUTS), read(tmp_path / "rows", INPUTS))
    assert not list((tmp_path / "rows").glob("*.writing"))
    assert len(told) == 1
    assert "logins were done before" in told[0]


def test_a_replay_of_something_else_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "PIECE", 20)
    past, dump, told = history(8), tmp_path / "d", list[str]()
    folder = work_of(dump) / "lines"
    folder.mkdir(parents=True)
    (folder / "part-000000000000.lines").write_text("of another job\n")
    Kept(folder).begin("another")
    found = replay(past, ranking_by(HALF, "formula"), START, UNTIL, dump=dump, say=told.append)
    assert found.judged.logins == len(dump.read_text().splitlines())
    assert told == [f"{folder}: what is there is of other events, settings or sources; beginning anew"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_one_works_at_a_dump_and_says_what_is_kept_of_it(tmp_path: Path) -> None:
    dump, told = tmp_path / "d", list[str]()
    with suppress(KeyboardInterrupt), at_work(dump, told.append):
        with pytest.raises(ForefeedError, match="another process is writing"), at_work(dump, told.append):
            pass
        assert work_of(dump).exists()
        raise KeyboardInterrupt
    assert (told, list(tmp_path.iterdir())) == ([], []), "nothing was done"
    with suppress(KeyboardInterrupt), at_work(dump, told.append):
        Kept(work_of(dump) / "lines").begin_anywhere("job", told.append)
        Kept(work_of(dump) / "lines").put("part", [], 5)
        raise KeyboardInterrupt
    assert told == [
        f"{work_of(dump)} keeps what is done: the same command goes on from there; remove it if that is not wanted"
    ]
    with at_work(dump, told.append):
        assert Kept(work_of(dump) / "lines").result("part", int) == 5


def test_a_folder_of_work_removed_as_another_takes_its_lock_is_not_worked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, really = tmp_path / "d", fcntl.flock

    def late(opened: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", really)
        drop_work(dump)
        really(opened, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with at_work(dump, print):
        assert work_of(dump).is_dir()
        with pytest.raises(ForefeedError, match="another process is writing"), at_work(dump, print):
            pass


def test_a_link_to_nowhere_is_in_the_way(tmp_path: Path) -> None:
    work_of(tmp_path / "d").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ForefeedError, match="is in the way"), at_work(tmp_path / "d", print):
        pass


def test_who_fails_after_the_dump_was_whole_leaves_the_folder_of_the_next_alone(tmp_path: Path) -> None:
    dump = tmp_path / "d"
    with ExitStack() as next_one:
        with suppress(KeyboardInterrupt), at_work(dump, print):
            drop_work(dump)
            next_one.enter_context(at_work(dump, print))
            raise KeyboardInterrupt
        assert work_of(dump).is_dir()


def test_of_many_who_come_and_go_one_at_a_time_is_at_work(tmp_path: Path) -> None:
    dump, inside, times = tmp_path / "d", list[int](), list[int]()

    def come_and_go(number: int) -> None:
        while len(times) < 300:
            with suppress(ForefeedError), at_work(dump, print):
                inside.append(number)
                (work_of(dump) / "half").touch()
                times.append(number)
                assert inside.pop() == number
                if number % 2:
                    drop_work(dump)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(come_and_go, number) for number in range(4)]:
            done.result()


@pytest.mark.parametrize("command", ["rows", "replay"])
def test_a_killed_command_goes_on_and_ends_in_the_same_bytes(tmp_path: Path, command: str) -> None:
    """SIGKILL in the middle of the rows, and of the replay; the end is that of a run nobody disturbed."""
    write(tmp_path / "e.jsonl", community(45, viewers=20, authors=3))
    begin, until = (str(START + day * DAY) for day in (40 if command == "rows" else 15, 44))
    arguments = ["replay", "e.jsonl", "--train-until", begin, "--until", until]
    arguments += ["--scorer", "linear", "--processes", "1"]
    (tmp_path / "config.yaml").write_text("learning:\n  negative_rate: 0.5\n")
    undisturbed = _run(tmp_path, [*arguments, "--dump", "whole"])
    pattern = "d.work/model/rows/*.done" if command == "rows" else "d.work/lines/*.done"
    _kill_when(tmp_path, [*arguments, "--dump", "d"], pattern)
    done = len(list(tmp_path.glob(pattern)))
    assert done
    assert not (tmp_path / "d").exists()
    resumed = _run(tmp_path, [*arguments, "--dump", "d"])
    assert "were done before; going on from there" in resumed.stderr
    assert (tmp_path / "d").read_bytes() == (tmp_path / "whole").read_bytes()
    answers = [json.loads(run.stdout) for run in (undisturbed, resumed)]
    assert set(answers[0].pop("seconds")) == {"reading", "rows", "training", "replay", "judging"}
    answers[1].pop("seconds")
    assert answers[0] == answers[1]
    assert not list(tmp_path.glob("*.work"))


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", "from feedgen.cli import main; main()", *arguments]


def _run(folder: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(_command(arguments), cwd=folder, capture_output=True, text=True, check=True)


def _kill_when(folder: Path, arguments: list[str], pattern: str) -> None:
    process = subprocess.Popen(_command(arguments), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + _WAIT_S
    while not list(folder.glob(pattern)) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
