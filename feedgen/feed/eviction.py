"""Which feeds leave memory for space when what is coming is known: those whose next read is expected last.

The policy alone, so that the cache that serves and the replay that measures it run the same.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

LOOKED_AT: Final = 64
"""Least recently read feeds that are looked at for each one that leaves: asking about all would cost O(feeds)."""
FIRST_TAU_S: Final = 28_800.0
TAU_SHARE: Final = 0.02
TAU_POWER: Final = 0.8
"""In a large cache a few feeds that nobody read for long weigh much in a mean: tau grows slower than that."""


class LookAhead:
    """Of the least recently read, the one worth least leaves; equals in the order they were read. Pure.

    A feed's worth is the mean of exp(−t/tau) over the time t to its viewer's next read. A feed is worth keeping for
    about as long as feeds last: tau follows the mean time since the last read of those that left.
    """

    __slots__ = ("_unread_s",)

    def __init__(self) -> None:
        self._unread_s = FIRST_TAU_S

    @property
    def tau_s(self) -> float:
        """How far ahead to look. O(1)."""
        return FIRST_TAU_S * math.pow(self._unread_s / FIRST_TAU_S, TAU_POWER)

    def candidates(self, by_recency: Iterable[str], leaving: int = 1) -> list[str]:
        """Among whom to choose `leaving` of them; `by_recency`: the least recently read first. O(leaving)."""
        return list(islice(by_recency, LOOKED_AT * leaving))

    def choose(self, candidates: Sequence[str], worth: Sequence[float], leaving: int = 1) -> list[str]:
        """Who leaves, the first first; `worth` of each candidate. O(n log n)."""
        order = sorted(range(len(candidates)), key=lambda at: worth[at])  # stable: equals in LRU order
        return [candidates[at] for at in order[:leaving]]

    def left(self, unread_s: float) -> None:
        """A feed left for space that nobody had read for so long. O(1)."""
        self._unread_s += TAU_SHARE * (unread_s - self._unread_s)
