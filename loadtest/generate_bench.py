"""Generation beside its peers: the same network, the same viewers, in turns; feeds a second of one caller."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from feedgen.config import Settings, load
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from loadtest import postgres
from loadtest.crowd import NOW, Crowd, deeds_into, draw, follows_into, people_into, posts_into
from loadtest.feed_peers import Caller, redis, sql
from loadtest.peers import LOAD_CPU, NotHere
from loadtest.staged import rank_by_trees

YARDSTICK: Final = Path(__file__).with_name("yardstick.yaml")
OURS: Final = "ours"
"""With the yardstick's settings; beside it `ships`, with the defaults."""


class _Speed(NamedTuple):
    """`cpu_us`: CPU time of this process a feed; `server_us`: that of a peer's server, on the other core."""

    feeds_per_s: float
    cpu_us: float
    server_us: float


@dataclass(frozen=True)
class Plan:
    """What is measured: `followees` and `posts_each` decide how many candidates a viewer has."""

    followees: int = 500
    posts_each: float = 0.85
    likes_each: int = 5
    seen_each: int = 100
    rounds: int = 5
    seconds: float = 3.0
    batch: int = 64
    peers: bool = True
    seed: int = 1
    stages: int = 1


def measure(sizes: Sequence[int], plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Figures of the first size, and of all sizes under `sizes`. A peer that is not here is a reason instead."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CPU})
    try:
        found = [_measure_one(viewers, plan, tell) for viewers in sizes]
    finally:
        os.sched_setaffinity(0, allowed)
    return {**{name: found[0][name] for name in (OURS, "ships", "sql", "redis")}, "sizes": found}


def _measure_one(viewers: int, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"{viewers:,} viewers: drawing the network and loading it")
    crowd = draw(viewers, plan.followees, plan.posts_each, plan.likes_each, plan.seen_each, plan.seed)
    state, sizes = _loaded(crowd, Settings())
    pipelines = {OURS: Pipeline(state, load(YARDSTICK)), "ships": Pipeline(state, Settings())}
    if plan.stages == 2:
        tell(f"{viewers:,} viewers: growing the trees of stage two")
        pipelines["trees"] = Pipeline(state, Settings())
        sizes["trees"] = rank_by_trees(pipelines["trees"], state, Settings(), plan.seed)
    callers = {name: _caller(pipeline, plan.batch) for name, pipeline in pipelines.items()}
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        for name, start in (("sql", sql), ("redis", redis)):
            if not plan.peers:
                absent[name] = "not asked for"
                continue
            tell(f"{viewers:,} viewers: filling {name}")
            try:
                callers[name] = stack.enter_context(start(crowd))
            except (NotHere, postgres.NoPostgres, ModuleNotFoundError) as error:
                absent[name] = str(error)
        items = _warmed(callers, viewers, tell)
        speeds = _in_turns(callers, viewers, plan)
    figures: dict[str, Any] = {name: {"skipped": reason} for name, reason in absent.items()}
    for name, speed in speeds.items():
        figures[name] = {**_figures(speed, speeds[OURS], name), "items_per_feed": items[name]}
    for name, pipeline in pipelines.items():
        figures[name] |= {**sizes, **_per_feed(pipeline, viewers)}
    return {"viewers": viewers, "follows": crowd.followees.size, "posts": len(crowd.author), **figures}


def _loaded(crowd: Crowd, settings: Settings) -> tuple[State, dict[str, float]]:
    """The state, and how many bytes its columns hold of a follow and of a post."""
    state = State(settings.state, settings.ranking)
    held = []
    people_into(state, crowd)
    for load_part in (posts_into, follows_into, deeds_into):
        before = sum(state.nbytes().values())
        load_part(state, crowd)
        held.append(sum(state.nbytes().values()) - before)
    return state, {
        "bytes_per_post": round(held[0] / len(crowd.author), 1),
        "bytes_per_follow": round(held[1] / crowd.followees.size, 1),
    }


def _caller(pipeline: Pipeline, batch: int) -> Caller:
    def feeds(some: Sequence[int]) -> int:
        items = 0
        for first in range(0, len(some), batch):
            for feed in pipeline.generate([f"u{viewer}" for viewer in some[first : first + batch]], NOW):
                if not isinstance(feed, Bulk):
                    raise RuntimeError(f"no feed: {feed!r}")
                items += feed.items.count
        return items

    return Caller(feeds, lambda: 0.0)


def _per_feed(pipeline: Pipeline, viewers: int) -> dict[str, float]:
    """Means over some viewers."""
    some = [f"u{viewer}" for viewer in range(0, viewers, max(1, viewers // 50))]
    sizes = [FeedMap(bulk).nbytes for bulk in pipeline.generate(some, NOW) if isinstance(bulk, Bulk)]
    considered = [len(ranked.considered) for name in some if (ranked := pipeline.rank_by_id(name, NOW)) is not None]
    return {"candidates_per_feed": statistics.fmean(considered), "bytes_per_feed": round(statistics.fmean(sizes), 1)}


def _warmed(callers: dict[str, Caller], viewers: int, tell: Callable[[str], None]) -> dict[str, float]:
    """Items a feed of each; what is first is slow."""
    items = {}
    for name, caller in callers.items():
        some = range(min(16, viewers))
        items[name] = caller.feeds(some) / len(some)
        tell(f"{viewers:,} viewers: {name}, {items[name]:,.0f} items a feed")
    return items


def _in_turns(callers: dict[str, Caller], viewers: int, plan: Plan) -> dict[str, list[_Speed]]:
    """The speed of each, round by round; the viewers are the same for all."""
    speeds: dict[str, list[_Speed]] = {name: [] for name in callers}
    for number in range(plan.rounds):
        order = np.random.default_rng(plan.seed + number).permutation(viewers).tolist()
        for name, caller in callers.items():
            speeds[name].append(_timed(caller, order, plan))
    return speeds


def _timed(caller: Caller, order: list[int], plan: Plan) -> _Speed:
    """For some seconds, `batch` viewers after the other, in that order and from its start again."""
    began, busy, served, made = time.perf_counter(), time.process_time(), caller.server_s(), 0
    while (took := time.perf_counter() - began) < plan.seconds:
        caller.feeds([order[(made + place) % len(order)] for place in range(plan.batch)])
        made += plan.batch
    cpu_s, server_s = time.process_time() - busy, caller.server_s() - served
    return _Speed(made / took, cpu_s / made * 1e6, server_s / made * 1e6)


def _figures(speeds: list[_Speed], ours: list[_Speed], name: str) -> dict[str, Any]:
    found = [speed.feeds_per_s for speed in speeds]
    median = statistics.median(found)
    figures = {
        "feeds_per_s": round(median, 1),
        "feeds_per_s_min": round(min(found), 1),
        "feeds_per_s_max": round(max(found), 1),
        "us_per_feed": round(1e6 / median, 1),
        "caller_cpu_us_per_feed": round(statistics.median(speed.cpu_us for speed in speeds), 1),
        "caller_cpu_us_per_feed_min": round(min(speed.cpu_us for speed in speeds), 1),
        "server_cpu_us_per_feed": round(statistics.median(speed.server_us for speed in speeds), 1),
    }
    if name != OURS:
        times = [mine.feeds_per_s / theirs.feeds_per_s for mine, theirs in zip(ours, speeds, strict=True)]
        cpu = [(theirs.cpu_us + theirs.server_us) / mine.cpu_us for mine, theirs in zip(ours, speeds, strict=True)]
        figures["ours_times_this"] = round(statistics.median(times), 1)
        figures["ours_times_this_by_cpu"] = round(statistics.median(cpu), 1)
    return figures
