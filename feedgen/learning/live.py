"""The stacked model goes on learning in a server: from what is shown to viewers, once it is known what came of it.

What a view (where the log has none: a login) finds is read from the state before the event is folded, so nothing later
is known; what the viewer does within the horizon is noted as it comes; after it, each post is an example.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.events import Event
from feedgen.models.actions import ACTIONS, ENGAGED
from feedgen.models.logistic import Floats
from feedgen.models.model import Model
from feedgen.models.scorers import IdKeys
from feedgen.models.stacking import Stacked, key_of
from feedgen.pipeline import Pipeline
from feedgen.ranking.dataset import ENGAGED as IN_FAVOUR
from feedgen.ranking.inputs import Inputs
from feedgen.state.state import State

_WAITING: Final = 10_000
"""Views whose outcome is awaited, at most: 10 KB each. Past that, views are not learnt from."""


@dataclass(eq=False)
class _Waiting:
    """Posts shown to one viewer, as the trees see them; `happened` by post and head is filled as time goes."""

    known_at: float
    viewer: str
    places: dict[str, int]
    leaves: NDArray[np.uint16]
    hashed: NDArray[np.uint32]
    start: Floats
    counts: Floats
    happened: NDArray[np.bool_]


class LiveLearner:
    """Weights of its own over a model's trees, with the log offset they stand at. One thread at a time."""

    def __init__(self, pipeline: Pipeline, state: State, model: Model, settings: Settings, stacked: Stacked) -> None:
        """`stacked`: where it goes on from; a copy is changed. Raises ModelError for a model without trees."""
        if model.trees is None:
            raise ModelError("this version has no trees to learn on")
        self._pipeline = pipeline
        self._state = state
        self._trees = model.trees
        self._settings = settings
        self._inputs = Inputs(state, settings.ranking)
        self._keys = IdKeys(state)
        self.stacked = Stacked(stacked.z.copy(), stacked.n.copy(), stacked.pace, stacked.offset)
        self._waiting: deque[_Waiting] = deque()
        self._of_viewer: dict[str, list[_Waiting]] = {}
        self._views = bool(state.posts.viewed.by_post.any())
        """Whether the log says what was shown."""
        self.learnt = 0
        """Examples so far."""

    def take(self, batch: Sequence[tuple[int, Event]]) -> bool:
        """Learn from events that are about to be folded, those after `stacked.offset`; whether weights have changed.

        O(events), and some ms for each view that is learnt from: `models.learn_views` of a batch, drawn by id.
        """
        before = self.learnt
        new = [(offset, event) for offset, event in batch if offset > self.stacked.offset]
        self._views = self._views or any(event.type == "view" for _, event in new)
        chosen = self._chosen([event for _, event in new])
        for offset, event in new:
            self._conclude(event.ts)
            if event.id in chosen:
                self._note(event)
            elif event.type in ACTIONS and event.object is not None:
                self._mark(event.actor, event.object, event.type)
            self.stacked.offset = offset
        return self.learnt != before

    def _chosen(self, events: Sequence[Event]) -> set[str]:
        kind = "view" if self._views else "login"
        ids = [event.id for event in events if event.type == kind]
        return set(sorted(ids, key=key_of)[: self._settings.models.learn_views])

    def _note(self, event: Event) -> None:
        """Remember what the viewer is shown, as it is known now."""
        viewer = self._state.users.find(event.actor)
        if viewer is None or len(self._waiting) >= _WAITING:
            return
        feed = self._pipeline.shortlist(viewer, event.ts)
        considered, counts = feed.posts, np.ones(len(feed.posts))
        if event.type == "view":
            known = (self._state.post_ids.find(post) for post in event.attrs["objects"])
            shown = np.isin(considered, [post for post in known if post is not None])
        else:
            rate = self._settings.learning.negative_rate
            shown = np.random.default_rng(key_of(event.id)).random(len(considered)) < rate
            counts /= rate
        if not len(considered):
            return
        rows = self._inputs.matrix(feed.context, considered)
        kept = np.flatnonzero(shown) if event.type == "view" else np.arange(len(considered))
        start, leaves = self._trees.leaves(rows[kept])
        names = [self._state.post_ids.name(post) for post in considered[kept].tolist()]
        waiting = _Waiting(
            event.ts + self._settings.learning.horizon_hours * 3_600.0,
            event.actor,
            {name: place for place, name in enumerate(names)},
            leaves,
            self._keys.of(viewer, considered[kept]).hashed(),
            start,
            np.where(shown[kept], counts[kept], 0.0),
            np.zeros(start.shape, np.bool_),
        )
        self._waiting.append(waiting)
        self._of_viewer.setdefault(event.actor, []).append(waiting)

    def _mark(self, viewer: str, post: str, action: str) -> None:
        heads = self._trees.heads
        for waiting in self._of_viewer.get(viewer, ()):
            place = waiting.places.get(post)
            if place is None:
                continue
            waiting.counts[place] = 1.0  # what was done something with is kept, whatever was drawn
            if action in heads:
                waiting.happened[place, heads.index(action)] = True
            if action in IN_FAVOUR:
                waiting.happened[place, heads.index(ENGAGED)] = True

    def _conclude(self, now: float) -> None:
        """Learn from what has its outcome."""
        while self._waiting and self._waiting[0].known_at <= now:
            done = self._waiting.popleft()
            left = self._of_viewer[done.viewer]
            left.remove(done)
            if not left:
                del self._of_viewer[done.viewer]
            kept = done.counts > 0
            self.stacked.learn(
                done.leaves[kept], done.hashed[kept], done.start[kept], done.happened[kept], done.counts[kept]
            )
            self.learnt += int(kept.sum())
