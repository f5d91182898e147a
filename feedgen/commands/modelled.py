"""A pipeline with the models of its data folder: lined up at the start, and again when another is promoted."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from feedgen.commands.modelling import registry_of
from feedgen.config import Settings
from feedgen.models.definitions import definitions
from feedgen.models.lining import Liner
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline


class Modelled:
    """Keeps `pipeline` ranked by what the registry says."""

    def __init__(self, settings: Settings, data_dir: Path, pipeline: Pipeline, say: Callable[[str], None]) -> None:
        """`say`: told in one line of each change, and of each version that cannot rank."""
        self._liner = Liner(registry_of(data_dir), settings, lambda: definitions(settings), self._said)
        self._pipeline = pipeline
        self._say = say
        self.until = 0.0
        """Up to when the version that ranks has learnt (s); 0 for the formula."""

    def look(self) -> None:
        """One small read; where another version is promoted, it is read and ranks in the batches that begin then."""
        line_up = self._liner.look()
        if line_up is None:
            return
        self._pipeline.ranker.line_up = line_up
        if not line_up.versions:
            self.until = 0.0
            self._said("no model ranks: the configured formula does")
            return
        first = line_up.versions[0].name
        self.until = self._liner.models[first].meta.until
        self._said(f"model {first} ranks")

    async def follow(self, poll_s: float) -> None:
        """Look every `poll_s`, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(poll_s)
            await in_thread(self.look)

    def _said(self, line: str) -> None:
        self._say(f"feedgen: {line}")
