"""Has feeds generated ahead: asks the scheduler at every tick, and gives the pool whom it names."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from feedgen.config import Settings
from feedgen.feed.record import Bulk, Generation
from feedgen.feed.roles import TRENDING_KEY, Clock, LiveSink
from feedgen.gate import EpochGate
from feedgen.login.foresight import Foresight
from feedgen.offloop import in_thread
from feedgen.worker import WorkerPool

_log = logging.getLogger(__name__)

_FILL_S: Final = 1.0
"""Real seconds between two looks at whether the pool has room for more of what a step named."""


class Dispatcher:
    """Implements roles.NextAccess, and is a LiveSink that stands before another one: it has to know what was made."""

    def __init__(self, foresight: Foresight, gate: EpochGate, clock: Clock, settings: Settings) -> None:
        self.foresight = foresight
        self._gate = gate
        self._clock = clock
        self._tick_s = settings.scheduler.tick_s
        self._queue = settings.worker.queue_viewers
        self.sink: LiveSink | None = None
        self.steps = 0
        self.late_s = 0.0
        """How long after its time the last step was done (real seconds): the pool or the gate lags."""

    async def begin(self, stored: dict[str, Generation]) -> None:
        """Know the stored feeds. O(viewers)."""
        made = {
            viewer: generation.generated_at_ms / 1_000
            for viewer, generation in stored.items()
            if viewer != TRENDING_KEY
        }
        async with self._gate.batch():
            await in_thread(self.foresight.begin, made, self._clock())

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        """roles.LiveSink."""
        if viewer != TRENDING_KEY:
            self.foresight.generated(viewer, bulk.generation.generated_at_ms / 1_000)
        if self.sink is not None:
            self.sink.replaced(viewer, bulk)

    async def soon(self, viewers: Sequence[str], tau_s: float) -> list[float]:
        """roles.NextAccess."""
        async with self._gate.batch():
            return await in_thread(self.foresight.soon, viewers, self._clock(), tau_s)

    async def step(self, pool: WorkerPool) -> None:
        """Give the pool whom it is time for, as many as it has room for."""
        await self._pass_on(pool, self.foresight.step)
        self.steps += 1

    async def fill(self, pool: WorkerPool) -> None:
        """Give the pool more of whom the last step had no room for, as many as it has room for now."""
        await self._pass_on(pool, self.foresight.further)

    async def run(self, pool: WorkerPool) -> None:
        """A step a tick, until cancelled; the first at once. Between two, the pool is filled as it gets room."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.step(pool)
            self.late_s = max(0.0, loop.time() - due)
            due = max(due + self._tick_s, loop.time())
            while self.foresight.left_out and due - loop.time() > _FILL_S:
                await asyncio.sleep(_FILL_S)
                await self.fill(pool)
            await asyncio.sleep(due - loop.time())

    async def _pass_on(self, pool: WorkerPool, choose: Callable[[float, int], list[str]]) -> None:
        room = max(0, self._queue - pool.counters.queued)
        async with self._gate.batch():
            chosen = await in_thread(choose, self._clock(), room)
        for viewer in chosen:
            pool.refresh(viewer)
