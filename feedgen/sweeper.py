"""Keeps the feeds of active viewers fresh: a plain rule, in the place where a login-time predictor will decide."""

import asyncio
import logging
from typing import Final

from feedgen.config import Cache, Worker
from feedgen.errors import ForefeedError
from feedgen.feed.record import Bulk, Generation
from feedgen.feed.roles import TRENDING_KEY, Clock, FeedStore, LiveSink
from feedgen.gate import EpochGate
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from feedgen.worker import WorkerPool

_log = logging.getLogger(__name__)
_DAY_S = 86_400.0
SKEW_S: Final = 60.0
"""How far the clocks of two machines that share a store may be apart."""


class Sweeper:
    """Every `sweep_s`: the trending feed anew, and to the pool whoever was active lately and has no fresh feed.

    Also a LiveSink that stands before another one, because what was generated when is what it has to know.
    """

    def __init__(
        self,
        state: State,
        pipeline: Pipeline,
        gate: EpochGate,
        store: FeedStore,
        clock: Clock,
        worker: Worker,
        cache: Cache,
    ) -> None:
        self._state = state
        self._pipeline = pipeline
        self._gate = gate
        self._store = store
        self._clock = clock
        self._active_s = worker.active_days * _DAY_S
        # A sweep before they go stale: what happened shows within fresh_s, not within fresh_s and a sweep.
        self._due_ms = max(0.0, cache.fresh_s - worker.sweep_s) * 1000
        self._sweep_s = worker.sweep_s
        self._generations: dict[str, Generation] = {}
        self.sink: LiveSink | None = None

    async def load(self) -> None:
        """What the store holds already. O(stored feeds). Raises StoreError."""
        self._generations = await self._store.generations()

    async def drop_ahead(self, head: int) -> int:
        """Drop the stored feeds that know more than can be known now; says how many. About 0.3 ms each.

        They were made at a time that has not come yet (an earlier run with another `--now`), or from a log that went
        further than `head`. Kept, they would be served as fresh, and nothing made now would be newer.

        Raises StoreError.
        """
        latest_ms = (self._clock() + SKEW_S) * 1000
        ahead = [
            viewer
            for viewer, made in self._generations.items()
            if made.watermark > head or made.generated_at_ms > latest_ms
        ]
        for viewer in ahead:
            await self._store.delete(viewer)
            del self._generations[viewer]
        return len(ahead)

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        """roles.LiveSink."""
        self._generations[viewer] = bulk.generation
        if self.sink is not None:
            self.sink.replaced(viewer, bulk)

    async def write_trending(self) -> None:
        """Generate and store the feed of viewers nobody knows. Raises StoreError."""
        async with self._gate.batch():
            bulk = await in_thread(self._pipeline.trending, self._clock())
        if all(await self._store.put_many([(TRENDING_KEY, bulk)])):
            self.replaced(TRENDING_KEY, bulk)

    def due(self) -> list[str]:
        """Active viewers without a fresh feed, those active last first. O(viewers log viewers)."""
        now = self._clock()
        stale_before = now * 1000 - self._due_ms
        never = Generation(0, 0)
        return [
            name
            for name in self.by_last_activity(now - self._active_s)
            if self._generations.get(name, never).generated_at_ms <= stale_before
        ]

    def by_last_activity(self, since: float = 0.0) -> list[str]:
        """Who did anything since then (s), the latest first, ties by id. O(viewers log viewers)."""
        last, name = self._state.logins.last_active, self._state.users.name
        active = self._state.logins.active_since(since).tolist()
        return [name(viewer) for viewer in sorted(active, key=lambda viewer: (-last(viewer), name(viewer)))]

    async def run(self, pool: WorkerPool) -> None:
        """Sweep until cancelled. Submitting waits while the pool is full, so a sweep never outruns the workers."""
        while True:
            try:
                await self.write_trending()
                async with self._gate.batch():
                    due = await in_thread(self.due)  # 2 µs a viewer: on the loop, every reader would wait for it
                for viewer in due:
                    await pool.submit(viewer)
            except ForefeedError as error:
                _log.error("a sweep failed and is tried again in %s s: %s", self._sweep_s, error)
            await asyncio.sleep(self._sweep_s)
