"""The servers that are measured side by side, each a process on the first core; those that are not installed say so."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import msgspec

from feedgen.feed.feedmap import FeedMap
from loadtest.residents import feeds

SERVER_CPU: Final = min(os.sched_getaffinity(0))
LOAD_CPU: Final = max(os.sched_getaffinity(0))
"""What is measured runs on the first core, the load on the last."""
_PATIENCE_S: Final = 300.0

_NGINX: Final = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 75s; keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; default_type application/json; root {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ try_files /page.json =404; }} }}
}}
"""


@dataclass(frozen=True)
class Peer:
    """A running server."""

    port: int
    pid: int


class NotHere(Exception):
    """The program is not installed; the message says which."""


@contextmanager
def forefeed(viewers: int, items: int, fast_lane: bool, seed: int) -> Iterator[Peer]:
    """Our server over resident feeds."""
    code = f"from loadtest.residents import main; main({viewers}, {items}, 0, {fast_lane}, {seed})"
    with _process([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        if found is None:
            raise RuntimeError(f"the server did not start: {line}")
        yield Peer(int(found[1]), process.pid)


@contextmanager
def nginx(folder: Path, page: bytes) -> Iterator[Peer]:
    """nginx with one file, which it answers every request with."""
    _need("nginx")
    port = _free_port()
    (folder / "page.json").write_bytes(page)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    with _process(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]) as process:
        _until_open(port)
        yield Peer(port, process.pid)


@contextmanager
def bare_redis() -> Iterator[tuple[Any, Peer]]:
    """An empty Redis and a client of it. Raises NotHere, or ModuleNotFoundError without the client."""
    _need("redis-server")
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with _process(command, stdout=subprocess.DEVNULL) as process:
        _until_open(port)
        with Redis(port=port, retry=Retry(NoBackoff(), 0)) as store:  # a connection that is lost is a finding
            yield store, Peer(port, process.pid)


@contextmanager
def redis(viewers: int, items: int, seed: int) -> Iterator[Peer]:
    """Redis with a sorted set of JSON items for each viewer, named as redis-benchmark names them."""
    _need("redis-benchmark")
    with bare_redis() as (store, peer):
        pipe = store.pipeline(transaction=False)
        for number, (_, bulk) in enumerate(feeds(viewers, items, seed, 1.7e9)):
            members = {
                msgspec.json.encode(item._asdict()): float(items - rank) for rank, item in enumerate(FeedMap(bulk))
            }
            pipe.zadd(f"v{number:012}", members)
            if number % 50 == 49:
                pipe.execute()
        pipe.execute()
        yield peer


@contextmanager
def team(store: Peer) -> Iterator[Peer]:
    """FastAPI over that Redis, with one worker."""
    for module in ("fastapi", "uvicorn"):
        if find_spec(module) is None:
            raise NotHere(f"{module} is not installed; install the extra forefeed[bench]")
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "loadtest.team_app:app", "--port", str(port), "--log-level", "warning"]
    with _process([*command, "--no-access-log"], environment={"FOREFEED_REDIS": str(store.port)}) as process:
        _until_open(port)
        yield Peer(port, process.pid)


def metric(peer: Peer, name: str) -> float:
    """One number of our /metrics."""
    with urlopen(f"http://127.0.0.1:{peer.port}/metrics", timeout=60) as response:
        found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@contextmanager
def _process(
    command: list[str], stdout: int | None = None, environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CPU), *command],
        stdout=stdout,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def _need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            raise NotHere(f"{program} is not on the PATH")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _until_open(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")
