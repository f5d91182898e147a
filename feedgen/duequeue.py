"""Where viewers wait: wanted now by a reader, wanted in the background, due for another try later, or set aside."""

import asyncio
import random
from collections import OrderedDict
from typing import Final, Literal

from sortedcontainers import SortedKeyList

from feedgen.feed.record import Bulk

JITTER: Final = 0.25
"""Share by which a delay may be shortened, so that viewers who failed together are not tried together again."""


def retry_delay(failures: int, first_s: float, longest_s: float, rng: random.Random) -> float:
    """Seconds before the next try: doubles with each failure up to the longest; jitter only shortens."""
    return min(first_s * 2.0 ** min(failures - 1, 64), longest_s) * (1 - JITTER * rng.random())


class Job:
    """One viewer's wish for a feed. It stands in one line, or in none while it is worked on."""

    __slots__ = ("due_at", "failures", "line", "since", "viewer", "waiter")

    def __init__(self, viewer: str, since: float = 0.0) -> None:
        """`since`: when it was wished for, by the queue's clock (s)."""
        self.viewer = viewer
        self.since = since
        self.failures = 0
        self.due_at = 0.0
        self.line: Literal["urgent", "background", "due"] | None = None
        self.waiter: asyncio.Future[Bulk | None] | None = None
        """What every reader who waits for this viewer shares."""


def _due(job: Job) -> tuple[float, str]:
    return job.due_at, job.viewer


class DueQueue:
    """Jobs by line. Adding and moving O(1), or O(log n) for the due line; times are the caller's clock in seconds."""

    def __init__(self, bound: int) -> None:
        """`bound`: jobs in the urgent line, and jobs in the other two together."""
        self._bound = bound
        self._urgent: OrderedDict[str, Job] = OrderedDict()
        self._background: OrderedDict[str, Job] = OrderedDict()
        self._later: SortedKeyList = SortedKeyList(key=_due)

    def __len__(self) -> int:
        return len(self._urgent) + len(self._background) + len(self._later)

    @property
    def has_room(self) -> bool:
        """Whether the background takes another job.

        A job that waits for its retry takes a place too: when everything fails, submitters are held back as well.
        """
        return len(self._background) + len(self._later) < self._bound

    @property
    def has_urgent_room(self) -> bool:
        """Whether the urgent line takes another job."""
        return len(self._urgent) < self._bound

    def add(self, job: Job) -> None:
        """To the end of the background line, whatever the bound (ask `has_room` first)."""
        job.line = "background"
        self._background[job.viewer] = job

    def add_urgent(self, job: Job) -> None:
        """To the end of the urgent line, from whichever line it stands in."""
        if job.line == "urgent":
            return
        if job.line == "background":
            del self._background[job.viewer]
        elif job.line == "due":
            self._later.remove(job)
        job.line = "urgent"
        self._urgent[job.viewer] = job

    def add_due(self, job: Job, at: float) -> None:
        """To be taken at `at` or later."""
        job.line = "due"
        job.due_at = at
        self._later.add(job)

    def take(self, now: float, limit: int) -> list[Job]:
        """Up to `limit` jobs: urgent ones by themselves if there are any, else ripe retries, then the background."""
        taken: list[Job] = []
        if self._urgent:
            while self._urgent and len(taken) < limit:
                taken.append(self._urgent.popitem(last=False)[1])
        else:
            while self._later and len(taken) < limit and self._later[0].due_at <= now:
                taken.append(self._later.pop(0))
            while self._background and len(taken) < limit:
                taken.append(self._background.popitem(last=False)[1])
        for job in taken:
            job.line = None
        return taken

    def oldest(self) -> float | None:
        """Since when the first of the background line waits; None if that is empty. O(1)."""
        return next((job.since for job in self._background.values()), None)

    def next_due(self) -> float | None:
        """When the next retry is ripe; None if there is none."""
        return self._later[0].due_at if self._later else None

    def check(self) -> None:
        """Assert every invariant. For tests. O(n)."""
        lines = {"urgent": self._urgent.values(), "background": self._background.values(), "due": self._later}
        viewers = [job.viewer for line in lines.values() for job in line]
        assert len(viewers) == len(set(viewers)) == len(self), "a viewer stands in two lines"
        assert all(job.line == name for name, line in lines.items() for job in line)


class Aside:
    """Viewers not to be tried for a while, each for the same span. O(1), amortised over those whose time is up."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._until: dict[str, float] = {}  # oldest first: the span is the same for all, and none is added twice

    def add(self, viewer: str, now: float) -> None:
        """From `now` on."""
        self._until[viewer] = now + self._span_s

    def holds(self, viewer: str, now: float) -> bool:
        """Whether the viewer's time is not up yet."""
        while self._until and self._until[oldest := next(iter(self._until))] <= now:
            del self._until[oldest]
        return viewer in self._until
