"""What ours and its peers are to the benchmark of generation: somebody who makes feeds."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.pipeline import Pipeline
from loadtest.crowd import NOW

ITEMS: Final = 500
LOGIN: Final = NOW - 3 * 86_400.0
"""When everyone of the crowd logged in last."""


class ServerGone(Exception):
    """The caller's server answers no more; the message says how that showed."""


class Caller(NamedTuple):
    """`feeds`: makes those of some viewers and says how many items they hold together; `posts`: what is in one of them.

    Posts by number, best first. `server_s`: seconds of processor time that the caller's server has taken so far.
    All raise ServerGone once that died.
    """

    feeds: Callable[[Sequence[int]], int]
    posts: Callable[[int], list[int]]
    server_s: Callable[[], float]


def ours(pipeline: Pipeline, batch: int) -> Caller:
    """The pipeline, so many viewers a call."""

    def feeds(some: Sequence[int]) -> int:
        items = 0
        for first in range(0, len(some), batch):
            for feed in pipeline.generate([f"u{viewer}" for viewer in some[first : first + batch]], NOW):
                if not isinstance(feed, Bulk):
                    raise RuntimeError(f"no feed: {feed!r}")
                items += feed.items.count
        return items

    def posts(viewer: int) -> list[int]:
        (feed,) = pipeline.generate([f"u{viewer}"], NOW)
        if not isinstance(feed, Bulk):
            raise RuntimeError(f"no feed: {feed!r}")
        return [int(item.item_id.removeprefix("p")) for item in FeedMap(feed)]

    return Caller(feeds, posts, lambda: 0.0)


def cpu_s(pid: int) -> float:
    """What the process has used so far, in user and system mode. Raises ServerGone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ServerGone(f"process {pid} has ended") from error
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
