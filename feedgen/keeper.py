"""The one writer of state: follows the event log and folds what is new, between batches of generation."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from feedgen.errors import LogError
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.feed.removals import RemovalIndex
from feedgen.gate import EpochGate
from feedgen.offloop import in_thread
from feedgen.state.state import State

_log = logging.getLogger(__name__)
Observer = Callable[[Sequence[tuple[int, Event]]], None]


class StateKeeper:
    """Owns `state` and `removals`, and follows the log from the state's watermark on.

    Whoever reads the state does so through the gate.
    """

    def __init__(
        self, log: EventLog, state: State, removals: RemovalIndex, gate: EpochGate, batch_events: int, poll_s: float
    ) -> None:
        self._log = log
        self._state = state
        self._removals = removals
        self._gate = gate
        self._batch_events = batch_events
        self._poll_s = poll_s
        self._whole_to: int | None = None
        self._still = asyncio.Lock()
        self.folded = 0
        self.latest_ts = 0.0
        """The greatest ts of all that is folded (s)."""
        self.observer: Observer | None = None
        """Shown each batch before `follow` folds it, in a thread; the state does not change meanwhile."""
        self.current = True
        """Whether the last look at the log went well. False for good once `follow` has ended."""

    @property
    def whole_to(self) -> int:
        """Log offset up to which no event was passed over: the state's watermark, unless `catch_up` had to stop short.

        Removals behind it may be among those passed over, so a feed must not claim to know them.
        """
        return self._state.watermark if self._whole_to is None else self._whole_to

    async def catch_up(self, until_ts: float | None, on_progress: Callable[[int], None]) -> None:
        """Fold the log as it is now, only events with ts ≤ `until_ts` if given (s). About 10 µs an event.

        What the state holds already must not be later than `until_ts`. `on_progress` gets the number of events folded
        with each batch. Raises LogError.
        """
        head, known = await self._log.head(), self._state.watermark
        while self._state.watermark < head and (count := await self._fold_next(until_ts)):
            on_progress(count)
        async with self._gate.fold():  # what `until_ts` passed over counts as read
            self._state.watermark = max(self._state.watermark, head)
        if until_ts is not None:
            first = await self._log.first_later(until_ts, known, self._state.watermark)
            self._whole_to = None if first is None else first - 1
        self._removals.advance(max(self._removals.head, head))

    async def follow(self) -> None:
        """Fold new events as they come, until cancelled. A log that cannot be read is tried again at the next look."""
        try:
            while True:
                try:
                    while await self._fold_next(None):
                        pass
                    self.current = True
                except LogError as error:
                    if self.current:
                        _log.error("the event log cannot be read, trying again every %s s: %s", self._poll_s, error)
                    self.current = False
                await asyncio.sleep(self._poll_s)
        finally:
            self.current = False

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Nothing is folded meanwhile, while batches of generation come and go: for who copies the state."""
        async with self._still:
            yield

    async def _fold_next(self, until_ts: float | None) -> int:
        batch = await self._log.read(self._state.watermark, self._batch_events, until_ts)
        if batch:
            async with self._still:
                self._fold_removals(batch)
                if self.observer is not None:
                    await self._observed(self.observer, batch)
                async with self._gate.fold():
                    await in_thread(self._state.fold, batch)
            self.folded += len(batch)
            self.latest_ts = max(self.latest_ts, max(event.ts for _, event in batch))
        return len(batch)

    async def _observed(self, observer: Observer, batch: Sequence[tuple[int, Event]]) -> None:
        """Shown to the observer before it is folded, the state as it is; what fails there is logged, and folds."""
        async with self._gate.batch():
            try:
                await in_thread(observer, batch)
            except Exception:
                _log.exception("what watches the log failed, and is not asked again")
                self.observer = None

    def _fold_removals(self, batch: Sequence[tuple[int, Event]]) -> None:
        """Before the state and on the loop: a reader must never see a feed that is ahead of them.

        A batch that comes again, because the wait for the gate was cancelled, is passed over.
        """
        for offset, event in batch:
            if offset > self._removals.head:
                self._removals.fold(offset, event)
        self._removals.advance(max(self._removals.head, batch[-1][0]))
