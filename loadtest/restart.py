"""A large state in memory, on disk and back: its parts, how long a snapshot takes, and what waits for it."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from feedgen import config
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.feed.removals import RemovalIndex
from feedgen.gate import EpochGate
from feedgen.keeper import StateKeeper
from feedgen.snapshots import Cut, Snapshots, rest_on
from feedgen.state.state import State
from loadtest.crowd import NOW, Crowd, deeds_into, draw, follows_into, people_into, posts_into

_BASE: Final = "a-crowd"
_LIVE: Final = ("view", "like", "follow", "comment")


class _Run:
    """A state with its keeper and snapshots, over the log in a folder."""

    def __init__(self, log: EventLog, folder: Path, settings: Settings) -> None:
        self.log = log
        self.state = State(settings.state, settings.ranking)
        self.removals = RemovalIndex(settings.state.removals_kept)
        self.keeper = StateKeeper(log, self.state, self.removals, EpochGate(), settings.log.batch_events, poll_s=0.05)
        self.snapshots = Snapshots(folder, settings, log, self.state, self.removals, lambda line: None)


def build(crowd: Crowd, state: State, tell: Callable[[str], None]) -> dict[str, float]:
    """The crowd into the state as arrays; how long each table took (s)."""
    seconds = {}
    for load in (people_into, posts_into, follows_into, deeds_into):
        tell(f"loading: {load.__name__.removesuffix('_into')}")
        began = time.perf_counter()
        load(state, crowd)
        seconds[load.__name__.removesuffix("_into")] = round(time.perf_counter() - began, 1)
    return seconds


async def write(crowd: Crowd, folder: Path, live_per_s: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Load the crowd, write it as a bulk import's snapshot, then another one while `live_per_s` events come in."""
    settings = Settings()
    async with await EventLog.open(config.Log(), folder) as log:
        run = _Run(log, folder, settings)
        seconds = build(crowd, run.state, tell)
        sizes = run.state.nbytes()
        tell("writing the snapshot")
        run.keeper.latest_ts = NOW
        first = await run.snapshots.cut(run.keeper, _BASE)
        assert first is not None
        await rest_on(log, _BASE)
        tell(f"writing another, with {live_per_s:,} events a second coming in")
        second, came, longest_s = await _beside_folding(run, len(crowd.followees), len(crowd.author), live_per_s)
    return {
        "load_s": seconds,
        "parts_mb": {part: round(size / 1e6, 1) for part, size in sizes.items()},
        "all_parts_mb": round(sum(sizes.values()) / 1e6, 1),
        "snapshot": _figures(first),
        "snapshot_beside_folding": {
            **_figures(second),
            "events_folded_meanwhile": came,
            "longest_wait_of_an_event_s": round(longest_s, 2),
        },
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


async def _beside_folding(run: _Run, viewers: int, posts: int, live_per_s: int) -> tuple[Cut, int, float]:
    rng = np.random.default_rng(5)
    following = asyncio.create_task(run.keeper.follow())
    longest = 0.0

    async def come_in() -> None:
        nonlocal longest
        number = 0
        while True:
            began = time.perf_counter()
            some = [_event(rng, number + n, viewers, posts) for n in range(max(1, live_per_s // 5))]
            number += len(some)
            head = (await run.log.append(some)).head
            while run.state.watermark < head:  # noqa: ASYNC110, a fold in another thread sets no event
                await asyncio.sleep(0.01)
            took = time.perf_counter() - began
            longest = max(longest, took)
            await asyncio.sleep(max(0.0, 0.2 - took))

    coming = asyncio.create_task(come_in())
    await asyncio.sleep(3.0)
    before, longest = run.keeper.folded, 0.0
    cut = await run.snapshots.cut(run.keeper)
    came = run.keeper.folded - before
    coming.cancel()
    following.cancel()
    await asyncio.gather(coming, following, return_exceptions=True)
    assert cut is not None
    return cut, came, longest


def _event(rng: np.random.Generator, number: int, viewers: int, posts: int) -> Event:
    kind = _LIVE[number % len(_LIVE)]
    viewer, other, post = int(rng.integers(viewers)), int(rng.integers(viewers)), f"p{rng.integers(posts)}"
    if kind == "view":
        return Event(f"n{number}", kind, NOW + number * 1e-3, f"u{viewer}", None, {"objects": [post]})
    target = f"u{(other + 1) % viewers if other == viewer else other}" if kind == "follow" else post
    return Event(f"n{number}", kind, NOW + number * 1e-3, f"u{viewer}", target, {})


def _figures(cut: Cut) -> dict[str, Any]:
    return {
        "mb": round(cut.nbytes / 1e6, 1),
        "took_s": round(cut.took_s, 2),
        "pause_s": round(cut.pause_s, 3),
        "passes": cut.passes,
    }


async def read(folder: Path) -> dict[str, Any]:
    """Start from the newest snapshot and the log's tail: how long, and what is resident then."""
    settings = Settings()
    before = _resident_mb()
    began = time.perf_counter()
    async with await EventLog.open(config.Log(), folder) as log:
        run = _Run(log, folder, settings)
        stand = await run.snapshots.restore(None, lambda done, total: None)
        restored_s = time.perf_counter() - began
        await run.keeper.catch_up(None, lambda count: None)
        assert stand is not None
        return {
            "stands_at": stand.watermark,
            "read_s": round(restored_s, 2),
            "with_tail_s": round(time.perf_counter() - began, 2),
            "tail_events": run.keeper.folded,
            "resident_mb": _resident_mb(),
            "resident_before_mb": before,
        }


def _resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 // 1_000_000


def measure(viewers: int, live_per_s: int, rounds: int, seed: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Written by one process, read by others, each of its own, so that what is resident is theirs alone."""
    with TemporaryDirectory(prefix="forefeed-restart-", dir=os.environ.get("TMPDIR")) as name:
        tell(f"{viewers:,} viewers: writing")
        figures = _in_a_process(f"written({viewers}, {name!r}, {live_per_s}, {seed})")
        for kind in ("warm", "cold"):
            found = []
            for number in range(rounds):
                tell(f"{viewers:,} viewers: reading, {kind}, {number + 1} of {rounds}")
                if kind == "cold":
                    _out_of_memory(Path(name))
                found.append(_in_a_process(f"was_read({name!r})"))
            figures[f"read_{kind}"] = found
    return {"viewers": viewers, **figures}


def _in_a_process(call: str) -> dict[str, Any]:
    code = f"from loadtest.restart import was_read, written; {call}"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{call} ended with status {done.returncode}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _out_of_memory(folder: Path) -> None:
    """Ask the system to forget what it holds of these files, so that the next read comes from the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def written(viewers: int, folder: str, live_per_s: int, seed: int) -> None:
    """The process that writes; its figures on stdout."""
    began = time.perf_counter()
    crowd = crowd_of(viewers, seed)
    drawn_s = round(time.perf_counter() - began, 1)
    told = asyncio.run(write(crowd, Path(folder), live_per_s, lambda line: print(line, file=sys.stderr, flush=True)))
    print(json.dumps({"draw_s": drawn_s, **told}))


def was_read(folder: str) -> None:
    """The process that reads; its figures on stdout."""
    print(json.dumps(asyncio.run(read(Path(folder)))))


def crowd_of(viewers: int, seed: int) -> Crowd:
    """For each viewer 100 follows, 10 posts with 5 likes each, and 100 posts seen."""
    return draw(viewers, 100, 10.0, 5, 100, seed)
