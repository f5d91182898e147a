"""Ragged arrays: runs of equal keys in a sorted column, and weighted draws from ranges of one."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE: Final = 1 << 21
"""Rows of a network that are worked on together, so that memory beside the result stays in the hundreds of MB."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Bools = NDArray[np.bool_]


def rng_of(seed: int, *stage: int) -> np.random.Generator:
    """The stream of one stage of `seed`'s network, so that a change in one stage leaves the others as they were."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stage)))


def side_by_side(rng: np.random.Generator, streams: int, each: int) -> list[np.random.Generator]:
    """Generators for `streams` draws of `each` doubles that would come one after the other from `rng`.

    So they can be read a chunk of each at a time: the same numbers, and only the chunks in memory. `rng` goes on behind
    them. For `random` alone, which takes one step of the generator for each number. O(streams).
    """
    found = []
    for _ in range(streams):
        one = np.random.PCG64()
        one.state = rng.bit_generator.state  # type: ignore[assignment] # a PCG64's own
        found.append(np.random.Generator(one))
        rng.bit_generator.advance(each)  # type: ignore[attr-defined]
    return found


def chunks(count: int) -> Iterator[slice]:
    """ROWS_AT_ONCE rows at a time."""
    for low in range(0, count, ROWS_AT_ONCE):
        yield slice(low, min(low + ROWS_AT_ONCE, count))


def viewers_at_once(through: Ints) -> Iterator[tuple[int, int]]:
    """[low, high) of neighbours who have about ROWS_AT_ONCE rows together; `through`: rows of all up to each."""
    low, count = 0, len(through)
    while low < count:
        before = int(through[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(through, before + ROWS_AT_ONCE, side="right")))
        yield low, high
        low = high


def starts_of(owners: Ints, count: int) -> Ints:
    """int64[count + 1]: the rows of owner i in the sorted column `owners` are starts[i]:starts[i + 1]. O(n)."""
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(owners, minlength=count), out=starts[1:])
    return starts


def rank_in_run(keys: Ints) -> Ints:
    """Position of each row within its run of equal, adjacent keys, from 0. O(n)."""
    positions = np.arange(len(keys), dtype=np.int64)
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    return positions - np.maximum.accumulate(np.where(first, positions, 0))


def first_of_each(keys: Ints) -> Ints:
    """Ascending positions of the first occurrence of each key, in the order they stand in. O(n log n)."""
    return np.sort(np.unique(keys, return_index=True)[1])


def distinct(keys: Ints) -> Ints:
    """The keys, sorted, each once. O(n log n); numpy's hash-based unique takes five times as long on a million keys."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def found_in(ordered: Ints, keys: Ints) -> tuple[Bools, Ints]:
    """Whether each key is in `ordered`, and at which row (any valid one where it is not). O(log n) each."""
    if not len(ordered):
        return np.zeros(len(keys), np.bool_), np.zeros(len(keys), np.int64)
    row = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1).astype(np.int64)
    found: Bools = ordered[row] == keys
    return found, row


def cumulative(weights: Floats) -> Floats:
    """float64[n + 1] from 0, for `pick`."""
    return np.concatenate([np.zeros(1), np.cumsum(weights)])


def pick(sums: Floats, low: Ints, high: Ints, rng: np.random.Generator) -> Ints:
    """For each range [low, high) a row drawn by its weight, `sums` being their `cumulative`. -1 for an empty range.

    O(log n) each.
    """
    if len(sums) < 2:
        return np.full(len(low), -1, np.int64)
    point = sums[low] + rng.random(len(low)) * (sums[high] - sums[low])
    row = np.searchsorted(sums, point, side="right").astype(np.int64) - 1
    return np.where(high > low, np.clip(row, low, np.maximum(high - 1, low)), -1)
