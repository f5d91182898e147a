"""The command line: real processes where a signal, a pipe or a crash matters, `main` itself where they do not."""

import gzip
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer

from feedgen import cli
from feedgen.commands.console import Reporter, one_line
from tests.conftest import Feedgen

REVIEWS = Path(__file__).parents[2] / "shared" / "data" / "reviews.jsonl.gz"
REVIEWS_EVENTS = 216_389


def line(number: int) -> str:
    return json.dumps({"id": f"e{number}", "type": "login", "ts": 5.0 + number, "actor": f"u{number % 50}"})


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def start(*args: str, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "feedgen", *args], cwd=cwd, **(pipes | options))


def stored(data: Path) -> list[tuple[bytes, bytes]]:
    with closing(sqlite3.connect(data / "events.sqlite")) as connection:
        return connection.execute("SELECT id, payload FROM events ORDER BY log_offset").fetchall()


def wait_for_events(data: Path, count: int) -> int:
    """Until the log holds at least `count` events; how many it holds then."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (data / "events.sqlite").exists():
            try:
                if (found := len(stored(data))) >= count:
                    return found
            except sqlite3.OperationalError:  # no table yet
                pass
        time.sleep(0.002)
    raise TimeoutError(f"no {count} events in {data}")


def test_import_says_what_it_did(feedgen: Feedgen, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [line(0), "", "{broken", line(1), line(0), '{"type":"like\\u001b[31m"}'])
    status, out, err = feedgen("import", "a.jsonl", "--data", "there")
    counts = json.loads(out)
    assert status == 0
    assert out.count("\n") == 1
    assert counts.pop("events_per_s") > 0
    assert counts == {"read": 5, "appended": 2, "duplicate": 1, "refused": 2}
    assert [text.split(": ")[0] for text in err.splitlines()] == ["line 3", "line 6"]
    assert len(stored(tmp_path / "there")) == 2
    again = json.loads(feedgen("import", "a.jsonl", "--data", "there")[1])
    assert (again["appended"], again["duplicate"]) == (0, 3)


def test_one_percent_broken_lines_are_listed_and_the_rest_is_kept(feedgen: Feedgen, tmp_path: Path) -> None:
    lines = [line(n) for n in range(5_000)]
    broken = random.Random(5).sample(range(5_000), 50)
    for place, number in enumerate(broken):
        lines[number] = ['{"id":', "\x1b[2J\x07", '{"type":"x"}', '{"ts":NaN}', '"\x00"'][place % 5] + "z" * 300 * (
            place % 2
        )
    write(tmp_path / "a.jsonl", lines)
    status, out, err = feedgen("import", "a.jsonl")
    assert status == 0
    assert json.loads(out)["refused"] == 50
    lines_of_err = err.splitlines()
    summary = lines_of_err.index("50 refused, by reason, each with the first of its kind:")
    assert sum(int(text.split("×")[0]) for text in lines_of_err[summary + 1 :]) == 50
    listed = [text.partition(": ") for text in lines_of_err[:summary]]
    assert [label for label, _, _ in listed] == [f"line {number + 1}" for number in sorted(broken)]
    assert all(reason.isprintable() and 5 < len(reason) <= 200 for _, _, reason in listed)
    kept = [f"e{n}".encode() for n in range(5_000) if n not in broken]
    assert [event_id for event_id, _ in stored(tmp_path / ".forefeed")] == kept


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["import", "none.jsonl"], 1, "feedgen: none.jsonl: no such file"),
        (["import", "."], 1, "feedgen: .: is a folder; a file is wanted (for a git history: git:.)"),
        (["import", "bad\x1b[31m"], 1, r"feedgen: bad\x1b[31m: no such file"),
        (["imprt"], 2, "feedgen: No such command 'imprt'. Did you mean 'import'? (see feedgen --help)"),
        (["import"], 2, "feedgen: Missing argument"),
        (["import", "a", "--dta", "x"], 2, "feedgen: No such option: --dta"),
        (["import", "a", "--config", "none.yaml"], 2, "feedgen: none.yaml: no such file (--config)"),
        (["import", "a", "--config", "bad.yaml"], 2, "feedgen: bad.yaml: `feed.items`: Expected `int` >= 1"),
        (["import", "broken", "--data", "file"], 1, "feedgen: file is not a folder; --data names the folder"),
        (["import", "broken"], 1, "feedgen: broken: no line of 2 could be read as an event"),
        (
            ["import", "cut.gz"],
            1,
            "feedgen: cut.gz: the gzip file is cut short; everything before the cut was imported",
        ),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    feedgen: Feedgen, tmp_path: Path, args: list[str], status: int, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bad.yaml").write_text("feed: {items: 0}")
    write(tmp_path / "broken", ["nonsense", "nonsense"])
    (tmp_path / "cut.gz").write_bytes(gzip.compress(line(0).encode() + b"\n" + line(1).encode())[:-12])
    found, _, err = feedgen(*args)
    assert found == status
    assert err.splitlines()[-1].startswith(message)
    assert "Traceback" not in err


def test_an_empty_file_is_fine_and_said(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    status, out, err = feedgen("import", "empty")
    assert (status, json.loads(out)["read"], err) == (0, 0, "empty: holds no events\n")


def test_help_and_version(feedgen: Feedgen) -> None:
    status, out, _ = feedgen("import", "--help")
    assert status == 0
    assert "Example: feedgen import" in out
    assert "--config" in out
    assert "--data" in out
    assert feedgen("--version") == (0, "feedgen 0.1.0\n", "")
    status, out, err = feedgen()
    assert (status, out) == (2, "")
    assert "import" in err


def test_settings_name_the_data_folder_and_data_overrides_it(feedgen: Feedgen, tmp_path: Path) -> None:
    write(tmp_path / "a", [line(0)])
    (tmp_path / "my.yaml").write_text("data_dir: mine")
    assert feedgen("import", "a", "--config", "my.yaml")[0] == 0
    assert feedgen("import", "a", "--config", "my.yaml", "--data", "yours")[0] == 0
    assert len(stored(tmp_path / "mine")) == len(stored(tmp_path / "yours")) == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1735655473", 1_735_655_473.0),
        ("1735655473.5", 1_735_655_473.5),
        ("0", 0.0),
        ("20250131", 20_250_131.0),
        ("2025-01-31T12:00:00Z", 1_738_324_800.0),
        ("2025-01-31T12:00:00", 1_738_324_800.0),
        ("2025-01-31 12:00:00.250", 1_738_324_800.25),
        ("2025-01-31T14:00:00+02:00", 1_738_324_800.0),
        ("2025-01-31", 1_738_281_600.0),
    ],
)
def test_times_now_understands(text: str, moment: float) -> None:
    assert cli.parse_now(text) == moment


@pytest.mark.parametrize(
    "text", ["", "now", "-1", "nan", "inf", "1e9", "2025-13-01", "1735655473000", "1969-12-31", "٣"]
)
def test_times_now_refuses(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        cli.parse_now(text)


def test_kill_9_in_the_middle_then_the_same_import_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", [line(n) for n in range(12_000)])
    (tmp_path / "config.yaml").write_text("log: {batch_events: 20}")
    whole = start("import", str(source), "--data", "whole", cwd=tmp_path)
    killed = start("import", str(source), "--data", "data", cwd=tmp_path)
    wait_for_events(tmp_path / "data", 100)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    before = len(stored(tmp_path / "data"))
    assert 100 <= before < 12_000
    assert before % 20 == 0
    (tmp_path / "config.yaml").write_text("")
    again = start("import", str(source), "--data", "data", cwd=tmp_path)
    out, _ = again.communicate(timeout=60)
    counts = json.loads(out)
    assert (counts["appended"], counts["duplicate"]) == (12_000 - before, before)
    whole.communicate(timeout=60)
    assert stored(tmp_path / "data") == stored(tmp_path / "whole")
    assert [event_id for event_id, _ in stored(tmp_path / "data")] == [f"e{n}".encode() for n in range(12_000)]


def test_two_imports_of_one_file_at_once(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", [line(n) for n in range(4_000)])
    (tmp_path / "config.yaml").write_text("log: {batch_events: 50}")
    both = [start("import", str(source), "--data", "data", cwd=tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sum(json.loads(out)["appended"] for out, _ in ends) == 4_000
    assert sorted(event_id for event_id, _ in stored(tmp_path / "data")) == sorted(
        f"e{n}".encode() for n in range(4_000)
    )


def test_ctrl_c_while_standard_input_waits(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("log: {batch_events: 10}")
    process = start("import", "-", "--data", "data", cwd=tmp_path)
    assert process.stdin is not None
    process.stdin.write("\n".join(line(n) for n in range(15)) + "\n")
    process.stdin.flush()
    assert wait_for_events(tmp_path / "data", 10) == 10
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    out, err = process.communicate()
    assert (out, err) == ("", "feedgen: interrupted; what was acknowledged is kept\n")


def test_closed_and_full_outputs_are_no_traceback(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [line(0), "broken"])
    read_end, write_end = os.pipe()
    os.close(read_end)
    left = start("import", "a.jsonl", cwd=tmp_path, stdout=write_end)
    os.close(write_end)
    with open("/dev/full", "w") as full:
        filled = start("import", "a.jsonl", "--data", "2", cwd=tmp_path, stdout=full)
    shell = f"exec {sys.executable} -m feedgen import a.jsonl --data 3 <&- >&- 2>&-"
    closed = subprocess.Popen(["/bin/sh", "-c", shell], cwd=tmp_path)
    assert left.communicate(timeout=30)[1] == "line 2: JSON is malformed: invalid character (byte 0)\n"
    assert filled.communicate(timeout=30)[1].splitlines()[1:] == ["feedgen: standard output: No space left on device"]
    assert (left.returncode, filled.returncode, closed.wait(30)) == (1, 1, 1)
    assert len(stored(tmp_path / ".forefeed")) == len(stored(tmp_path / "2")) == len(stored(tmp_path / "3")) == 1


@pytest.mark.skipif(not REVIEWS.exists(), reason="the shared reviews data set is not here")
def test_a_whole_data_set(feedgen: Feedgen, tmp_path: Path) -> None:
    status, out, err = feedgen("import", str(REVIEWS))
    assert status == 0
    assert all(text.startswith("importing ") for text in err.splitlines())  # progress, on a slow machine
    assert json.loads(out)["appended"] == REVIEWS_EVENTS
    with closing(sqlite3.connect(tmp_path / ".forefeed" / "events.sqlite")) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM events").fetchone() == (REVIEWS_EVENTS,) * 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_elsewhere_is_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with Reporter("importing a", clock=lambda: now) as reporter:
        for second in range(35):
            now = float(second)
            reporter.progress(second, 35, f"{second} events")
    assert capsys.readouterr().err.splitlines() == [f"importing a: {n} events" for n in (10, 20, 30)]


def test_progress_on_a_terminal_is_a_bar_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    now = 0.0
    with Reporter("importing a", clock=lambda: now) as reporter:
        now = 1.9
        reporter.progress(1, 4, "1 event")
        assert terminal.getvalue() == ""
        now = 2.0
        reporter.progress(2, 4, "2 events")
        reporter.say("line 3: broken")
    shown = terminal.getvalue()
    assert "importing a" in shown
    assert "2 events" in shown
    assert "line 3: broken\n" in shown


def test_one_line_stays_one_line() -> None:
    assert one_line("plain ü 日本") == "plain ü 日本"
    assert one_line("a\nb\x1b[31m\x00\ud800") == r"a\nb\x1b[31m\x00\ud800"
    assert one_line("x" * 300, 200) == "x" * 199 + "…"
    assert len(one_line("\x1b" * 300, 200)) <= 200


def test_no_server_no_status(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"id": "e1", "type": "login", "ts": 1.0, "actor": "vic"}\n')
    assert feedgen("import", "events.jsonl", "--data", "d")[0] == 0
    status, _, err = feedgen("status", "--data", "d", "--url", "http://127.0.0.1:9")
    assert status == 1
    assert err.startswith("feedgen: no server answers at http://127.0.0.1:9")
    assert err.count("\n") == 1
    for wrong in ("localhost:9", "ftp://localhost", ""):
        status, _, err = feedgen("status", "--data", "d", "--url", wrong)
        assert err == f"feedgen: --url {wrong} is none; one looks like http://127.0.0.1:8080\n"
