"""Reading while feeds are generated: pages of resident feeds in an open loop, with and without a generating thread.

The server and the thread share one process and its interpreter lock, as in `feedgen up`; the load is another process.
"""

import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, NamedTuple

import uvloop

from feedgen.config import Settings
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from loadtest.crowd import NOW, deeds_into, draw, follows_into, people_into, posts_into
from loadtest.open_loop import Outcome, drive, report
from loadtest.residents import main as serve_residents

_GO: Final = "go\n"
_STOP: Final = "stop\n"
_CONNECTIONS: Final = 16
_BOUND_MS: Final = 5.0


class Plan(NamedTuple):
    """`viewers`: whose feeds are generated, `batch` at once; `resident`: feeds that are read."""

    viewers: int = 10_000
    resident: int = 20_000
    rate_per_s: float = 5_000.0
    seconds: float = 5.0
    rounds: int = 5
    batch: int = 16


class _Maker(threading.Thread):
    """Generates feeds in turn while it is wanted."""

    def __init__(self, pipeline: Pipeline, viewers: int, batch: int) -> None:
        super().__init__(daemon=True)
        self._pipeline = pipeline
        self._viewers = viewers
        self._batch = batch
        self.wanted = threading.Event()
        self.made = 0

    def run(self) -> None:
        while self.wanted.wait():
            some = range(self.made, self.made + self._batch)
            self._pipeline.generate([f"u{place % self._viewers}" for place in some], NOW)
            self.made += self._batch


def main(viewers: int, resident: int, batch: int) -> None:
    """Serve `resident` feeds. "go" on stdin starts the generating thread, "stop" ends it and prints how many."""
    crowd, settings = draw(viewers, 500, 0.85, 5, 100, 1), Settings()
    state = State(settings.state, settings.ranking)
    for load_part in (people_into, posts_into, follows_into, deeds_into):
        load_part(state, crowd)
    pipeline = Pipeline(state, settings)
    pipeline.generate(["u0"], NOW)  # what is first is slow
    maker = _Maker(pipeline, viewers, batch)
    maker.start()
    threading.Thread(target=_listen, args=(maker, sys.stdin), daemon=True).start()
    serve_residents(resident, 500, 0, True)


def _listen(maker: _Maker, words: IO[str]) -> None:
    for word in words:
        if word == _GO:
            maker.wanted.set()
        else:
            maker.wanted.clear()
            print(f"made {maker.made}", flush=True)


@contextmanager
def _server(plan: Plan) -> "Iterator[subprocess.Popen[str]]":
    code = f"from loadtest.beside_bench import main; main({plan.viewers}, {plan.resident}, {plan.batch})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _said(process: "subprocess.Popen[str]", lead: str) -> str:
    """What follows `lead` in the next line of the server."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.startswith(lead):
        raise RuntimeError(f"the server said {line!r} instead of {lead!r}")
    return line.removeprefix(lead)


def measure(plan: Plan) -> dict[str, Any]:
    """Latency of pages with and without generation beside them, in turns. Raises RuntimeError, OSError."""
    requests = [b"GET /v1/feeds/v%d?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n" % (n % plan.resident) for n in range(5_000)]
    idle: list[Outcome] = []
    beside: list[Outcome] = []
    made: list[float] = []
    with _server(plan) as process:
        port, before = int(_said(process, "listening on ").rpartition(":")[2]), 0
        assert process.stdin is not None

        def pages() -> Outcome:
            drawn = drive(port, requests, rate_per_s=plan.rate_per_s, seconds=plan.seconds, connections=_CONNECTIONS)
            return uvloop.run(drawn)

        pages()  # encodes the pages; what is first is slow
        for _ in range(plan.rounds):
            idle.append(pages())
            process.stdin.write(_GO)
            beside.append(pages())
            process.stdin.write(_STOP)
            total = int(_said(process, "made "))
            made.append((total - before) / plan.seconds)
            before = total
    bound = max(2 * statistics.median(one.p99_ms for one in idle), _BOUND_MS)
    return {
        "batch": plan.batch,
        "load_average": os.getloadavg()[0],
        "idle": _median(idle),
        "generating": _median(beside),
        "feeds_per_s_meanwhile": round(statistics.median(made), 1),
        "p99_bound_ms": round(bound, 3),
        "within_bound": statistics.median(one.p99_ms for one in beside) <= bound,
    }


def _median(outcomes: list[Outcome]) -> dict[str, Any]:
    """Of the rounds by p99 the middle one, and the least and greatest p99 of all."""
    ranked = sorted(outcomes, key=lambda one: one.p99_ms)
    middle = report(ranked[len(ranked) // 2])
    return {**middle, "p99_ms_min": round(ranked[0].p99_ms, 3), "p99_ms_max": round(ranked[-1].p99_ms, 3)}
