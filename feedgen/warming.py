"""Has all that generation and folding run compiled, or read from where it is kept, before anything waits for it."""

from typing import Final

from feedgen.config import Settings
from feedgen.models.ranker import LineUp
from feedgen.pipeline import Pipeline
from feedgen.state import warming
from feedgen.state.state import State

_NOW: Final = 1.0


def warm() -> None:
    """A minute or two the first time, then a second. Before the first request, so that none waits for it.

    What only a model that was learnt runs is models/warming.py's.
    """
    settings = Settings()
    state = State(settings.state, settings.ranking)
    warming.warm(state)
    pipeline = Pipeline(state, settings)
    for line_up in (LineUp(), LineUp(missing=True)):  # one stage, and two
        pipeline.ranker.line_up = line_up
        (made,) = pipeline.generate([state.users.name(0)], _NOW)
        if isinstance(made, Exception):
            raise made
        pipeline.shortlist(0, _NOW)
