"""Generation beside its peers: the same network, the same viewers, in turns; feeds a second of one caller."""

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from feedgen.commands.compiling import announced
from feedgen.config import Settings, load
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from feedgen.warming import warm
from loadtest import redis_peer, sql_peer
from loadtest.caller import Caller, ServerGone, ours
from loadtest.crowd import NOW, Crowd, Extent, deeds_into, draw, follows_into, foreseen, people_into, posts_into
from loadtest.peers import LOAD_CPU, NotHere
from loadtest.postgres import NoPostgres
from loadtest.redis_peer import redis
from loadtest.room import Room, Rooms, free_here
from loadtest.speeds import Speed, figures, growth, timed
from loadtest.sql_peer import sql
from loadtest.staged import rank_by_trees

YARDSTICK: Final = Path(__file__).with_name("yardstick.yaml")
OURS: Final = "ours"
"""With the yardstick's settings; beside it `ships`, with the defaults."""
_PEERS: Final[dict[str, Callable[[Extent], Room]]] = {"sql": sql_peer.room, "redis": redis_peer.room}
"""And what each takes."""
_BYTES_ALWAYS: Final = 300 << 20
_BYTES_A_FOLLOW: Final = 16
_BYTES_SEEN: Final = 12
_BYTES_A_PERSON: Final = 400
"""Of ours in memory, at most: columns, and what is drawn and moved while they are loaded."""


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

    def extent(self, viewers: int) -> Extent:
        """How many rows a network of so many viewers has."""
        return foreseen(viewers, self.followees, self.posts_each, self.likes_each, self.seen_each)


class _Network:
    """One size, loaded: who makes feeds of it, why others cannot, and what is known of each that needs no clock."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self.pipelines: dict[str, Pipeline] = {}
        self.callers: dict[str, Caller] = {}
        self.absent: dict[str, str] = {}
        self.about: dict[str, dict[str, float]] = {}
        self.speeds: dict[str, list[Speed]] = {}

    def drop(self, name: str, reason: str, tell: Callable[[str], None]) -> None:
        """Leave it out from now on, with what was measured of it."""
        tell(f"{self.extent.viewers:,} viewers: {name} is left out: {reason}")
        self.absent[name] = reason
        del self.callers[name]
        self.speeds.pop(name, None)


def measure(sizes: Sequence[int], plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Figures of the first size, of all under `sizes`, and how the cost of a feed grows from the first to the others.

    All sizes are made first; then each round goes through all callers, and for each through all sizes, so that what the
    machine does meanwhile happens to all alike. A peer that is not here, has no room or dies is a reason instead.
    Raises RuntimeError where ours has no room.
    """
    with ExitStack() as stack:
        networks = [_Network(plan.extent(viewers)) for viewers in sizes]
        _find_room(networks, plan)
        announced(warm, "the generation")
        for network in networks:
            _make(network, plan, stack, tell)
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {LOAD_CPU})
        try:
            _in_turns(networks, plan, tell)
        finally:
            os.sched_setaffinity(0, allowed)
    found = [_figures(network) for network in networks]
    first = {name: found[0][name] for name in (OURS, "ships", *_PEERS)}
    return {**first, "growth": growth(sizes, [network.speeds for network in networks]), "sizes": found}


def _find_room(networks: list[_Network], plan: Plan) -> None:
    """Of all sizes, before anything is made: first for ours, then for those of the peers that have it."""
    rooms = Rooms(free_here())
    for network in networks:
        lacking = rooms.claim(_room(network.extent))
        if lacking is not None:
            raise RuntimeError(f"{network.extent.viewers:,} viewers: {lacking}; ask for fewer viewers or followees")
    for network in networks:
        for name, room in _PEERS.items():
            lacking = rooms.claim(room(network.extent)) if plan.peers else "not asked for"
            if lacking is not None:
                network.absent[name] = lacking


def _room(extent: Extent) -> Room:
    """What ours takes at most: the state, and the crowd while it is loaded."""
    rows = _BYTES_A_FOLLOW * extent.follows + _BYTES_SEEN * (extent.seen + extent.likes)
    return Room(_BYTES_ALWAYS + rows + _BYTES_A_PERSON * (extent.viewers + extent.posts))


def _make(network: _Network, plan: Plan, stack: ExitStack, tell: Callable[[str], None]) -> None:
    viewers = network.extent.viewers

    def say(line: str) -> None:
        tell(f"{viewers:,} viewers: {line}")

    say("drawing the network")
    state = State(Settings().state, Settings().ranking)
    peers, sizes = _loaded(network, state, plan, stack, say)
    pipelines = {OURS: Pipeline(state, load(YARDSTICK)), "ships": Pipeline(state, Settings())}
    if plan.stages == 2:
        say("growing the trees of stage two")
        pipelines["trees"] = Pipeline(state, Settings())
        sizes["trees"] = rank_by_trees(pipelines["trees"], state, Settings(), plan.seed)
    network.pipelines = pipelines
    network.callers = {name: ours(pipeline, plan.batch) for name, pipeline in pipelines.items()} | peers
    network.about = {name: {**sizes, **_per_feed(pipeline, viewers)} for name, pipeline in pipelines.items()}
    _warm(network, tell)


