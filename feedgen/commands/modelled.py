"""A pipeline with the models of its data folder: lined up at the start, and anew with a promotion; taught meanwhile."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from feedgen.commands.compiling import announced
from feedgen.commands.modelling import registry_of
from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.events import Event
from feedgen.learning.live import LiveLearner
from feedgen.models.actions import values_of
from feedgen.models.definitions import definitions
from feedgen.models.lining import Liner
from feedgen.models.ranker import LineUp
from feedgen.models.scorers import StackedScorer
from feedgen.models.warming import warm
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline
from feedgen.state.state import State


class Modelled:
    """Keeps `pipeline` ranked by what the registry says, and by what is learnt from the log as it comes."""

    def __init__(
        self, settings: Settings, data_dir: Path, pipeline: Pipeline, state: State, say: Callable[[str], None]
    ) -> None:
        """`say`: told in one line of each change, and of each version that cannot rank."""
        self._settings = settings
        self._registry = registry_of(data_dir)
        self._liner = Liner(self._registry, settings, lambda: definitions(settings), self._said)
        self._pipeline = pipeline
        self._state = state
        self._say = say
        self._turn = threading.Lock()  # between who learns and who looks
        self._learner: LiveLearner | None = None
        self._published = 0
        self._saved = 0
        self._saved_at = time.monotonic()
        self.until = 0.0
        """Up to when the version that ranks has learnt (s); 0 for the formula."""

    @property
    def learnt(self) -> int:
        """Examples that the version that ranks has learnt from since it was taken up."""
        return 0 if self._learner is None else self._learner.learnt

    @property
    def offset(self) -> int:
        """Log offset at which its weights stand; 0 where nothing is learnt."""
        return 0 if self._learner is None else self._learner.stacked.offset

    def look(self) -> None:
        """One small read; where another version is promoted, it is read and ranks in the batches that begin then."""
        line_up = self._liner.look()
        if line_up is None:
            return
        if line_up.versions:
            announced(warm, "the models")
        with self._turn:
            self.save()
            self._learner = self._learner_of(line_up)
            self._published = self._saved = 0
            self._pipeline.ranker.line_up = line_up
            self._publish()
        if not line_up.versions:
            self.until = 0.0
            self._said("no model ranks: the configured formula does")
            return
        first = line_up.versions[0].name
        self.until = self._liner.models[first].meta.until
        self._said(f"model {first} ranks")

    def learn(self, batch: Sequence[tuple[int, Event]]) -> None:
        """keeper.Observer: teach the version that ranks, if it has anything that learns."""
        with self._turn:
            if self._learner is not None:
                self._learner.take(batch)

    async def follow(self, poll_s: float) -> None:
        """Every `poll_s` look, in a thread, and rank by what was learnt since; until cancelled."""
        while True:
            await asyncio.sleep(poll_s)
            await in_thread(self._step)

    def _step(self) -> None:
        self.look()
        with self._turn:
            if self._learner is not None and self._learner.learnt > self._published:
                self._publish()
            if time.monotonic() - self._saved_at > self._settings.models.save_s:
                self.save()

    def save(self) -> None:
        """Keep what was learnt since the last time. A copy that cannot be written is said, and tried again."""
        learner, line_up = self._learner, self._pipeline.ranker.line_up
        self._saved_at = time.monotonic()
        if learner is None or learner.learnt == self._saved:
            return
        try:
            self._registry.put_stacked(line_up.versions[0].name, learner.stacked)
            self._saved = learner.learnt
        except ModelError as error:
            self._said(str(error))

    def _learner_of(self, line_up: LineUp) -> LiveLearner | None:
        if not line_up.versions or not self._settings.models.learn_views:
            return None
        version = line_up.versions[0]
        model = self._liner.models[version.name]
        if model.stacked is None or not isinstance(version.stage_two, StackedScorer):
            return None
        stacked = None
        try:
            stacked = self._registry.stacked(version.name)
        except ModelError as error:
            self._said(f"{error}; it goes on from what the version was trained to")
        learner = LiveLearner(self._pipeline, self._state, model, self._settings, stacked or model.stacked)
        learner.stacked.offset = max(learner.stacked.offset, self._state.watermark)  # what was folded is past
        return learner

    def _publish(self) -> None:
        """Weights of their own for the batches that begin now: one batch is of one model."""
        if self._learner is None:
            return
        line_up = self._pipeline.ranker.line_up
        version = line_up.versions[0]
        scorer = StackedScorer(self._liner.models[version.name], values_of(self._settings), self._learner.stacked)
        versions = (replace(version, stage_two=scorer), *line_up.versions[1:])
        self._pipeline.ranker.line_up = replace(line_up, versions=versions)
        self._published = self._learner.learnt

    def _said(self, line: str) -> None:
        self._say(f"feedgen: {line}")
