"""`loadtest signals`: what the signals of one viewer's best candidates cost, and what trees make of them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from feedgen.config import Settings
from feedgen.learning.replay import ranking_by
from feedgen.pipeline import Pipeline
from feedgen.ranking.likeness import likeness
from feedgen.ranking.signals import NAMES, Signals
from feedgen.shortlist import Shortlist
from feedgen.state.state import State
from loadtest.crowd import NOW, deeds_into, draw, follows_into, people_into, posts_into
from loadtest.staged import rank_by_trees

VIEWERS: Final = 64
"""Measured, one after the other."""
_ROUNDS: Final = 5
_SEED: Final = 1


def measure(viewers: int, followees: int, posts_each: float) -> dict[str, Any]:
    """Microseconds of processor time a viewer, the least of some rounds. Raises ModelError without LightGBM."""
    crowd = draw(viewers, followees, posts_each, likes_each=5, seen_each=100, seed=_SEED)
    settings = ranking_by(Settings(), "trees")  # no deadline: a feed that is late would be measured without its trees
    state = State(settings.state, settings.ranking)
    for into in (people_into, posts_into, follows_into, deeds_into):
        into(state, crowd)
    pipeline = Pipeline(state, settings)
    feeds = [pipeline.shortlist(who, NOW) for who in range(0, viewers, max(1, viewers // VIEWERS))]
    signals = Signals(state, settings.ranking)
    parts: dict[str, Callable[[Shortlist], object]] = {
        "signals": lambda feed: signals.matrix(feed.context, feed.posts),
        "likeness": lambda feed: likeness(state, feed.context, feed.posts),
    }
    answer: dict[str, Any] = {
        "viewers": len(feeds),
        "posts": float(np.mean([len(feed.posts) for feed in feeds])),
        "authors": float(np.mean([len(np.unique(state.posts.author[feed.posts])) for feed in feeds])),
        "signals_of_each": len(NAMES),
        "us": {name: _us(part, feeds) for name, part in parts.items()},
    }
    plain = _us_a_feed(pipeline, feeds, state)
    answer["trees"] = rank_by_trees(pipeline, state, settings, _SEED)
    answer["us"] |= {"feed_one_stage": plain, "feed_two_stages": _us_a_feed(pipeline, feeds, state)}
    return answer


def _us_a_feed(pipeline: Pipeline, feeds: Sequence[Shortlist], state: State) -> float:
    names = [state.users.name(feed.context.viewer) for feed in feeds]
    return round(_least(lambda: pipeline.generate(names, NOW)) / len(names) * 1e6, 1)


def _us(part: Callable[[Shortlist], object], feeds: Sequence[Shortlist]) -> float:
    return round(_least(lambda: [part(feed) for feed in feeds]) / len(feeds) * 1e6, 1)


def _least(work: Callable[[], object]) -> float:
    """Seconds of processor time of the quickest round, after one that compiles."""
    work()
    found = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)
