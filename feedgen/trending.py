"""Keeps the shared trending feed fresh: what viewers get whom nobody knows."""

import asyncio
import logging

from feedgen.errors import ForefeedError
from feedgen.feed.roles import TRENDING_KEY, Clock, FeedStore, LiveSink
from feedgen.gate import EpochGate
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline

_log = logging.getLogger(__name__)


class Trending:
    """Generates the feed, stores it, and hands it to the sink."""

    def __init__(self, pipeline: Pipeline, gate: EpochGate, store: FeedStore, clock: Clock, sink: LiveSink) -> None:
        self._pipeline = pipeline
        self._gate = gate
        self._store = store
        self._clock = clock
        self._sink = sink

    async def write(self) -> None:
        """Once, now. Raises StoreError."""
        async with self._gate.batch():
            bulk = await in_thread(self._pipeline.trending, self._clock())
        if all(await self._store.put_many([(TRENDING_KEY, bulk)])):
            self._sink.replaced(TRENDING_KEY, bulk)

    async def run(self, every_s: float) -> None:
        """Every `every_s` (real seconds), until cancelled; the first time at once."""
        while True:
            try:
                await self.write()
            except ForefeedError as error:
                _log.error("the trending feed was not written, tried again in %s s: %s", every_s, error)
            await asyncio.sleep(every_s)
