"""Batches of feeds made in threads, the epoch gate held as long as the thread runs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from feedgen.feed.record import Bulk
from feedgen.gate import EpochGate

Make = Callable[[Sequence[str]], Sequence[Bulk | Exception | None]]
"""Makes the feeds of some viewers: one result each, in order; None for a viewer never seen. Synchronous and pure."""

_log = logging.getLogger(__name__)


class ThreadedMaker:
    """`make` for an event loop; up to `threads` batches at once."""

    def __init__(self, make: Make, gate: EpochGate, threads: int, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._make = make
        self._gate = gate
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="generate")
        self.batches = 0
        self.seconds = 0.0

    async def results(self, viewers: Sequence[str]) -> list[Bulk | Exception | None]:
        """One result per viewer. If the batch as a whole fails, each is tried alone: one must not sink the others."""
        try:
            return await self._batch(viewers)
        except Exception as error:
            if len(viewers) == 1:
                return [error]
            _log.warning("a batch of %d viewers failed and is tried one by one: %r", len(viewers), error)
        return [(await self.results([viewer]))[0] for viewer in viewers]

    async def _batch(self, viewers: Sequence[str]) -> list[Bulk | Exception | None]:
        """The thread holds the gate, not the calling task: if that is cancelled, the thread still runs."""
        await self._gate.enter_batch()
        started = self._clock()
        try:
            making = asyncio.get_running_loop().run_in_executor(self._threads, self._make, viewers)
        except BaseException:
            self._gate.leave_batch()
            raise
        making.add_done_callback(lambda _: self._gate.leave_batch())
        try:
            results = list(await asyncio.shield(making))
        finally:
            self.batches += 1
            self.seconds += self._clock() - started
        if len(results) != len(viewers):
            raise ValueError(f"make returned {len(results)} results for {len(viewers)} viewers")
        return results

    def close(self, *, wait: bool) -> None:
        """Let the threads go. `wait` blocks until they end; only for when none of them has work."""
        self._threads.shutdown(wait=wait, cancel_futures=True)
