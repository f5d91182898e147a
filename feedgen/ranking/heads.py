"""Scoring heads: from a candidate's features to the probability of each action, and from those to one score.

    P(action) = σ(bias + Σ weight × feature)        score = Σ value × P(action)

kernels.scoring does the same, to the bit: sums are added in one order, and for σ see ranking.exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen import config
from feedgen.ranking.exact import sigmoid
from feedgen.ranking.features import FEATURES


@dataclass(frozen=True)
class Heads:
    """`weights`: float64 (heads, FEATURES); `bias`, `values`: float64 (heads,); one head for each of `actions`.

    Not `squashed`: the score is Σ value × (bias + Σ weight × feature), without σ. That is the configured formula.
    """

    actions: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    values: NDArray[np.float64]
    squashed: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError where the parts do not fit together, or hold what is not finite."""
        heads = len(self.actions)
        if self.weights.shape != (heads, len(FEATURES)) or self.bias.shape != (heads,) or self.values.shape != (heads,):
            raise ValueError(f"{heads} heads over {len(FEATURES)} features do not fit weights {self.weights.shape}")
        if not all(np.isfinite(part).all() for part in (self.weights, self.bias, self.values)):
            raise ValueError("a weight, bias or value of a head is not finite")

    def outputs(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (candidates, heads): of each head P(action), or its sum where nothing is squashed.

        `features`: shape (candidates, FEATURES). O(candidates × features × heads). Column by column: a BLAS product may
        round differently for another batch shape.
        """
        sums = np.empty((len(features), len(self.actions)))
        for head, (bias, weights) in enumerate(zip(self.bias.tolist(), self.weights.tolist(), strict=True)):
            total = np.full(len(features), bias)
            for column, weight in enumerate(weights):
                total += features[:, column] * weight
            sums[:, head] = total
        return sigmoid(sums) if self.squashed else sums

    def score(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (candidates,), higher is better; see `outputs`. Not finite where a feature is not."""
        total = np.zeros(len(features))
        for output, value in zip(self.outputs(features).T, self.values.tolist(), strict=True):
            total += output * value
        return total

    def describe(self, row: NDArray[np.float64]) -> dict[str, Any]:
        """Of one candidate, by feature its value, and by head the parts of its score; rounded nowhere."""
        outputs = self.outputs(row[None, :])[0].tolist()
        if not self.squashed:
            weights = self.weights[0].tolist()
            each = zip(FEATURES, row.tolist(), weights, strict=True)
            return {"features": {name: {"value": x, "weight": w, "part": x * w} for name, x, w in each}}
        return {
            "features": {
                name: {"value": value, "weights": dict(zip(self.actions, weights, strict=True))}
                for name, value, weights in zip(FEATURES, row.tolist(), self.weights.T.tolist(), strict=True)
            },
            "heads": {
                name: {"probability": output, "value": value, "part": output * value}
                for name, output, value in zip(self.actions, outputs, self.values.tolist(), strict=True)
            },
        }


def formula(ranking: config.Ranking) -> Heads:
    """Σ configured weight × feature: what ranks where nothing was learned."""
    weights = np.array([[getattr(ranking, f"{name}_weight") for name in FEATURES]], np.float64)
    return Heads(("formula",), weights, np.zeros(1), np.ones(1), squashed=False)


def configured(ranking: config.Ranking) -> Heads:
    """The heads of `ranking.heads`, or without any the formula."""
    if not ranking.heads:
        return formula(ranking)
    heads = ranking.heads.values()
    weights = np.array([[head.weights.get(name, 0.0) for name in FEATURES] for head in heads], np.float64)
    bias, values = (np.array([getattr(head, name) for head in heads], np.float64) for name in ("bias", "value"))
    return Heads(tuple(ranking.heads), weights, bias, values)