def _loaded(
    network: _Network, state: State, plan: Plan, stack: ExitStack, say: Callable[[str], None]
) -> tuple[dict[str, Caller], dict[str, float]]:
    """The peers filled and the state loaded; how many bytes its columns hold of a follow and of a post."""
    crowd = draw(network.extent.viewers, plan.followees, plan.posts_each, plan.likes_each, plan.seen_each, plan.seed)
    peers = _peers(network, crowd, state, stack, say)
    held = []
    people_into(state, crowd)
    for load_part in (posts_into, follows_into):
        say(f"loading {load_part.__name__.removesuffix('_into')}")
        before = sum(state.nbytes().values())
        load_part(state, crowd)
        held.append(sum(state.nbytes().values()) - before)
    crowd = crowd._replace(followees=np.empty((0, 0), np.int32))  # 2 GB of a million viewers, whose deeds need as much
    say("loading what was seen and liked")
    deeds_into(state, crowd)
    return peers, {
        "bytes_per_post": round(held[0] / network.extent.posts, 1),
        "bytes_per_follow": round(held[1] / network.extent.follows, 1),
    }


def _peers(
    network: _Network, crowd: Crowd, state: State, stack: ExitStack, say: Callable[[str], None]
) -> dict[str, Caller]:
    """Those that are here and have room, filled. Redis is told by the state, later, whom a viewer follows."""
    starts: dict[str, Callable[[], AbstractContextManager[Caller]]] = {
        "sql": lambda: sql(crowd, say),
        "redis": lambda: redis(crowd, lambda viewer: state.graph.followees(viewer).tolist(), say),
    }
    peers = {}
    for name, start in starts.items():
        if name in network.absent:
            continue
        say(f"filling {name}")
        try:
            peers[name] = stack.enter_context(start())
        except (NotHere, NoPostgres, ServerGone, ModuleNotFoundError) as error:
            network.absent[name] = str(error)
    return peers


def _per_feed(pipeline: Pipeline, viewers: int) -> dict[str, float]:
    """Means over some viewers."""
    some = [f"u{viewer}" for viewer in range(0, viewers, max(1, viewers // 50))]
    sizes = [FeedMap(bulk).nbytes for bulk in pipeline.generate(some, NOW) if isinstance(bulk, Bulk)]
    considered = [len(ranked.considered) for name in some if (ranked := pipeline.rank_by_id(name, NOW)) is not None]
    return {"candidates_per_feed": statistics.fmean(considered), "bytes_per_feed": round(statistics.fmean(sizes), 1)}


def _warm(network: _Network, tell: Callable[[str], None]) -> None:
    """Notes how many items a feed of each has; what is first is slow."""
    some = range(min(16, network.extent.viewers))
    for name, caller in [*network.callers.items()]:
        try:
            items = caller.feeds(some) / len(some)
        except ServerGone as gone:
            network.drop(name, str(gone), tell)
            continue
        network.about[name] = {"items_per_feed": items, **network.about.get(name, {})}
        tell(f"{network.extent.viewers:,} viewers: {name}, {items:,.0f} items a feed")


def _in_turns(networks: list[_Network], plan: Plan, tell: Callable[[str], None]) -> None:
    """The speed of each, round by round; the viewers of a size are the same for all."""
    began, stretches = time.monotonic(), sum(len(network.callers) for network in networks)
    for number in range(plan.rounds):
        round_s = (time.monotonic() - began) / number if number else stretches * plan.seconds
        left = f"{'about' if number else 'at least'} {math.ceil(round_s * (plan.rounds - number)):,} s left"
        tell(f"round {number + 1} of {plan.rounds}: {left}")
        orders = [
            np.random.default_rng(plan.seed + number).permutation(network.extent.viewers).tolist()
            for network in networks
        ]
        for name in dict.fromkeys(name for network in networks for name in network.callers):
            for network, order in zip(networks, orders, strict=True):
                if name not in network.callers:
                    continue
                try:
                    speed = timed(network.callers[name], order, plan.seconds, plan.batch)
                except ServerGone as gone:
                    network.drop(name, f"{gone}, in round {number + 1} of {plan.rounds}", tell)
                else:
                    network.speeds.setdefault(name, []).append(speed)


def _figures(network: _Network) -> dict[str, Any]:
    """Everything of one size."""
    extent = network.extent
    told: dict[str, Any] = {name: {"skipped": reason} for name, reason in network.absent.items()}
    for name, speeds in network.speeds.items():
        told[name] = {**figures(speeds, network.speeds[OURS]), **network.about[name]}
    for name, pipeline in network.pipelines.items():
        viewers, took = pipeline.stage_times()
        told[name]["stages_us"] = {stage: round(took_s / viewers * 1e6, 1) for stage, took_s in took.items()}
    return {"viewers": extent.viewers, "follows": extent.follows, "posts": extent.posts, **told}
