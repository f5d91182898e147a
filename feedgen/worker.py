"""The async worker pool: makes feeds in batches, in threads, with the readers who wait for one served first.

Every viewer has at most one job, whoever asked for it and however often. A job ends generated, unknown or set aside;
until then it is queued, in flight, or due for another try. One event loop owns the pool.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from feedgen.config import Worker
from feedgen.duequeue import Aside, DueQueue, Job, retry_delay
from feedgen.errors import GenerationFailed, QueueFull
from feedgen.feed.record import Bulk
from feedgen.feed.roles import FeedStore, LiveSink
from feedgen.gate import EpochGate
from feedgen.making import Make, ThreadedMaker

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PoolCounters:
    """What the pool has done since its start; `queued` and `in_flight` are what it holds now."""

    generated: int = 0
    """Feeds the store took."""
    refused_older: int = 0
    """Feeds the store refused, a newer one being there."""
    unknown: int = 0
    """Viewers never seen."""
    failed_attempts: int = 0
    set_aside: int = 0
    unstored: int = 0
    """Viewers given up because the store failed every time; they may be tried again at once."""
    dropped: int = 0
    """Wishes not taken: refreshes of a full queue, and background wishes for viewers set aside."""
    joined: int = 0
    """Wishes that found their viewer queued or in flight."""
    crashed: int = 0
    """Errors that are bugs: neither make's nor the store's."""
    batches: int = 0
    seconds_making: float = 0.0
    queued: int = 0
    in_flight: int = 0
    lag_s: float = 0.0
    """How long the background wish that waits longest has waited."""


class WorkerPool:
    """Implements roles.Generator. `async with` it, or `start()` and `await close()`."""

    def __init__(
        self,
        make: Make,
        gate: EpochGate,
        store: FeedStore,
        sink: LiveSink | None,
        settings: Worker,
        *,
        rng: random.Random,
        clock: Callable[[], float] | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """`clock`: monotonic seconds, by default the running loop's. `on_done`: told how many viewers are finished."""
        self._store = store
        self._sink = sink
        self._settings = settings
        self._rng = rng
        self._clock = clock or asyncio.get_running_loop().time
        self.on_done = on_done
        self._queue = DueQueue(settings.queue_viewers)
        self._jobs: dict[str, Job] = {}
        self._aside = Aside(settings.aside_s)
        self._counters = PoolCounters()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._maker = ThreadedMaker(make, gate, settings.workers, self._clock)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def counters(self) -> PoolCounters:
        """Live numbers, the gauges as of this reading."""
        self._counters.queued = len(self._queue)
        oldest = self._queue.oldest()
        self._counters.lag_s = 0.0 if oldest is None else self._clock() - oldest
        self._counters.in_flight = len(self._jobs) - len(self._queue)
        self._counters.batches = self._maker.batches
        self._counters.seconds_making = self._maker.seconds
        return self._counters

    def start(self) -> None:
        """Begin to work; wishes may come before."""
        for n in range(self._settings.workers):
            self._tasks.append(asyncio.create_task(self._work_on(), name=f"feed worker {n}"))

    async def generate(self, viewer: str) -> Bulk | None:
        """The viewer's new feed, made before all background ones; None for a viewer never seen.

        Callers for the same viewer share one generation, and none of them stops it by giving up. Raises QueueFull, or
        GenerationFailed at the first failed attempt (retries go on in the background), for a viewer set aside, and when
        the pool closes.
        """
        if self._closing:
            raise GenerationFailed("the worker pool is closed")
        if self._aside.holds(viewer, self._clock()):
            raise GenerationFailed(f"viewer {viewer!r} is set aside: too many attempts failed")
        job = self._jobs.get(viewer)
        if (job is None or job.line in ("background", "due")) and not self._queue.has_urgent_room:
            raise QueueFull(f"{self._settings.queue_viewers} readers wait for a feed already")
        if job is None:
            job = self._jobs[viewer] = Job(viewer)
            self._queue.add_urgent(job)
        else:
            self._counters.joined += 1
            if job.line is not None:
                self._queue.add_urgent(job)
                self._make_room()
        if job.waiter is None:
            job.waiter = asyncio.get_running_loop().create_future()
        self._work.set()
        return await asyncio.shield(job.waiter)

    async def submit(self, viewer: str) -> None:
        """Generate the viewer's feed in the background; waits while the queue is full.

        Raises GenerationFailed when the pool closes. A wish for a viewer set aside is dropped and counted.
        """
        while not self._closing:
            if self._joins_or_drops(viewer):
                return
            if self._queue.has_room:
                self._enqueue(viewer)
                return
            self._room.clear()
            await self._room.wait()
        raise GenerationFailed("the worker pool is closed")

    def refresh(self, viewer: str) -> None:
        """Generate the viewer's feed in the background; a full queue or a closed pool drops the wish, counted."""
        if not self._closing and self._joins_or_drops(viewer):
            return
        if self._closing or not self._queue.has_room:
            self._counters.dropped += 1
            return
        self._enqueue(viewer)

    async def drain(self) -> None:
        """Until nothing is queued, in flight or due for another try (or the pool has closed)."""
        while self._jobs:
            self._idle.clear()
            await self._idle.wait()

    async def close(self, deadline_s: float = 10.0) -> list[str]:
        """Stop taking, finish the batches in flight, give back the viewers that are not done. Idempotent.

        A batch still being made after `deadline_s` is abandoned: its thread cannot be stopped, and holds the gate until
        it ends, but its feeds are not used.
        """
        self._closing = True
        for job in self._jobs.values():
            if job.line is not None:
                self._refuse(job)
        for event in (self._work, self._room):
            event.set()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=deadline_s)
        finally:
            late = [task for task in self._tasks if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            self._maker.close(wait=not late)
            left = self._give_back()
        if late:
            _log.warning("%d batches were not done %.1f s after the close; they are abandoned", len(late), deadline_s)
        return left

    def _give_back(self) -> list[str]:
        left = list(self._jobs)
        for job in self._jobs.values():
            self._refuse(job)
        self._jobs.clear()
        self._queue = DueQueue(self._settings.queue_viewers)
        self._idle.set()
        return left

    def _joins_or_drops(self, viewer: str) -> bool:
        if viewer in self._jobs:
            self._counters.joined += 1
            return True
        if self._aside.holds(viewer, self._clock()):
            self._counters.dropped += 1
            return True
        return False

    def _enqueue(self, viewer: str) -> None:
        job = self._jobs[viewer] = Job(viewer, self._clock())
        self._queue.add(job)
        self._work.set()

    def _make_room(self) -> None:
        if self._queue.has_room:
            self._room.set()

    async def _work_on(self) -> None:
        """One worker. An error here is a bug: logged, counted, and the worker goes on after a pause."""
        while not self._closing:
            jobs = self._queue.take(self._clock(), self._settings.batch_viewers)
            try:
                if jobs:
                    self._make_room()
                    await self._run(jobs)
                else:
                    await self._wait_for_work()
            except Exception as error:
                _log.exception("a feed worker met a bug")
                self._counters.crashed += 1
                for job in jobs:
                    if self._jobs.get(job.viewer) is job and job.line is None:
                        self._fail(job, error)
                await asyncio.sleep(self._settings.backoff_s)

    async def _wait_for_work(self) -> None:
        self._work.clear()
        due = self._queue.next_due()
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                await self._work.wait()
        except TimeoutError:
            pass

    async def _run(self, jobs: list[Job]) -> None:
        """Make, store and hand on the feeds of one batch. Nothing is awaited once the first job is concluded."""
        results = await self._maker.results([job.viewer for job in jobs])
        made = [(job.viewer, result) for job, result in zip(jobs, results, strict=True) if isinstance(result, Bulk)]
        taken: list[bool] = []
        unstored: Exception | None = None
        if made:
            try:
                taken = await self._store.put_many(made)
            except Exception as error:
                unstored, made = error, []
        was_taken = {viewer: took for (viewer, _), took in zip(made, taken, strict=True)}
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                self._fail(job, result)
            elif unstored is not None and result is not None:
                self._hand_on_unstored(job, result, unstored)
            else:
                self._finish(job, result, was_taken.get(job.viewer, False))

    def _hand_on_unstored(self, job: Job, bulk: Bulk, error: Exception) -> None:
        """The store failed, not the viewer: who waits gets the feed, memory too, and nobody is set aside for it."""
        if self._sink is not None:
            self._sink.replaced(job.viewer, bulk)
        if job.waiter is not None:
            job.waiter.set_result(bulk)
            job.waiter = None
        self._fail(job, error, viewers_fault=False)

    def _finish(self, job: Job, bulk: Bulk | None, was_taken: bool) -> None:
        if bulk is None:
            self._counters.unknown += 1
        elif was_taken:
            self._counters.generated += 1
            if self._sink is not None:
                self._sink.replaced(job.viewer, bulk)
        else:
            self._counters.refused_older += 1
        if job.waiter is not None:
            job.waiter.set_result(bulk)
        self._forget(job)

    def _fail(self, job: Job, error: Exception, viewers_fault: bool = True) -> None:
        """Another try later, or no more. Readers are told now: they would not wait for the retry."""
        self._counters.failed_attempts += 1
        job.failures += 1
        self._refuse(job, f"the feed of viewer {job.viewer!r} could not be generated: {error}")
        if job.failures < self._settings.attempts:
            delay = retry_delay(job.failures, self._settings.backoff_s, self._settings.backoff_max_s, self._rng)
            self._queue.add_due(job, self._clock() + delay)
            self._work.set()
            return
        what = "set aside" if viewers_fault else "not stored"
        _log.warning("viewer %r is %s after %d failed attempts: %r", job.viewer, what, job.failures, error)
        if viewers_fault:
            self._counters.set_aside += 1
            self._aside.add(job.viewer, self._clock())
        else:
            self._counters.unstored += 1
        self._forget(job)

    def _refuse(self, job: Job, reason: str = "the worker pool is closed") -> None:
        """Raise GenerationFailed in those who wait for the job."""
        waiter, job.waiter = job.waiter, None
        if waiter is not None:
            waiter.set_exception(GenerationFailed(reason))
            waiter.exception()  # seen, even if every reader has given up

    def _forget(self, job: Job) -> None:
        del self._jobs[job.viewer]
        if not self._jobs:
            self._idle.set()
        if self.on_done is not None:
            self.on_done(1)
