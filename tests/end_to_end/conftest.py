"""Real processes: the commands as a person runs them, on free ports, in folders of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

REPO = Path(__file__).parents[2]
REVIEWS = REPO.parent / "shared" / "data" / "reviews.jsonl.gz"


def feedgen(
    *args: str, check: bool = True, timeout_s: float = 120, module: str = "feedgen"
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", module, *args], cwd=REPO, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def in_bash(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the commands of a page in one shell, as a reader in `folder` would; they must all succeed."""
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done


class Served:
    """A server process and where it listens."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, said: list[str]) -> None:
        self.process = process
        self.url = url
        self.said = said

    def read(self, target: str) -> str:
        """Body of a GET that must be answered with 200."""
        with urlopen(self.url + target, timeout=30) as response:
            text: str = response.read().decode()
        return text

    def get(self, target: str) -> tuple[dict[str, Any], dict[str, str]]:
        """JSON body and headers of a GET that must be answered with 200."""
        with urlopen(self.url + target, timeout=30) as response:
            return json.load(response), dict(response.headers)

    def walk(self, viewer: str, limit: int = 100) -> tuple[list[dict[str, Any]], list[str]]:
        """Every item by `next`, and the Cache-Status of every page."""
        items: list[dict[str, Any]] = []
        statuses: list[str] = []
        after: str | None = ""
        while after is not None:
            page, headers = self.get(f"/v1/feeds/{viewer}?limit={limit}" + (f"&after={after}" if after else ""))
            items += page["items"]
            statuses.append(headers["Cache-Status"])
            after = page["next"]
            assert len(statuses) < 1_000, "the walk does not end"
        return items, statuses


@contextmanager
def serving(*args: str, module: str = "feedgen") -> Iterator[Served]:
    """Start a server on a free port, wait until it says where it listens, stop it with SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *args], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "http://" in line:
                found.set()
        found.set()

    ear = threading.Thread(target=listen, daemon=True)
    ear.start()
    try:
        assert found.wait(60), "no word from the server in 60 s"
        url = re.search(r"http://[\d.]+:\d+", "".join(said))
        assert url, "".join(said)
        yield Served(process, url[0], said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        ear.join(10)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def run() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    return feedgen


@pytest.fixture
def serve() -> Callable[..., Any]:
    return serving


@pytest.fixture(scope="session")
def reviews() -> Path:
    """Twenty years of a real community, where they are at hand."""
    if not REVIEWS.exists():
        pytest.skip("the real community's log (shared/data/reviews.jsonl.gz) is not on this machine")
    return REVIEWS
