"""Has the kernels of the models compiled before anything waits for them."""

import numpy as np

from feedgen.config import Settings
from feedgen.kernels.forest import LEAVES, Trees
from feedgen.kernels.forest import stack as stacked_on
from feedgen.kernels.worth import score
from feedgen.models.definitions import definitions
from feedgen.models.forests import Forests
from feedgen.models.stacking import TOPICS, Stacked, hashed_ids
from feedgen.models.wide import levelled, logits_of
from feedgen.ranking.inputs import INPUTS


def warm() -> None:
    """Compiled, or read from where it is kept: most of a minute the first time, then a fraction of a second."""
    none = np.zeros(0, np.uint32)
    tree = Trees(none, np.zeros(0, np.float32), none, np.zeros(2, np.int64), np.zeros((1, LEAVES)), np.array([0, 1]))
    rows = np.zeros((1, len(INPUTS)), np.float32)
    forests = Forests(("engaged",), tree, line=np.zeros(len(INPUTS)))
    forests.scores(rows, np.zeros(1))
    logits, leaves = forests.leaves(rows)
    stacked, nobody = Stacked.blank(1, 1), np.zeros(1, np.uint64)
    hashed = hashed_ids(nobody, nobody, (nobody,) * TOPICS)
    stacked.learn(leaves, hashed, logits, np.zeros((1, 1), np.bool_), np.ones(1))
    definitions(Settings())  # the signals are made, and have their kernels
    stacked_on(leaves, hashed, stacked.weights(), logits)
    score(logits, np.zeros(1), np.empty(1))
    logits_of(levelled(rows), np.zeros((1, len(INPUTS))), np.zeros(1))
