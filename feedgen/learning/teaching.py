"""From a log to a model: the log played up to a moment, what its logins teach in Parquet parts, and a model fitted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.learning import dataset
from feedgen.learning.dataset import Made
from feedgen.learning.history import History
from feedgen.models.definitions import definitions
from feedgen.models.examples import TopicsOf, examples_of
from feedgen.models.model import Model
from feedgen.models.training import Course, fit, refresh
from feedgen.ranking.dataset import read
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS

_DAY_S: Final = 86_400.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Taught:
    """A model, and what it was made from."""

    model: Model
    made: Made


def teach(
    history: History,
    settings: Settings,
    until: float,
    folder: Path,
    *,
    scorer: str,
    base: Model | None = None,
    processes: int = 1,
    say: Callable[[str], None] = lambda line: None,
    on_rows: Progress = lambda done, of: None,
    on_made: Callable[[Made], None] = lambda made: None,
    on_fit: Callable[[float], None] = lambda share: None,
) -> Taught:
    """A model of what came before `until` (s), with as much as `scorer` needs; its rows stay in `folder`.

    `base`: a model that is moved on by what came since, instead of a new one.

    `say` gets a line about every action that there is too little of, and about rows that are in `folder` already.
    The same history and settings give the same model.
    Raises ModelError where there is too little to learn from, WorkerFailed, OSError.
    """
    if base is not None:
        settings = _since(base, settings, until)
    made = dataset.make(history, settings, until, folder, processes=processes, on_progress=on_rows, say=say)
    on_made(made)
    course = Course(seed=settings.learning.seed, trees=scorer in ("trees", "stacked"), stacked=scorer == "stacked")
    examples = examples_of(read(folder, INPUTS), topics_before(history, until))
    if base is not None:
        return Taught(refresh(base, examples, course), made)
    return Taught(fit(examples, definitions(settings), len(FEATURES), course, say, on_fit), made)


def _since(base: Model, settings: Settings, until: float) -> Settings:
    if until <= base.meta.until:
        raise ModelError("nothing happened since this version was trained")
    days = (until - base.meta.until) / _DAY_S
    return replace(settings, learning=replace(settings.learning, days=days))


def topics_before(history: History, until: float) -> TopicsOf:
    """The topics of each post as they were said last before `until` (s). O(events)."""
    topics: dict[str, Sequence[str]] = {}
    for place in range(history.at(until)):
        event = history.events[place]
        if event.type in ("post", "edit") and event.object is not None and "topics" in event.attrs:
            topics[event.object] = event.attrs["topics"]
    return lambda post: topics.get(post, ())
