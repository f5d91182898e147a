"""A real PostgreSQL server of its own, for tests and benchmarks, from binaries on this machine."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_UNPRIVILEGED = ("postgres", "nobody")


class NoPostgres(Exception):
    """No server can be started here; the message is the reason."""


def _programs() -> Path:
    """The folder of initdb and postgres."""
    found = [Path(program).resolve().parent for program in [shutil.which("initdb")] if program]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres", "pg_ctl")):
            return folder
    raise NoPostgres("no PostgreSQL binaries on PATH or in /usr/lib/postgresql")


def _as_whom() -> tuple[Sequence[str], str | None]:
    """The prefix that runs a command as somebody PostgreSQL agrees to run as, and their name if it is another user."""
    if os.geteuid() != 0:
        return (), None
    if shutil.which("runuser") is None:
        raise NoPostgres("running as root, which PostgreSQL refuses, and there is no runuser")
    for name in _UNPRIVILEGED:
        if subprocess.run(["id", name], capture_output=True, check=False).returncode == 0:
            return ("runuser", "-u", name, "--"), name
    raise NoPostgres("running as root, which PostgreSQL refuses, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(settings: Sequence[str] = ()) -> Iterator[str]:
    """Start one with these settings ("name=value"); gives its URL. Stopped and removed at the end; it may have died.

    Raises NoPostgres.
    """
    programs = _programs()
    prefix, user = _as_whom()
    # Not pytest's tmp_path: that is its owner's alone, and the path of a unix socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="forefeed-pg-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data, port = f"{folder}/data", _free_port()

        def done_by(program: str, *args: str) -> "subprocess.CompletedProcess[str]":
            command = [*prefix, str(programs / program), *args]
            return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

        def run(program: str, *args: str) -> None:
            done = done_by(program, *args)
            if done.returncode != 0:
                log = Path(folder, "log")
                raise NoPostgres(f"{program} failed: {done.stderr}{log.read_text() if log.exists() else ''}"[-500:])

        run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C")
        options = " -c ".join([f"-p {port} -k {folder}", "listen_addresses=127.0.0.1", "fsync=off", *settings])
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            done_by("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")  # fails where it died before: no matter
