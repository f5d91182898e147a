"""The main job, measured end to end with real processes: import → generate → serve → read, several rounds of each."""

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import uvloop

from feedgen.synthetic import NetworkSpec, generate, write_jsonl
from loadtest.readers import Plan, read_pages


def measure(viewers: int, rounds: int, seconds: float, connections: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Figures of `rounds` rounds over one seeded network: median, least and greatest of each.

    Raises RuntimeError when a process fails or an answer is wrong.
    """
    spec = NetworkSpec(viewers=viewers)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="forefeed-") as folder:
        source = Path(folder) / "network.jsonl"
        tell(f"making a network of {viewers} viewers")
        events = write_jsonl(generate(spec), source)
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}: import, generate, serve and read for {seconds:g} s")
            data = Path(folder) / f"round-{number}"
            for name, value in _round(source, data, spec, seconds, connections).items():
                found.setdefault(name, []).append(value)
    figures = {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in found.items()
    }
    return {"viewers": viewers, "events": events, "rounds": rounds, "connections": connections, **figures}


def _round(source: Path, data: Path, spec: NetworkSpec, seconds: float, connections: int) -> dict[str, float]:
    now = str(spec.end)
    imported = _feedgen("import", str(source), "--data", str(data))
    generated = _feedgen("generate", "--all", "--now", now, "--data", str(data))
    with _up("up", "--data", str(data), "--now", now, "--port", "0") as (url, port):
        plan = Plan("127.0.0.1", port, [f"u{n}" for n in range(spec.viewers)], connections, seconds)
        read = uvloop.run(read_pages(plan)).report()
        if read["failures"]:
            raise RuntimeError(f"reads failed: {read['failures']}")
        with urlopen(f"{url}/metrics", timeout=30) as response:
            metrics = dict(re.findall(r"^(forefeed_cache_\w+) (\S+)$", response.read().decode(), re.MULTILINE))
    return {
        "import_events_per_s": imported["events_per_s"],
        "feeds_per_s": generated["feeds_per_s"],
        "pages_per_s": read["pages_per_s"],
        "page_p50_ms": read["p50_ms"],
        "page_p99_ms": read["p99_ms"],
        "bytes_per_resident_feed": float(metrics["forefeed_cache_bytes"]) / float(metrics["forefeed_cache_feeds"]),
    }


def _feedgen(*args: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "feedgen", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"feedgen {args[0]}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def _up(*args: str) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen([sys.executable, "-m", "feedgen", *args], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if address := re.search(r"(http://127\.0\.0\.1:(\d+))", line):
                yield address[1], int(address[2])
                break
        else:
            raise RuntimeError(f"feedgen up: {said.strip()}")
    finally:
        process.terminate()
        process.communicate()
