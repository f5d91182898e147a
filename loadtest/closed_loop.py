"""Closed-loop load in C: wrk for HTTP, redis-benchmark for Redis. A connection asks again when it has its answer."""

import csv
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from loadtest.peers import LOAD_CPU

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Sample:
    """One round of one server. `failed`: answers that were not 2xx, and broken connections.

    A percentile is None where wrk has none: pipelined, it may count more answers than times.
    """

    pages: int
    seconds: float
    cpu_us_per_page: float
    p50_ms: float | None
    p99_ms: float | None
    p99_9_ms: float | None
    failed: int

    @property
    def pages_per_s(self) -> float:
        """Pages, not requests."""
        return self.pages / self.seconds


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """The file that wrk.lua reads."""
    path.write_bytes(b"".join(b"%d %s" % (len(request), request) for request in requests))


def wrk(port: int, requests: Path, pid: int, *, connections: int, seconds: float, pages_each: int = 1) -> Sample:
    """Load `port` for so long. `pages_each`: pages in one request that wrk counts. Raises RuntimeError."""
    before = cpu_s(pid)
    done = subprocess.run(
        [
            *("taskset", "-c", str(LOAD_CPU)),
            *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(_SCRIPT)),
            f"http://127.0.0.1:{port}",
        ],
        env={**os.environ, "FOREFEED_REQUESTS": str(requests)},
        capture_output=True,
        text=True,
        check=False,
    )
    used = cpu_s(pid) - before
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    said = json.loads(lines[-1])
    pages = said["requests"] * pages_each
    return Sample(
        pages,
        said["micros"] / 1e6,
        used / max(1, pages) * 1e6,
        said["p50_ms"] or None,
        said["p99_ms"] or None,
        said["p99_9_ms"] or None,
        said["failed"],
    )


def each_once(port: int, requests: Sequence[bytes], at_once: int) -> int:
    """Send each request once, `at_once` of them pipelined; how many were not answered 200. Raises OSError."""
    failed = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60.0) as client, client.makefile("rb") as answers:
        for start in range(0, len(requests), at_once):
            sent = requests[start : start + at_once]
            client.sendall(b"".join(sent))
            for _ in sent:
                failed += not answers.readline().startswith(b"HTTP/1.1 200 ")
                length = 0
                while (field := answers.readline().lower()) not in (b"\r\n", b""):
                    if field.startswith(b"content-length:"):
                        length = int(field.partition(b":")[2])
                answers.read(length)
    return failed


def redis_benchmark(port: int, viewers: int, limit: int, pid: int, *, connections: int, requests: int) -> Sample:
    """ZREVRANGEBYSCORE of `limit` items of random viewers. Raises RuntimeError."""
    before = cpu_s(pid)
    done = subprocess.run(
        [
            *("taskset", "-c", str(LOAD_CPU), "redis-benchmark", "-p", str(port), "-c", str(connections), "--csv"),
            *("-r", str(viewers), "-n", str(requests)),
            *("ZREVRANGEBYSCORE", "v__rand_int__", "+inf", "-inf", "LIMIT", "0", str(limit)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    used = cpu_s(pid) - before
    rows = list(csv.DictReader(line for line in done.stdout.splitlines() if line.startswith('"')))
    if done.returncode or not rows:
        raise RuntimeError(f"redis-benchmark: {done.stderr.strip() or done.stdout.strip()}")
    row = rows[-1]
    per_s = float(row["rps"])
    return Sample(
        requests,
        requests / per_s,
        used / requests * 1e6,
        float(row["p50_latency_ms"]),
        float(row["p99_latency_ms"]),
        float(row["max_latency_ms"]),
        0,
    )


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))
