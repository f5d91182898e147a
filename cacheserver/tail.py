"""Follows the event log for removals, so that what was deleted elsewhere is not shown here."""

import asyncio
import logging

from feedgen.config import Settings
from feedgen.errors import BadEvent, LogError
from feedgen.eventlog import EventLog
from feedgen.feed.removals import RemovalIndex

_log = logging.getLogger(__name__)


class RemovalTail:
    """Keeps `removals` at most `worker.fold_poll_s` behind the log."""

    def __init__(self, log: EventLog, removals: RemovalIndex, settings: Settings) -> None:
        self._log = log
        self._removals = removals
        self._batch_events = settings.log.batch_events
        self._poll_s = settings.worker.fold_poll_s
        self.current = False
        """Whether the last look at the log went well. False for good once `follow` has ended."""

    async def catch_up(self) -> None:
        """Fold everything the log holds behind `removals.head`. Raises LogError. About 5 s per million events."""
        while batch := await self._log.read(self._removals.head, self._batch_events):
            for offset, event in batch:
                self._removals.fold(offset, event)
            self._removals.advance(batch[-1][0])
        self.current = True

    async def follow(self) -> None:
        """Catch up for ever; cancel to stop. A log that cannot be read makes `current` false until it can be again."""
        try:
            while True:
                await asyncio.sleep(self._poll_s)
                try:
                    await self.catch_up()
                except (LogError, BadEvent) as error:
                    if self.current:
                        _log.error("removals are not followed: %s", error)
                    self.current = False
        finally:
            self.current = False
