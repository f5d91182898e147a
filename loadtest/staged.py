"""A version of full size for the crowd that generation is measured on: every action with all the trees it may have."""

from typing import Final

import numpy as np

from feedgen.config import Settings
from feedgen.models.actions import ACTIONS, ENGAGED
from feedgen.models.boosting import Growth, boosted, with_shared
from feedgen.models.definitions import definitions
from feedgen.models.forests import Forests, Rows, forests_of, tidy
from feedgen.models.lining import version_of
from feedgen.models.logistic import sigmoid
from feedgen.models.model import Lines, Meta, Model
from feedgen.models.ranker import LineUp
from feedgen.models.wide import levelled
from feedgen.pipeline import Pipeline
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS, Inputs
from feedgen.state.state import State
from loadtest.crowd import NOW

_VIEWERS: Final = 100
_POSTS: Final = 100
"""Of each viewer, drawn: what the trees are grown on. They have the shape of real ones; what they foresee is no use."""


def rank_by_trees(pipeline: Pipeline, state: State, settings: Settings, seed: int) -> int:
    """Have `pipeline` rank in two stages; how many trees there are. Raises ModelError without LightGBM."""
    rng = np.random.default_rng(seed)
    rows = _rows(pipeline, state, settings, rng)
    heads = (ENGAGED, *ACTIONS)
    forests = _forests(heads, rows, rng)
    lines = Lines(heads, rng.normal(size=(len(heads), len(FEATURES))) / 10, np.full(len(heads), -3.0))
    wide = Lines(heads, rng.normal(size=(len(heads), len(INPUTS))) / 50, np.full(len(heads), -3.0))
    meta = Meta(definitions(settings), len(FEATURES), ACTIONS, {}, 0.0, NOW, len(rows), seed, {})
    pipeline.ranker.line_up = LineUp((version_of(Model(meta, lines, wide, forests), settings),))
    return len(forests.trees.leaf)


def _rows(pipeline: Pipeline, state: State, settings: Settings, rng: np.random.Generator) -> Rows:
    inputs, found = Inputs(state, settings.ranking), []
    for viewer in rng.integers(0, len(state.users), _VIEWERS).tolist():
        ranked = pipeline.rank(viewer, NOW)
        matrix = inputs.matrix(ranked.context, ranked.posts)
        found.append(matrix[rng.permutation(len(matrix))[:_POSTS]])
    return np.concatenate(found)


def _forests(heads: tuple[str, ...], rows: Rows, rng: np.random.Generator) -> Forests:
    growth, dumps = Growth(), {}
    level = levelled(rows).astype(np.float64)
    alike, rows = np.clip((level - level.mean(0)) / np.maximum(level.std(0), 1e-6), -3, 3), tidy(rows)
    for head in heads:
        happened = rng.random(len(rows)) < sigmoid(alike @ rng.normal(size=alike.shape[1]) / 2 - 1.0)
        most = growth.trees if head == ENGAGED else growth.trees_an_action
        dumps[head] = boosted(rows, happened, np.ones(len(rows)), None, None, growth, most, 1)
        if head == ENGAGED:
            rows = with_shared(rows, forests_of(dumps))
    return forests_of(dumps, [(0.0, 0.0, 0.1)] * len(heads), rng.normal(size=len(INPUTS)) / 50)
