"""How good orders are, login by login: NDCG@20, recall@20, MRR, recall@500, with intervals over viewers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DEPTH: Final = 20
FAR: Final = 500
FIGURES: Final = ("ndcg_at_20", "recall_at_20", "mrr", "recall_at_500")
_DRAWS: Final = 200
_SEED: Final = 0
_DISCOUNT: Final = 1.0 / np.log2(np.arange(2, 2 + DEPTH))


def figures(order: NDArray[np.integer[Any]], wanted: NDArray[np.integer[Any]]) -> tuple[float, float, float, float]:
    """FIGURES of one order; `wanted`: the posts that should come first, at least one, whatever order holds them.

    Binary gains. A wanted post that is not among the first 500 counts as missed. O(n + wanted log wanted).
    """
    places = np.flatnonzero(np.isin(order[:FAR], wanted))
    near = places[places < DEPTH]
    gained, most = float(_DISCOUNT[near].sum()), float(_DISCOUNT[: min(DEPTH, len(wanted))].sum())
    first = 1.0 / (1 + int(places[0])) if len(places) else 0.0
    return gained / most, len(near) / len(wanted), first, len(places) / len(wanted)


@dataclass
class Scores:
    """Figures of many logins, a row each, and whose login each was."""

    viewers: list[str] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, viewer: str, row: tuple[float, ...]) -> None:
        """One login more."""
        self.viewers.append(viewer)
        self.rows.append(row)

    def extend(self, other: "Scores") -> None:
        """Those of another span of time."""
        self.viewers += other.viewers
        self.rows += other.rows

    def under(self, which: NDArray[np.bool_]) -> "Scores":
        """Those under a mask."""
        places = np.flatnonzero(which).tolist()
        return Scores([self.viewers[at] for at in places], [self.rows[at] for at in places])

    def summary(self, names: Sequence[str] = FIGURES) -> dict[str, dict[str, float]]:
        """Mean over logins, and the interval that holds 95 % of the means when viewers are drawn anew."""
        if not self.rows:
            return {}
        table = np.array(self.rows)
        low, high = interval(self.viewers, table)
        each = zip(names, table.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
        return {
            name: {"mean": round(mean, 4), "low": round(least, 4), "high": round(most, 4)}
            for name, mean, least, most in each
        }


def interval(viewers: Sequence[str], table: Floats) -> tuple[Floats, Floats]:
    """(2.5 %, 97.5 %) of the mean row when whole viewers are drawn with replacement, by column.

    Logins of one viewer are alike: drawing logins would make the interval too narrow. O(draws × viewers).
    """
    names, place = np.unique(np.array(viewers), return_inverse=True)
    sums = np.column_stack([np.bincount(place, column, len(names)) for column in table.T])
    counts = np.bincount(place, minlength=len(names)).astype(np.float64)
    times = np.random.default_rng(_SEED).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS)
    means = (times @ sums) / (times @ counts)[:, None]
    return np.quantile(means, 0.025, axis=0), np.quantile(means, 0.975, axis=0)
