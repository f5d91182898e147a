"""One viewer's feed by the compiled kernels, with everything that it was chosen from: what a replay learns and judges.

Pipeline.rank says more of every stage, and takes ten times as long; both choose and order alike, to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedgen.batch import mixing_of
from feedgen.choosing import Chooser
from feedgen.config import Settings
from feedgen.diversity import lead
from feedgen.feed.record import Generation
from feedgen.kernels.mixing import mixed
from feedgen.kernels.scoring import Picked
from feedgen.models.ranker import LineUp, Ranker
from feedgen.ranking.features import FEATURES
from feedgen.selection.context import ViewerContext
from feedgen.state.state import State


@dataclass(frozen=True)
class Shortlist:
    """`posts`: as served. `order`, `scores`: the same before diversity, best first, less what damped ones lose.

    `considered`: every candidate that passed the filters, stage one's best first, so that those of `posts` come before
    all others; `features`: float64 (considered, FEATURES).
    """

    context: ViewerContext
    posts: NDArray[np.int32]
    order: NDArray[np.int32]
    scores: NDArray[np.float64]
    considered: NDArray[np.int32]
    features: NDArray[np.float64]


class Shortlister:
    """Shortlists of viewers given by dense index. Several threads may ask at once, as long as nobody folds."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        ranker: Ranker,
        chooser: Chooser,
        context: Callable[[int, float], ViewerContext],
    ) -> None:
        """`context`: of a viewer at a moment."""
        self._state = state
        self._settings = settings
        self._ranker = ranker
        self._chooser = chooser
        self._context = context

    def make(self, viewer: int, line_up: LineUp, now: float) -> Shortlist:
        """O(candidates + what their features and signals cost)."""
        settings, context, who = self._settings, self._context(viewer, now), np.array([viewer])
        all_of_them = _room(max(settings.selection.fetch_cap, settings.feed.items))
        generation = Generation(context.epoch.watermark, round(now * 1000))
        words = lead(settings.diversity.seed, str(generation))
        with self._chooser as chooser:
            chooser.choose(who, self._ranker.heads(line_up), context.epoch, now, all_of_them)
            every = int(all_of_them.counts[0])
            best = min(every, settings.feed.items)
            parts = {name: part[:, :best] for name, part in all_of_them._asdict().items() if name != "counts"}
            picked = Picked(np.array([best]), **parts)
            posts, features = picked.posts[0], picked.features[0]
            picked.scores[0] = self._ranker.rescored(line_up, context, posts, features, picked.scores[0].copy())
            source, mixing = chooser.source(context.epoch), mixing_of(settings, now)
            ranked, feed = mixed(source, mixing, picked, words, viewer)
        return Shortlist(
            context,
            feed.posts,
            ranked.posts,
            ranked.scores,
            all_of_them.posts[0, :every],
            all_of_them.features[0, :every],
        )


def _room(places: int) -> Picked:
    """For one viewer."""
    shape = (1, places)
    return Picked(
        counts=np.empty(1, np.int64),
        posts=np.empty(shape, np.int32),
        origin=np.empty(shape, np.uint8),
        damped=np.empty(shape, np.bool_),
        scores=np.empty(shape),
        features=np.empty((*shape, len(FEATURES))),
    )
