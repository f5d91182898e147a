"""Machine code is kept where it may be written, and is never that of a function as it was before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INNER = """
from pathlib import Path
from feedgen.compiling import Compiler
COMPILER = Compiler(Path(__file__).parent, "few", [Path(__file__), Path(__file__).parent / "outer.py"])

@COMPILER.inner
def step(x):
    return x + {step}
"""
OUTER = """
from inner import COMPILER, step

@COMPILER.compiled
def twice(x):
    return step(step(x))

print(twice(0), sum(twice.stats.cache_hits.values()))
"""


def said(room: Path, step: int, **environment: str) -> tuple[int, int]:
    """What twice(0) is, and how often machine code was found, in a process of its own."""
    room.mkdir(exist_ok=True)
    (room / "inner.py").write_text(INNER.format(step=step))
    (room / "outer.py").write_text(OUTER)
    paths = os.pathsep.join((str(room), str(Path(__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-B", "-c", "import outer"],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result, hits = done.stdout.split()
    return int(result), int(hits)


@pytest.mark.parametrize("told", [True, False])
def test_what_is_kept_is_used_and_not_that_of_another_callee(tmp_path: Path, told: bool) -> None:
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "kept") if told else ""}
    room = tmp_path / "room"
    assert said(room, 1, **environment) == (2, 0)
    assert said(room, 1, **environment) == (2, 1)
    assert said(room, 5, **environment) == (10, 0)
    assert (tmp_path / "kept").exists() == told
    assert (room / "__pycache__").exists() != told


def test_a_tree_that_cannot_be_written_to_has_it_with_the_user_and_else_nowhere(tmp_path: Path) -> None:
    room, user = tmp_path / "room", tmp_path / "user"
    room.mkdir()
    (room / "__pycache__").write_text("in the way, for root too")
    assert said(room, 1, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(user)) == (2, 0)
    assert said(room, 1, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(user)) == (2, 1)
    assert said(room, 5, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(user)) == (10, 0)
    assert [path.name for path in user.iterdir()] == ["forefeed"]
    for _ in range(2):
        assert said(room, 1, NUMBA_CACHE_DIR=str(room / "inner.py"), XDG_CACHE_HOME="/dev/null") == (2, 0)
