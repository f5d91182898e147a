"""A peer that dies after it was filled is a reason, and the others are measured; killed for real."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

from loadtest import __main__ as command

ARGS = ("generate", "--viewers", "40", "--viewers", "60", "--followees", "5", "--rounds", "3", "--seconds", "0.1")
WARM, LATER = "60 viewers: ours, ", "round 2 of 3"
"""What is told when all are filled and none was asked, and when each was measured once."""


def redis_servers() -> list[int]:
    """Those that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(child) for child in children if "redis-server" in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.fixture
def postgres_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """Those whose folders were made since: in one of its own, `tmp_path` being made before, elsewhere."""
    with TemporaryDirectory(prefix="die-", dir="/tmp") as folder:  # short: a socket's path is in it
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield lambda: [int(file.read_text().split()[0]) for file in Path(folder).glob("*/data/postmaster.pid")]


@pytest.mark.parametrize(("first", "second"), [("sql", "redis"), ("redis", "sql")])
def test_who_dies_is_left_out_and_the_rest_is_measured_and_written(
    first: str, second: str, postgres_servers: Callable[[], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The servers of one peer die before it is asked for the first time, those of the other between two rounds."""
    servers, told, killed = {"sql": postgres_servers, "redis": redis_servers}, [], set()

    def tell(line: str) -> None:
        told.append(line)
        for moment, name in ((WARM, first), (LATER, second)):
            for server in servers[name]() if line.startswith(moment) else ():
                os.kill(server, signal.SIGKILL)
                killed.add(name)

    monkeypatch.setattr(command, "_tell", tell)
    kept = tmp_path / "generate.json"
    done = CliRunner().invoke(command.app, [*ARGS, "--json", str(kept)])
    assert done.exit_code == 0, done.output
    figures = json.loads(kept.read_text())
    assert figures == json.loads(done.stdout)
    assert {*figures["growth"]} == {"ours", "ships"}
    for size in figures["sizes"]:
        assert size["ours"]["feeds_per_s"] > 0
        for name in killed:
            reason = size[name]["skipped"]
            assert "stopped answering: " in reason
            assert reason.endswith(", in round 2 of 3") == (name == second)
            assert f"{name:<6} left out: {reason}" in done.stderr
            assert f"{size['viewers']} viewers: {name} is left out: {reason}" in told
    absent = {name: figures[name]["skipped"] for name in ("sql", "redis") if name not in killed}
    if absent:
        pytest.skip(f"not killed: {absent}")
