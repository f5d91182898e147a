"""From the registry to a line-up: what is promoted, what was before it, and why one of them cannot rank."""

from collections.abc import Callable, Mapping
from typing import Final

from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.models.actions import values_of
from feedgen.models.model import Model
from feedgen.models.ranker import LineUp, Version
from feedgen.models.registry import Registry
from feedgen.models.scorers import StackedScorer, StageTwo, TreesScorer, WideScorer, stage_one

_TRIED: Final = 3
"""Versions of the line of promotions that are looked at: two in good health are enough."""


def version_of(model: Model, settings: Settings, name: str | None = None) -> Version:
    """A model as one that ranks, with as much of it as `models.scorer` wants and it has."""
    values = values_of(settings)
    stage_two: StageTwo = WideScorer(model, values)
    if settings.models.scorer == "stacked" and model.stacked is not None:
        stage_two = StackedScorer(model, values)
    elif settings.models.scorer in ("trees", "stacked") and model.trees is not None:
        stage_two = TreesScorer(model, values)
    return Version(name or model.name, stage_one(model, values), stage_two)


class Liner:
    """Lines up what the registry has promoted, reading what has changed only."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        definitions: Callable[[], Mapping[str, str]],
        say: Callable[[str], None],
    ) -> None:
        """`definitions`: of the inputs there are, asked for when there is a version.

        `say`: told once of each version that cannot rank, and why.
        """
        self._registry = registry
        self._settings = settings
        self._definitions = definitions
        self._say = say
        self._promoted: tuple[str, ...] = ()
        self._refused: set[str] = set()
        self._unknown = False
        self.models: dict[str, Model] = {}
        """Those in the line-up."""

    def look(self) -> LineUp | None:
        """The line-up, if what is promoted has changed since the last look; else None. One small read, else a load."""
        if self._settings.models.scorer == "formula":
            return None
        try:
            promoted = self._registry.promoted()
        except ModelError as error:
            self._refuse(str(error))
            unknown, self._unknown = not self._unknown and not self.models, True
            return LineUp(missing=True) if unknown else None
        self._unknown = False
        if promoted == self._promoted:
            return None
        self._promoted = promoted
        wanted = list(dict.fromkeys(reversed(promoted)))[:_TRIED]
        found: dict[str, Model] = {}
        for name in wanted:
            if len(found) == 2:
                break
            try:
                found[name] = self.models.get(name) or self._registry.load(name, self._definitions())
            except ModelError as error:
                self._refuse(f"model {error}")
        self.models = found
        versions = tuple(version_of(model, self._settings, name) for name, model in found.items())
        return LineUp(versions, missing=bool(wanted) and wanted[0] not in found)

    def _refuse(self, reason: str) -> None:
        if reason not in self._refused:
            self._refused.add(reason)
            self._say(reason)
