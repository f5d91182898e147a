"""One viewer's feed by the compiled kernels, with everything that it was chosen from: what a replay learns and judges.

Pipeline.rank says more of every stage, and takes ten times as long; both choose and order alike, to the bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedgen.batch import mixing_of
from feedgen.choosing import Chooser, empty_picked
from feedgen.config import Settings
from feedgen.diversity import lead
from feedgen.feed.record import Generation
from feedgen.kernels.mixing import mixed
from feedgen.kernels.scoring import Picked
from feedgen.models.ranker import LineUp, Ranker
from feedgen.selection.context import ViewerContext


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


def shortlist_of(
    context: ViewerContext, settings: Settings, ranker: Ranker, chooser: Chooser, line_up: LineUp
) -> Shortlist:
    """Of the viewer and the moment of `context`. O(candidates + what their features and signals cost)."""
    viewer, now, epoch = context.viewer, context.now, context.epoch
    places = max(settings.selection.fetch_cap, settings.feed.items)
    all_of_them = empty_picked(1, places, 1)
    words = lead(settings.diversity.seed, str(Generation(epoch.watermark, round(now * 1000))))
    with chooser:
        chooser.choose(np.array([viewer]), ranker.heads(line_up), epoch, now, all_of_them)
        every = int(all_of_them.counts[0])
        best = min(every, settings.feed.items)
        parts = {name: part[:, :best] for name, part in all_of_them._asdict().items() if name != "counts"}
        picked = Picked(np.array([best]), **parts)
        posts, features = picked.posts[0], picked.features[0]
        picked.scores[0] = ranker.rescored(line_up, context, posts, features, picked.scores[0].copy())
        ranked, feed = mixed(chooser.source(epoch), mixing_of(settings, now), picked, words, viewer)
    return Shortlist(
        context,
        feed.posts,
        ranked.posts,
        ranked.scores,
        all_of_them.posts[0, :every],
        all_of_them.features[0, :every],
    )
