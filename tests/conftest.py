"""Before any test, the kernels compiled, once for all workers and their commands; and a command run in this process."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from feedgen import cli
from feedgen.warming import warm

Said = tuple[int, str, str]
Feedgen = Callable[..., Said]

hypothesis.settings.register_profile("unhurried", deadline=None)  # how fast things are is for the benchmarks to say
hypothesis.settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """Two workers would compile the same at the same time, and a command that a test waits for would be late."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background: commands would be deaf too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        models = subprocess.Popen([sys.executable, "-c", "from feedgen.models.warming import warm; warm()"])
        warm()
        assert models.wait() == 0


@pytest.fixture
def feedgen(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Feedgen:
    """Run a command in this process: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> Said:
        with pytest.raises(SystemExit) as end:
            cli.main(args)
        assert isinstance(end.value.code, int)
        return end.value.code, *capfd.readouterr()

    return run
