"""A model of a few rows, trained once: what its numbers are worth is not what the tests ask."""

from functools import cache

import numpy as np

from feedgen.config import Settings
from feedgen.models.boosting import Growth
from feedgen.models.definitions import definitions
from feedgen.models.examples import Examples, examples_of
from feedgen.models.model import Model
from feedgen.models.training import Course, fit
from feedgen.ranking.dataset import ACTIONS, Rows
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS

COURSE = Course(growth=Growth(trees=40, trees_an_action=20, leaves=6, rate=0.15, least_rows=40, columns=0.5))


def rows(count: int = 3_000, seed: int = 3, rate: float = 1.0, begin: float = 0.0) -> Rows:
    """Likes by the first feature, by how far the third is from 0 (no line says that) and by who looks, comments by the
    second; a few hides; nothing else.
    """
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, len(INPUTS))).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.05] = np.nan
    viewer, known = rng.integers(0, 20, count), np.nan_to_num(inputs)
    done = np.zeros((count, len(ACTIONS)), np.bool_)
    taste = np.linspace(-1.0, 1.0, 20)[viewer]
    likes = known[:, 0] * 1.5 + np.abs(known[:, 2]) * 1.5 + taste - 3.2
    for action, sums in (("like", likes), ("comment", known[:, 1] - 2.5)):
        done[:, ACTIONS.index(action)] = rng.random(count) < 1 / (1 + np.exp(-sums))
    done[:5, ACTIONS.index("hide")] = True
    found = Rows(
        names=INPUTS,
        viewer=np.array([f"u{number}" for number in viewer]),
        ts=begin + np.arange(count) * 60.0,
        post=np.array([f"p{number}" for number in range(count)]),
        author=np.array([f"a{number % 7}" for number in range(count)]),
        inputs=inputs,
        done=done,
        rate=np.where(done.any(axis=1), 1.0, rate).astype(np.float32),
        propensity=np.ones(count, np.float32),
        picked=np.ones(count, np.bool_),
    )
    return found.select(done.any(axis=1) | (rng.random(count) < rate))


def examples(seed: int = 3, rate: float = 1.0, begin: float = 0.0) -> Examples:
    """The same as arrays."""
    return examples_of(rows(seed=seed, rate=rate, begin=begin))


@cache
def known() -> dict[str, str]:
    """Fingerprints of the inputs there are."""
    return definitions(Settings())


@cache
def model(seed: int = 3) -> Model:
    """A model of all three parts."""
    return fit(examples(seed), known(), len(FEATURES), COURSE)
