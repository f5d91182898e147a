"""How good foreseen probabilities were: AUC, cross-entropy, calibration, with intervals over viewers, and by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.models.measures import measured

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SHARED: Final = "engaged"
MEASURES: Final = ("auc", "cross_entropy", "calibration")
BINS: Final = 10
_DRAWS: Final = 100
_SEED: Final = 0
_EDGES: Final = {
    "activity": (0.0, 4.0, 16.0, 61.0, np.inf),
    "network": (0.0, 11.0, 51.0, 201.0, np.inf),
    "age_hours": (0.0, 6.0, 24.0, 72.0, 168.0, 720.0, np.inf),
}
"""Logins in the last 30 days, followees, hours since the post: a slice begins at one and ends before the next."""


@dataclass
class Foreseen:
    """Rows of a period: what was foreseen of each post at a login, by head, and what came of it.

    `odds`: float64[rows] by head, `happened`: bool[rows] by head; `counts`: for how many rows each stands; the slices'
    columns: `activity`, `network`, `age_hours`.
    """

    viewers: NDArray[np.str_]
    odds: Mapping[str, Floats]
    happened: Mapping[str, Flags]
    counts: Floats
    slices: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.counts)

    def under(self, which: Flags) -> "Foreseen":
        """The rows under a mask; copies."""
        return Foreseen(
            self.viewers[which],
            {head: odds[which] for head, odds in self.odds.items()},
            {head: happened[which] for head, happened in self.happened.items()},
            self.counts[which],
            {name: column[which] for name, column in self.slices.items()},
        )


def joined(parts: Sequence[Foreseen]) -> Foreseen:
    """One after the other, at least one; copies."""
    first = parts[0]
    return Foreseen(
        np.concatenate([part.viewers for part in parts]),
        {head: np.concatenate([part.odds[head] for part in parts]) for head in first.odds},
        {head: np.concatenate([part.happened[head] for part in parts]) for head in first.happened},
        np.concatenate([part.counts for part in parts]),
        {name: np.concatenate([part.slices[name] for part in parts]) for name in first.slices},
    )


def by_action(foreseen: Foreseen) -> dict[str, dict[str, Any]]:
    """Of every head: how often it happened, the measures with their intervals, and the curve of calibration.

    A head that nothing came of has no measures. O(draws × rows) a head.
    """
    return {head: _one(foreseen, head) for head in foreseen.odds}


def _one(foreseen: Foreseen, head: str) -> dict[str, Any]:
    odds, happened, counts = foreseen.odds[head], foreseen.happened[head], foreseen.counts
    base = float(counts @ happened / counts.sum()) if len(counts) else 0.0
    answer: dict[str, Any] = {"positives": int(happened.sum()), "base_rate": round(base, 6)}
    if not happened.any():
        return answer
    means = measured(odds, happened, counts)
    drawn = _drawn(foreseen, head)
    for name, column in zip(MEASURES, drawn.T, strict=True):
        mean = means[name]
        if mean is not None:
            known = column[~np.isnan(column)]  # a draw without the few viewers it happened to says nothing
            low, high = np.quantile(known, (0.025, 0.975)).tolist() if len(known) else (mean, mean)
            answer[name] = {"mean": mean, "low": round(low, 6), "high": round(high, 6)}
    return {**answer, "curve": curve(odds, happened, counts)}


def curve(odds: Floats, happened: Flags, counts: Floats, bins: int = BINS) -> list[dict[str, float]]:
    """Mean foreseen and what happened, in bins that hold as much of what was foreseen. O(n log n).

    As much each of the probability, not of the rows: most rows are all but impossible.
    """
    order = np.argsort(odds, kind="stable")
    mass = np.cumsum((counts * odds)[order])
    edges = np.searchsorted(mass, mass[-1] * np.arange(1, bins) / bins)
    points = []
    for rows in np.split(order, np.unique(edges)):
        weight = counts[rows]
        if weight.sum() > 0:
            total = float(weight.sum())
            foreseen, came = float(weight @ odds[rows]) / total, float(weight @ happened[rows]) / total
            points.append({"foreseen": round(foreseen, 6), "happened": round(came, 6), "rows": round(total, 1)})
    return points


def by_slice(foreseen: Foreseen, head: str = SHARED) -> dict[str, dict[str, dict[str, Any]]]:
    """The measures of one head by activity, network size and age of the post. O(n log n)."""
    answer: dict[str, dict[str, dict[str, Any]]] = {}
    for name, column in foreseen.slices.items():
        answer[name] = {}
        for label, which in sliced(name, column):
            part = foreseen.under(which)
            positives = int(part.happened[head].sum())
            answer[name][label] = {
                "rows": len(part),
                "positives": positives,
                **(measured(part.odds[head], part.happened[head], part.counts) if positives else {}),
            }
    return answer


def sliced(name: str, column: Floats) -> list[tuple[str, Flags]]:
    """The slices of a column that hold anything: their labels and masks."""
    found = []
    for low, high in pairwise(_EDGES[name]):
        which = (column >= low) & (column < high)
        if which.any():
            found.append((f"{low:g}+" if np.isinf(high) else f"{low:g}–{high:g}", which))
    return found


def _drawn(foreseen: Foreseen, head: str) -> Floats:
    """MEASURES of each draw of whole viewers; shape (draws, measures). The rows are sorted once."""
    names, viewer = np.unique(foreseen.viewers, return_inverse=True)
    order = np.argsort(foreseen.odds[head], kind="stable")
    odds, happened = foreseen.odds[head][order], foreseen.happened[head][order]
    viewer, counts = viewer[order], foreseen.counts[order]
    ties = np.cumsum(np.concatenate(([0], np.diff(odds) > 0)))
    safe = np.clip(odds, 1e-12, 1 - 1e-12)
    losses = -np.where(happened, np.log(safe), np.log1p(-safe))
    rng = np.random.default_rng(_SEED)
    found = np.full((_DRAWS, len(MEASURES)), np.nan)
    for draw in range(_DRAWS):
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))
        weight = counts * times[viewer]
        yes = np.bincount(ties, weight * happened)
        no = np.bincount(ties, weight * ~happened)
        came, not_came = yes.sum(), no.sum()
        if came and not_came:
            wins = np.cumsum(no) - no / 2
            mean = came / (came + not_came)
            surprise = -(mean * np.log(mean) + (1 - mean) * np.log1p(-mean))
            found[draw] = (
                yes @ wins / (came * not_came),
                weight @ losses / weight.sum() / surprise,
                weight @ odds / came,
            )
    return found
