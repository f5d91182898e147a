"""Generation beside its peers: the same network, the same viewers, in turns; feeds a second of one caller."""

import asyncio
import heapq
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from feedgen.config import Settings
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from loadtest import postgres
from loadtest.crowd import NOW, Crowd, deeds_into, draw, follows_into, people_into, posts_into
from loadtest.peers import NotHere, bare_redis

Feeds = Callable[[Sequence[int]], int]
"""Makes the feeds of some viewers; how many items they hold together."""
_ITEMS = 500
_QUERY = (
    "SELECT p.id, p.author, p.created, p.score FROM follows f JOIN posts p ON p.author = f.author "
    f"WHERE f.viewer = $1 ORDER BY p.score DESC LIMIT {_ITEMS}"
)


class _Speed(NamedTuple):
    """`cpu_us`: CPU time of this process a feed; a peer's server, on the other core, is not in it."""

    feeds_per_s: float
    cpu_us: float


@dataclass(frozen=True)
class Plan:
    """What is measured: `followees` and `posts_each` decide how many candidates a viewer has."""

    followees: int = 500
    posts_each: float = 0.5
    likes_each: int = 5
    seen_each: int = 100
    rounds: int = 5
    seconds: float = 3.0
    seed: int = 1


def measure(sizes: Sequence[int], plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Figures of the first size, and of all sizes under `sizes`. A peer that is not here is a reason instead."""
    found = [_measure_one(viewers, plan, tell) for viewers in sizes]
    return {**{name: found[0][name] for name in ("ours", "sql", "redis")}, "sizes": found}


def _measure_one(viewers: int, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"{viewers:,} viewers: drawing the network and folding it")
    crowd = draw(viewers, plan.followees, plan.posts_each, plan.likes_each, plan.seen_each, plan.seed)
    state, sizes = _folded(crowd, Settings())
    pipeline = Pipeline(state, Settings())
    callers: dict[str, Feeds] = {"ours": lambda some: _ours(pipeline, some)}
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        for name, start in (("sql", _sql), ("redis", _redis)):
            tell(f"{viewers:,} viewers: filling {name}")
            try:
                callers[name] = stack.enter_context(start(crowd))
            except (NotHere, postgres.NoPostgres, ModuleNotFoundError) as error:
                absent[name] = str(error)
        speeds = _in_turns(callers, viewers, plan, tell)
    sizes |= _per_feed(pipeline, viewers)
    figures: dict[str, Any] = {name: {"skipped": reason} for name, reason in absent.items()}
    figures |= {name: _figures(speed, speeds["ours"], name) for name, speed in speeds.items()}
    figures["ours"] |= sizes
    return {"viewers": viewers, "follows": crowd.followees.size, "posts": len(crowd.author), **figures}


def _folded(crowd: Crowd, settings: Settings) -> tuple[State, dict[str, float]]:
    """The state, and how many bytes of this process a follow and a post take in it."""
    state = State(settings.state, settings.ranking)
    grown = []
    people_into(state, crowd)
    for load in (posts_into, follows_into, deeds_into):
        before = _resident_bytes()
        load(state, crowd)
        grown.append(_resident_bytes() - before)
    return state, {
        "bytes_per_post": round(grown[0] / len(crowd.author), 1),
        "bytes_per_follow": round(grown[1] / crowd.followees.size, 1),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def _ours(pipeline: Pipeline, some: Sequence[int]) -> int:
    items = 0
    for feed in pipeline.generate([f"u{viewer}" for viewer in some], NOW):
        if not isinstance(feed, Bulk):
            raise RuntimeError(f"no feed: {feed!r}")
        items += feed.items.count
    return items


def _per_feed(pipeline: Pipeline, viewers: int) -> dict[str, float]:
    """Means over some viewers."""
    some = [f"u{viewer}" for viewer in range(0, viewers, max(1, viewers // 50))]
    sizes = [FeedMap(bulk).nbytes for bulk in pipeline.generate(some, NOW) if isinstance(bulk, Bulk)]
    considered = [len(ranked.considered) for name in some if (ranked := pipeline.rank_by_id(name, NOW)) is not None]
    return {"candidates_per_feed": statistics.fmean(considered), "bytes_per_feed": round(statistics.fmean(sizes), 1)}


@contextmanager
def _sql(crowd: Crowd) -> Iterator[Feeds]:
    """Followees' posts joined, ordered by score; both indices cover the query. One prepared statement."""
    import asyncpg

    with postgres.server() as url, asyncio.Runner() as runner:

        async def filled() -> Any:
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE follows (viewer int, author int)")
            await connection.execute("CREATE TABLE posts (id int, author int, created float8, score float8)")
            for first in range(0, len(crowd.followees), 1_000):
                rows = crowd.followees[first : first + 1_000]
                viewers = np.repeat(np.arange(first, first + len(rows)), rows.shape[1])
                pairs = list(zip(viewers.tolist(), rows.ravel().tolist(), strict=True))
                await connection.copy_records_to_table("follows", records=pairs)
            columns = (range(len(crowd.author)), crowd.author.tolist(), crowd.created.tolist(), crowd.score.tolist())
            await connection.copy_records_to_table("posts", records=list(zip(*columns, strict=True)))
            await connection.execute("CREATE INDEX ON follows (viewer) INCLUDE (author)")
            await connection.execute("CREATE INDEX ON posts (author) INCLUDE (id, created, score)")
            await connection.execute("VACUUM ANALYZE")
            return connection, await connection.prepare(_QUERY)

        connection, query = runner.run(filled())

        async def feeds(some: Sequence[int]) -> int:
            return sum([len(await query.fetch(viewer)) for viewer in some])

        try:
            yield lambda some: runner.run(feeds(some))
        finally:
            runner.run(connection.close())


@contextmanager
def _redis(crowd: Crowd) -> Iterator[Feeds]:
    """A sorted set for each author; a pipelined read of all followees', merged here."""
    with bare_redis() as (client, _):
        pipe = client.pipeline(transaction=False)
        columns = zip(crowd.author.tolist(), crowd.score.tolist(), strict=True)
        for post, (author, score) in enumerate(columns):
            pipe.zadd(f"a{author}", {f"p{post}": score})
            if len(pipe) >= 5_000:
                pipe.execute()
        pipe.execute()

        def feeds(some: Sequence[int]) -> int:
            items = 0
            for viewer in some:
                for author in crowd.followees[viewer].tolist():
                    pipe.zrevrange(f"a{author}", 0, _ITEMS - 1, withscores=True)
                found = (entry for line in pipe.execute() for entry in line)
                items += len(heapq.nlargest(_ITEMS, found, key=lambda entry: entry[1]))
            return items

        yield feeds


def _in_turns(
    callers: dict[str, Feeds], viewers: int, plan: Plan, tell: Callable[[str], None]
) -> dict[str, list[_Speed]]:
    """The speed of each, round by round; the viewers are the same for all."""
    speeds: dict[str, list[_Speed]] = {name: [] for name in callers}
    for name, feeds in callers.items():
        tell(f"{viewers:,} viewers: {name}, {feeds(range(16)) / 16:,.0f} items a feed")  # what is first is slow
    for number in range(plan.rounds):
        order = np.random.default_rng(plan.seed + number).permutation(viewers).tolist()
        for name, feeds in callers.items():
            began, busy, made = time.perf_counter(), time.process_time(), 0
            while (took := time.perf_counter() - began) < plan.seconds:
                feeds([order[(made + place) % viewers] for place in range(16)])
                made += 16
            speeds[name].append(_Speed(made / took, (time.process_time() - busy) / made * 1e6))
    return speeds


def _figures(speeds: list[_Speed], ours: list[_Speed], name: str) -> dict[str, Any]:
    found = [speed.feeds_per_s for speed in speeds]
    median = statistics.median(found)
    figures = {
        "feeds_per_s": round(median, 1),
        "feeds_per_s_min": round(min(found), 1),
        "feeds_per_s_max": round(max(found), 1),
        "us_per_feed": round(1e6 / median, 1),
        "caller_cpu_us_per_feed": round(statistics.median(speed.cpu_us for speed in speeds), 1),
    }
    if name != "ours":
        times = [mine.feeds_per_s / theirs.feeds_per_s for mine, theirs in zip(ours, speeds, strict=True)]
        figures["ours_times_this"] = round(statistics.median(times), 1)
    return figures
