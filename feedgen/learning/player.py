"""Plays a log through state and pipeline, and stops at logins: what is known there is what came up to that login."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from feedgen.config import Settings
from feedgen.learning.history import History
from feedgen.pipeline import Pipeline
from feedgen.ranking.inputs import Inputs
from feedgen.state.state import State


@dataclass(frozen=True)
class Login:
    """One login: `place` in the history, `viewer` by dense index and by name, and when (s)."""

    place: int
    viewer: int
    name: str
    ts: float


class Player:
    """State and pipeline as they serve, in the past. One writer: what it made is read before it goes on."""

    def __init__(self, history: History, settings: Settings) -> None:
        self.history = history
        self.state = State(settings.state, settings.ranking)
        self.state.presence.heeded = False
        self.pipeline = Pipeline(self.state, settings)
        self.inputs = Inputs(self.state, settings.ranking)

    def stops(self, places: Sequence[int]) -> Iterator[Login]:
        """Stop after each of these logins, in ascending order, the state holding all up to it and nothing later.

        A watermark counts the events before: the same however the log goes on. O(events) in all.
        """
        for place in places:
            done = self.state.watermark
            self.state.fold(enumerate(self.history.events[done : place + 1], start=done + 1))
            event = self.history.events[place]
            viewer = self.state.users.intern(event.actor)
            yield Login(place, viewer, event.actor, event.ts)
