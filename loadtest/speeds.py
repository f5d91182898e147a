"""How fast feeds are made: timed in stretches, and what the stretches of a run come to."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadtest.caller import Caller


class Speed(NamedTuple):
    """`cpu_us`: CPU time of this process a feed; `server_us`: that of a peer's server, on the other core."""

    feeds_per_s: float
    cpu_us: float
    server_us: float


def timed(caller: Caller, order: Sequence[int], seconds: float, batch: int) -> Speed:
    """For so many seconds, `batch` viewers after the other, in that order and from its start again."""
    began, busy, served, made = time.perf_counter(), time.process_time(), caller.server_s(), 0
    while (took := time.perf_counter() - began) < seconds:
        caller.feeds([order[(made + place) % len(order)] for place in range(batch)])
        made += batch
    cpu_s, server_s = time.process_time() - busy, caller.server_s() - served
    return Speed(made / took, cpu_s / made * 1e6, server_s / made * 1e6)


def growth(
    sizes: Sequence[int], speeds: Sequence[Mapping[str, Sequence[Speed]]]
) -> dict[str, dict[str, Sequence[float]]]:
    """CPU time a feed of each size, caller and server, over that of the first: of those measured at every size.

    `median` of the ratios of the same round; `least`, of the least of all rounds.
    """
    grown: dict[str, dict[str, Sequence[float]]] = {}
    for name in speeds[0]:
        if all(name in of_size for of_size in speeds):
            cpu = [[speed.cpu_us + speed.server_us for speed in of_size[name]] for of_size in speeds]
            rounds = [[now / first for now, first in zip(of_size, cpu[0], strict=True)] for of_size in cpu]
            grown[name] = {
                "sizes": list(sizes),
                "median": [round(statistics.median(ratios), 3) for ratios in rounds],
                "least": [round(min(of_size) / min(cpu[0]), 3) for of_size in cpu],
            }
    return grown


def figures(speeds: Sequence[Speed], ours: Sequence[Speed]) -> dict[str, Any]:
    """Of one caller; beside ours, if it is another, round by round."""
    found = [speed.feeds_per_s for speed in speeds]
    median = statistics.median(found)
    told = {
        "feeds_per_s": round(median, 1),
        "feeds_per_s_min": round(min(found), 1),
        "feeds_per_s_max": round(max(found), 1),
        "us_per_feed": round(1e6 / median, 1),
        "caller_cpu_us_per_feed": round(statistics.median(speed.cpu_us for speed in speeds), 1),
        "caller_cpu_us_per_feed_min": round(min(speed.cpu_us for speed in speeds), 1),
        "server_cpu_us_per_feed": round(statistics.median(speed.server_us for speed in speeds), 1),
    }
    if speeds is not ours:
        times = [mine.feeds_per_s / theirs.feeds_per_s for mine, theirs in zip(ours, speeds, strict=True)]
        cpu = [(theirs.cpu_us + theirs.server_us) / mine.cpu_us for mine, theirs in zip(ours, speeds, strict=True)]
        told["ours_times_this"] = round(statistics.median(times), 1)
        told["ours_times_this_by_cpu"] = round(statistics.median(cpu), 1)
    return told
