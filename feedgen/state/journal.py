"""The visits of the past, in nine bytes each: what the login predictor is trained on."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.habits import Flags, Floats, Ints

MOST: Final = 4_000_000
"""Visits kept: 36 MB. More teach the predictor nothing (training draws ten million rows at most)."""
_HALVED_MOST: Final = 24
_CAME: Final = 1
_TOLD: Final = 2
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
"""Neighbours in number came at the same time; multiplied, their upper bits have nothing in common."""


class Kept(NamedTuple):
    """Visits by time; `came`: logins, else logouts; `told`: reported, else made out from what the viewer did."""

    viewers: Ints
    ts: Floats
    came: Flags
    told: Flags


class Journal:
    """All visits while they are few; then those of every second viewer, every fourth, … each viewer's kept whole."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._halved = 0
        self._viewers: NDArray[np.int32] = np.zeros(64, np.int32)
        self._ts: NDArray[np.uint32] = np.zeros(64, np.uint32)
        self._kind: NDArray[np.uint8] = np.zeros(64, np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, viewers: Ints, ts: Floats, came: Flags, told: Flags) -> None:
        """Keep these visits, in whatever order. Amortised O(visits)."""
        kept = self._is_kept(viewers)
        count = self._count + int(kept.sum())
        if count > len(self._ts):
            room = max(count, 2 * len(self._ts))
            self._viewers, self._ts = np.resize(self._viewers, room), np.resize(self._ts, room)
            self._kind = np.resize(self._kind, room)
        into = slice(self._count, count)
        self._viewers[into] = viewers[kept]
        self._ts[into] = ts[kept]
        self._kind[into] = _CAME * came[kept] + _TOLD * told[kept]
        self._count = count
        while self._count > self._most and self._halved < _HALVED_MOST:
            self._halve()

    def visits(self) -> Kept:
        """What is kept, by time; copies. O(n log n)."""
        order = np.argsort(self._ts[: self._count], kind="stable")
        kind = self._kind[order]
        return Kept(
            self._viewers[order].astype(np.int64),
            self._ts[order].astype(np.float64),
            (kind & _CAME) != 0,
            (kind & _TOLD) != 0,
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """All of it in flat arrays, for `restore`; views until the next fold."""
        end = self._count
        return {
            "viewers": self._viewers[:end],
            "ts": self._ts[:end],
            "kind": self._kind[:end],
            "halved": np.array([self._halved], np.int64),
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Become what `columns` were taken of; copies. O(visits)."""
        self._viewers, self._ts, self._kind = (np.array(columns[name]) for name in ("viewers", "ts", "kind"))
        self._count = len(self._ts)
        self._halved = int(columns["halved"][0])

    def _is_kept(self, viewers: NDArray[Any]) -> Flags:
        """Of which viewers visits are kept: one in 2^halved."""
        mixed = ((viewers.astype(np.uint64) + np.uint64(1)) * _MIX) >> np.uint64(40)
        kept: Flags = mixed & np.uint64((1 << self._halved) - 1) == 0
        return kept

    def _halve(self) -> None:
        self._halved += 1
        end = self._count
        kept = self._is_kept(self._viewers[:end])
        self._count = int(kept.sum())
        for column in (self._viewers, self._ts, self._kind):
            column[: self._count] = column[:end][kept]
