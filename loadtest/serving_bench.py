"""Reading, side by side in one interleaved run: our fast lane, our ordinary path, nginx, Redis, a team's day's work."""

import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import msgspec
import numpy as np
import uvloop

from loadtest import peers
from loadtest.closed_loop import Sample, cpu_s, each_once, redis_benchmark, write_requests, wrk
from loadtest.open_loop import drive, report
from loadtest.peers import NotHere, Peer
from loadtest.visits import drawn_viewers, targets

LIMIT: Final = 20
PIPELINED: Final = 16
BATCH: Final = 32
GOALS: Final = (
    ("fast lane", "nginx, a file", 0.9),
    ("fast lane", "ordinary path", 3.0),
    ("fast lane", "Redis ZREVRANGEBYSCORE", 1.5),
    ("fast lane", "FastAPI + Redis", 12.0),
)
"""(ours, theirs, at least so many times as many pages a second)."""


@dataclass(frozen=True)
class Size:
    """How much is measured. `store_viewers`: feeds in Redis, which takes longer to fill than to measure."""

    viewers: int = 100_000
    items: int = 500
    store_viewers: int = 20_000
    rounds: int = 5
    seconds: float = 4.0
    connections: int = 32
    drawn: int = 200_000
    seed: int = 1


def measure(size: Size, tell: Callable[[str], None]) -> dict[str, Any]:
    """Every figure of the run. A peer that is not installed is left out, and the result says why."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forefeed-")))
        folder.chmod(0o755)  # nginx's worker is another user
        tell(f"drawing requests over {size.viewers:,} viewers")
        wanted = targets(size.viewers, size.items, size.drawn, LIMIT, size.seed)
        tell("starting servers")
        lane = stack.enter_context(peers.forefeed(size.viewers, size.items, True, size.seed))
        bytes_alone = _bytes_each(lane)
        ordinary = stack.enter_context(peers.forefeed(size.viewers, size.items, False, size.seed))
        contests, missing = _contests(size, stack, folder, wanted, lane, ordinary)
        tell("warming up: each page is read for the first time, then each server is run once")
        first = _first_reads(lane, wanted)
        for run in contests.values():
            run()
        samples: dict[str, list[Sample]] = {name: [] for name in contests}
        for number in range(size.rounds):
            for name, run in contests.items():
                sample = run()
                samples[name].append(sample)
                tell(f"round {number + 1} of {size.rounds}: {name}: {sample.pages_per_s:,.0f} pages/s")
        peak = statistics.median(sample.pages_per_s for sample in samples["fast lane"])
        tell(f"open loop at half the peak: {peak / 2:,.0f} a second")
        requests = [_get(target) for target in wanted]
        opened = [
            uvloop.run(
                drive(lane.port, requests, rate_per_s=peak / 2, seconds=size.seconds, connections=size.connections)
            )
            for _ in range(size.rounds)
        ]
        return {
            "size": asdict(size),
            "contests": {name: _summary(taken) for name, taken in samples.items()},
            "rounds": {name: [asdict(sample) for sample in taken] for name, taken in samples.items()},
            "ratios": _ratios(samples),
            "first_reads": first,
            "open_loop": [report(outcome) for outcome in opened],
            "open_loop_p99_ms": statistics.median(outcome.p99_ms for outcome in opened),
            "bytes_per_feed": bytes_alone,
            "bytes_per_feed_with_pages": _bytes_each(lane),
            "left_out": missing,
        }


def _contests(
    size: Size, stack: ExitStack, folder: Path, wanted: list[str], lane: Peer, ordinary: Peer
) -> tuple[dict[str, Callable[[], Sample]], dict[str, str]]:
    """What is run in each round, in this order; and what cannot be, with the reason."""
    singles, piped, batches, team = (folder / name for name in ("single", "piped", "batch", "team"))
    gets = [_get(target) for target in wanted]
    write_requests(singles, gets)
    write_requests(piped, [b"".join(gets[at : at + PIPELINED]) for at in range(0, len(gets), PIPELINED)])
    write_requests(batches, _batches(size))
    rng = np.random.default_rng(size.seed)
    write_requests(
        team,
        [_get(f"/v1/feeds/v{n:012}?limit={LIMIT}") for n in drawn_viewers(size.store_viewers, size.drawn, rng)],
    )

    def load(peer: Peer, requests: Path, pages_each: int = 1) -> Callable[[], Sample]:
        return lambda: wrk(
            peer.port,
            requests,
            peer.pid,
            connections=size.connections,
            seconds=size.seconds,
            pages_each=pages_each,
        )

    contests: dict[str, Callable[[], Sample]] = {"fast lane": load(lane, singles)}
    missing: dict[str, str] = {}
    with urlopen(f"http://127.0.0.1:{lane.port}{wanted[0]}", timeout=60) as response:
        page = response.read()
    try:
        contests["nginx, a file"] = load(stack.enter_context(peers.nginx(folder, page)), singles)
    except NotHere as reason:
        missing["nginx, a file"] = str(reason)
    contests["ordinary path"] = load(ordinary, singles)
    contests[f"fast lane, {PIPELINED} pipelined"] = load(lane, piped)
    contests[f"batchGet of {BATCH}, msgpack"] = load(lane, batches, BATCH)
    try:
        store = stack.enter_context(peers.redis(size.store_viewers, size.items, size.seed))
        requests = int(20_000 * size.seconds)
        contests["Redis ZREVRANGEBYSCORE"] = lambda: redis_benchmark(
            store.port, size.store_viewers, LIMIT, store.pid, connections=size.connections, requests=requests
        )
        contests["FastAPI + Redis"] = load(stack.enter_context(peers.team(store)), team)
    except NotHere as reason:
        missing["FastAPI + Redis"] = str(reason)
        if "Redis ZREVRANGEBYSCORE" not in contests:
            missing["Redis ZREVRANGEBYSCORE"] = str(reason)
    return contests, missing


def _first_reads(lane: Peer, wanted: list[str]) -> dict[str, float]:
    """Each page once, so that the rounds measure a server as it is after its first minute, and what encoding it costs.

    Within the rounds, only pages past `cache.encoded_pages` of one viewer are encoded again.
    """
    requests = [_get(target) for target in dict.fromkeys(wanted)]
    before = cpu_s(lane.pid)
    failed = each_once(lane.port, requests, PIPELINED)
    used = cpu_s(lane.pid) - before
    return {"pages": len(requests), "failed": failed, "cpu_us_per_page": round(used / len(requests) * 1e6, 2)}


def _get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _batches(size: Size) -> list[bytes]:
    """First pages of as many viewers at once as a busy app server asks for."""
    rng = np.random.default_rng(size.seed)
    viewers = drawn_viewers(size.viewers, size.drawn, rng)
    requests = []
    for at in range(0, len(viewers) - BATCH, BATCH):
        entries = [{"user_id": f"v{viewer}", "limit": LIMIT} for viewer in viewers[at : at + BATCH]]
        body = msgspec.msgpack.encode({"requests": entries})
        head = (
            "POST /v1/feeds:batchGet HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/msgpack\r\n"
            f"Content-Type: application/msgpack\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def _bytes_each(peer: Peer) -> float:
    return round(peers.metric(peer, "forefeed_cache_bytes") / peers.metric(peer, "forefeed_cache_feeds"), 1)


def _summary(samples: list[Sample]) -> dict[str, Any]:
    """Median, least and greatest of every figure; None for one that a round lacks."""
    found: dict[str, Any] = {"failed": sum(sample.failed for sample in samples)}
    for name in ("pages_per_s", "cpu_us_per_page", "p50_ms", "p99_ms", "p99_9_ms"):
        values = [value for sample in samples if (value := getattr(sample, name)) is not None]
        if len(values) < len(samples):  # of the others it would be too good
            found[name] = dict.fromkeys(("median", "min", "max"))
            continue
        found[name] = {
            "median": round(statistics.median(values), 3),
            "min": round(min(values), 3),
            "max": round(max(values), 3),
        }
    return found


def _ratios(samples: dict[str, list[Sample]]) -> list[dict[str, Any]]:
    """Round by round, as both sides of a ratio had the same minute of the machine; then the median.

    `by_cpu`: of processor time a page, which does not depend on what else runs on the core (Redis' own time is left out
    where it stands behind FastAPI).
    """
    found = []
    for ours, theirs, goal in GOALS:
        if theirs in samples:
            pairs = zip(samples[ours], samples[theirs], strict=True)
            both = [
                (one.pages_per_s / other.pages_per_s, other.cpu_us_per_page / one.cpu_us_per_page)
                for one, other in pairs
            ]
            ratios, by_cpu = [rate for rate, _ in both], [cpu for _, cpu in both]
            found.append(
                {
                    "of": ours,
                    "to": theirs,
                    "median": round(statistics.median(ratios), 3),
                    "min": round(min(ratios), 3),
                    "max": round(max(ratios), 3),
                    "goal": goal,
                    "by_cpu": round(statistics.median(by_cpu), 3),
                }
            )
    return found
