"""Which model ranks, and what stands in for it: the version before, then the configured formula."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.models.logistic import Floats
from feedgen.models.scorers import IdKeys, Ids, StageTwo
from feedgen.ranking.features import FEATURES
from feedgen.ranking.heads import Heads, configured
from feedgen.ranking.inputs import INPUTS
from feedgen.ranking.scorers import finite_or_last
from feedgen.ranking.signals import Signals
from feedgen.selection.context import ViewerContext
from feedgen.state.state import State

_log = logging.getLogger(__name__)

REASONS: Final = ("missing", "raised", "late", "not_finite")
STANDS_IN: Final = ("previous", "formula")


@dataclass(frozen=True)
class Version:
    """A model that may rank: its name, stage one, and stage two where there is one."""

    name: str
    heads: Heads
    stage_two: StageTwo | None


@dataclass(frozen=True)
class LineUp:
    """Who ranks, the first first; empty: the formula. `missing`: a version should be first, but cannot be read."""

    versions: tuple[Version, ...] = ()
    missing: bool = False

    @property
    def staged(self) -> bool:
        """Whether `Ranker.rescored` has something to do after stage one, if only to count."""
        return self.missing or any(version.stage_two is not None for version in self.versions[:1])


class Ranker:
    """Scores what stage one has picked. Threads share it; a batch takes the line-up once, and so is of one model."""

    def __init__(self, settings: Settings, state: State, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds, for deadlines."""
        self._settings = settings.models
        self.formula: Heads = configured(settings.ranking)
        """What ranks where no model does."""
        self._signals = Signals(state, settings.ranking)
        self._keys = IdKeys(state)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._aside_until: dict[str, float] = {}
        self._late: Counter[str] = Counter()
        self.line_up = LineUp()
        """Whoever puts another here changes the batches that begin after it."""
        names = [f"failed_{reason}" for reason in REASONS] + [f"by_{stand_in}" for stand_in in STANDS_IN]
        self.counted: Counter[str] = Counter(dict.fromkeys(names, 0))
        """Viewers by why the first version did not rank them, and by what did instead, since the start."""

    def heads(self, line_up: LineUp) -> Heads:
        """Stage one of the first version, else the formula."""
        return line_up.versions[0].heads if line_up.versions else self.formula

    def rescored(
        self,
        line_up: LineUp,
        context: ViewerContext,
        posts: NDArray[np.int32],
        features: NDArray[np.float64],
        scores: Floats,
    ) -> Floats:
        """Scores of the picked `posts`, given those of stage one; finite. Copies, or `scores` as they are.

        `features`: of the posts, shape (posts, FEATURES). Each version gets its try; the formula has the last word.
        """
        if line_up.missing:
            self._count("failed_missing")
        if not line_up.versions or line_up.versions[0].stage_two is None:
            if line_up.missing:
                self._count("by_previous" if line_up.versions else "by_formula")
            return scores
        rows: NDArray[np.float32] | None = None
        for place, version in enumerate(line_up.versions):
            if version.stage_two is None or self._is_aside(version.name):
                continue
            try:
                began = self._monotonic()
                if rows is None:
                    rows = self._rows(context, posts, features)
                ids = self._keys.of(context.viewer, posts) if version.stage_two.needs_ids else None
                found = self._tried(version, version.stage_two, rows, ids, began)
            except Exception as error:
                self._failed(version.name, "raised", error)
                continue
            if found is not None:
                if place or line_up.missing:
                    self._count("by_previous")
                return found
        self._count("by_formula")
        return finite_or_last(self.formula.score(features))

    def _rows(
        self, context: ViewerContext, posts: NDArray[np.int32], features: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        columns = np.empty((len(INPUTS), len(posts)), np.float32)
        columns[: len(FEATURES)] = features.T
        self._signals.fill(context, posts, columns, len(FEATURES))
        return columns.T

    def _tried(
        self, version: Version, stage_two: StageTwo, rows: NDArray[np.float32], ids: Ids | None, began: float
    ) -> Floats | None:
        """What the version says, if that is of use. A kernel cannot be stopped: what is late is thrown away."""
        found = stage_two.score(rows, ids)
        if found.shape != (len(rows),) or not np.isfinite(found).all():
            self._failed(version.name, "not_finite", None)
            return None
        if self._monotonic() - began <= self._settings.deadline_ms / 1000:
            self._late[version.name] = 0
            return found
        self._failed(version.name, "late", None)
        self._late[version.name] += 1
        if self._late[version.name] >= self._settings.late_in_a_row:
            self._aside_until[version.name] = self._monotonic() + self._settings.aside_s
            self._late[version.name] = 0
        return None

    def _is_aside(self, name: str) -> bool:
        """Whether the version was late so often that it is left alone for a while; counted as late."""
        if self._monotonic() < self._aside_until.get(name, -np.inf):
            self._count("failed_late")
            return True
        return False

    def _failed(self, name: str, reason: str, error: Exception | None) -> None:
        key = f"failed_{reason}"
        if not self.counted[key]:  # the counter tells how often; the log, that it happens
            _log.error("model %s: %s for a viewer; another ranks in its place", name, reason, exc_info=error)
        self._count(key)

    def _count(self, name: str) -> None:
        with self._lock:
            self.counted[name] += 1
