"""The epoch gate: the state has one writer, and no batch of generation sees it change.

A phase-fair read-write lock for one event loop: batches share, a fold is alone. A waiting fold goes before batches that
come later, so a steady stream of batches cannot starve it; the batches that waited during a fold go before the next
fold, so folds one after another cannot starve them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class EpochGate:
    """Many batches or one fold at a time. Entering is O(1) when free; a caller who is cancelled leaves nothing behind.

    Not re-entrant: a fold asked for inside a batch of the same task waits for ever.
    """

    __slots__ = ("_batches", "_folding", "_waiting_batches", "_waiting_folds")

    def __init__(self) -> None:
        self._batches = 0
        self._folding = False
        self._waiting_batches: deque[asyncio.Future[None]] = deque()
        self._waiting_folds: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Hold the state as it is: no fold runs inside. Any number at once."""
        await self.enter_batch()
        try:
            yield
        finally:
            self.leave_batch()

    async def enter_batch(self) -> None:
        """The way in of `batch`, for work in a thread, which goes on when the task that began it is cancelled."""
        if self._folding or self._waiting_folds:
            await self._wait(self._waiting_batches, self.leave_batch)
        else:
            self._batches += 1

    def leave_batch(self) -> None:
        """The way out, once for each `enter_batch`, on the loop's thread."""
        self._batches -= 1
        self._pass_on()

    @asynccontextmanager
    async def fold(self) -> AsyncIterator[None]:
        """Be alone with the state. Waits for the batches under way, and for those that waited out the fold before."""
        if self._folding or self._batches:
            await self._wait(self._waiting_folds, self._leave_fold)
        else:
            self._folding = True
        try:
            yield
        finally:
            self._leave_fold()

    async def _wait(self, line: "deque[asyncio.Future[None]]", leave: Callable[[], None]) -> None:
        """Until the place is handed over; it is ours before we wake, so nobody can slip in between."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                if turn in line:
                    line.remove(turn)
                self._pass_on()
            else:  # handed over, then cancelled before it woke
                leave()
            raise

    def _leave_fold(self) -> None:
        self._folding = False
        while self._waiting_batches:
            self._admit_batch()
        self._pass_on()

    def _pass_on(self) -> None:
        """Let in whoever may come now."""
        if self._folding:
            return
        while not self._waiting_folds and self._waiting_batches:
            self._admit_batch()
        while self._waiting_folds and not self._batches and not self._folding:
            turn = self._waiting_folds.popleft()
            if not turn.done():
                self._folding = True
                turn.set_result(None)

    def _admit_batch(self) -> None:
        turn = self._waiting_batches.popleft()
        if not turn.done():
            self._batches += 1
            turn.set_result(None)

    def check(self) -> None:
        """Assert the invariants. For tests. O(waiting)."""
        assert self._batches >= 0
        assert not (self._folding and self._batches), "a fold runs during a batch"
        live_folds = [turn for turn in self._waiting_folds if not turn.done()]
        live_batches = [turn for turn in self._waiting_batches if not turn.done()]
        if not self._folding and not self._batches:
            assert not live_folds, "a fold waits at an open gate"
        if not self._folding and not self._waiting_folds:
            assert not live_batches, "a batch waits at an open gate"
