"""What posts are like, in numbers: an embedding of a post, as small integers of the same direction."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part

LONGEST: Final = 1_024
"""Numbers of an embedding at most."""
NO_EMBEDDING: Final = 0
_SCALE: Final = 127
_SIZE_BITS: Final = 12


class Embeddings(Composite):
    """By dense post index: 8 bytes, and a byte a number of what was ever given.

    Only the direction counts, so the greatest number is kept as ±127 and the others in proportion: a cosine is off by
    less than 0.01. Integers, so that sums do not depend on the order of arrival.
    """

    def __init__(self) -> None:
        self._place = Column(np.int64, NO_EMBEDDING)
        self._numbers = Column(np.int8)

    def _parts(self) -> Mapping[str, Part]:
        return {"place": self._place, "numbers": self._numbers}

    def reach(self, count: int) -> None:
        """Make room for posts below `count`. Amortised O(1) a post."""
        self._place.reach(count)

    def keep(self, numbers: Sequence[float]) -> int:
        """Where they stand and how many there are, as one number: a code for `put`. NO_EMBEDDING for none, or all 0."""
        given = np.array(numbers, np.float64)
        greatest = float(np.abs(given).max(initial=0.0))
        if greatest == 0.0:
            return NO_EMBEDDING
        start = self._numbers.count
        self._numbers.extend(np.rint(given / greatest * _SCALE).astype(np.int8))
        return start << _SIZE_BITS | len(given)

    def put(self, post: int, code: int) -> None:
        """The post's embedding is what `keep` gave the code for. O(1)."""
        self._place[post] = code

    @property
    def empty(self) -> bool:
        """Whether no post was ever given one."""
        return self._numbers.count == 0

    def sizes(self, posts: NDArray[np.integer]) -> NDArray[np.int64]:
        """How many numbers each of `posts` has, 0 for none; copies. O(posts)."""
        sizes: NDArray[np.int64] = self._place.values[posts] & (1 << _SIZE_BITS) - 1
        return sizes

    def of(self, posts: NDArray[np.integer], size: int) -> NDArray[np.int8]:
        """Of `posts` that have `size` numbers each; shape (posts, size), copies. O(posts × size)."""
        starts = self._place.values[posts] >> _SIZE_BITS
        found: NDArray[np.int8] = self._numbers.values[starts[:, None] + np.arange(size)]
        return found
