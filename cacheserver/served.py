"""Writes down what was sent to whom, so that what was served but never seen is known: `serve` events, in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from feedgen.errors import LogError
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.feed.roles import Clock

PENDING_MAX: Final = 20_000
"""Pages held while the log is slow; further ones are not written down, and counted."""
_FLUSH_S: Final = 1.0
_CLOSE_S: Final = 3.0
_BATCH: Final = 5_000

_log = logging.getLogger(__name__)


class ServedLog:
    """Pages sent, on their way to the event log. A page never waits for it."""

    def __init__(self, log: EventLog, clock: Clock, new_id: Callable[[], str]) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._pending: deque[Event] = deque()
        self.dropped = 0

    def note(self, viewer: str, items: Sequence[str], propensities: Sequence[float]) -> None:
        """These posts are sent to the viewer, in this order; of each, how likely it was to stand there. O(items)."""
        if not items:
            return
        if len(self._pending) >= PENDING_MAX:
            if not self.dropped:
                _log.error("the event log is too slow for served pages; some are not written down, and counted")
            self.dropped += 1
            return
        attrs = {"objects": list(items), "propensities": [round(chance, 8) for chance in propensities]}
        self._pending.append(Event(self._new_id(), "serve", self._clock(), viewer, None, attrs))

    async def follow(self) -> None:
        """Write what is pending once a second, until cancelled; what is left then is for `flush`."""
        failed = False
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                await self.flush()
                failed = False
            except LogError as error:
                if not failed:
                    _log.error("served pages cannot be written down, trying again: %s", error)
                failed = True

    async def close(self) -> None:
        """Write what is pending, for `_CLOSE_S` at most; what could not be written is said."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.flush()
        except (LogError, TimeoutError):
            _log.error("%d served pages could not be written down before the stop", len(self._pending))

    async def flush(self) -> None:
        """Write all that is pending. What a failing log did not take stays pending. Raises LogError."""
        while self._pending:
            batch = [self._pending[at] for at in range(min(_BATCH, len(self._pending)))]
            await self._log.append(batch)
            for _ in batch:
                self._pending.popleft()
