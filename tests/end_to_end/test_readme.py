"""Every command printed in the README is run, in its order, in one shell, as a reader would."""

import re
import socket
from pathlib import Path

import pytest

from tests.end_to_end.conftest import in_bash

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
MAKE = {"make demo": "tests/end_to_end/test_demo.py", "make test": "this very run"}
"""Not run here: a demo of full size runs for ever, and the tests cannot run themselves."""


PREAMBLE = r"""
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
started() {
  for _ in $(seq 240); do
    curl -sf "http://127.0.0.1:$1/readyz" >/dev/null && return
    sleep 0.25
  done
  echo "not started" >&2
  exit 1
}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_it_prints_commands() -> None:
    assert len(COMMANDS) >= 12
    assert set(MAKE) <= set(COMMANDS)


def test_the_tour_runs_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    ports = {"8090": str(free_port()), "8091": str(free_port())}
    script = [PREAMBLE]
    for number, command in enumerate(c for c in COMMANDS if c not in MAKE):
        for printed, ours in ports.items():
            command = command.replace(printed, ours)
        script += [f"printf '\\n--- {number}\\n'", command]
        if command.endswith("&"):
            script.append(f"started {re.search(r'--port ([0-9]+)', command)[1]}")  # type: ignore[index]
    for name in ("docs", "config.yaml"):
        (tmp_path / name).symlink_to(REPO / name)
    done = in_bash("\n".join(script), tmp_path)
    answers = dict(re.findall(r"^--- (\d+)\n(.*?)(?=^--- |\Z)", done.stdout, re.DOTALL | re.MULTILINE))
    assert len(answers) == len(COMMANDS) - len(MAKE)
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
    printed = re.findall(r"^(\{.*\})$", blocks, re.MULTILINE)
    ran = "\n".join(answers.values())
    for answer in printed:  # figures that depend on the machine aside, what the README shows is what comes
        stable = re.sub(r',"(events|feeds)_per_s":[\d.]+', "", answer)
        assert stable in re.sub(r',"(events|feeds)_per_s":[\d.]+', "", ran), answer


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (REPO / link).exists(), link
