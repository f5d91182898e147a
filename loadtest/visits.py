"""Which pages are asked for: viewers by Zipf's law, visits that page on, as request targets drawn ahead of time."""

from collections.abc import Iterator

import numpy as np

from feedgen.feed.ids import IdColumn
from loadtest.residents import feeds

ZIPF = 1.1
MEAN_DEPTH = 2.5


def drawn_viewers(count: int, size: int, rng: np.random.Generator) -> list[int]:
    """`size` viewers of `count`, the n-th most active with weight n^-1.1, who is how active left to chance."""
    weights = 1.0 / np.arange(1, count + 1) ** ZIPF
    ranks = rng.choice(count, size=size, p=weights / weights.sum())
    found: list[int] = rng.permutation(count)[ranks].tolist()
    return found


def targets(viewers: int, items: int, count: int, limit: int, seed: int) -> list[str]:
    """`count` targets of GETs over the feeds of loadtest.residents: first pages, then those `after` them.

    A visit pages on with probability 1 - 1 / 2.5 after every page. About 60 µs a viewer.
    """
    rng = np.random.default_rng(seed)
    visits = drawn_viewers(viewers, count, rng)
    wanted = set(visits)
    ends = {
        number: _ends(IdColumn(bulk.items), limit)
        for number, (_, bulk) in enumerate(feeds(viewers, items, seed, 1.7e9))
        if number in wanted
    }
    found: list[str] = []
    for viewer in visits:
        found += _visit(viewer, ends[viewer], limit, rng)
        if len(found) >= count:
            break
    return found[:count]


def _ends(ids: IdColumn, limit: int) -> list[str]:
    """The last item of each page."""
    return [ids[at] for at in range(limit - 1, len(ids), limit)]


def _visit(viewer: int, ends: list[str], limit: int, rng: np.random.Generator) -> Iterator[str]:
    yield f"/v1/feeds/v{viewer}?limit={limit}"
    for end in ends[:-1]:
        if rng.random() < 1 / MEAN_DEPTH:
            return
        yield f"/v1/feeds/v{viewer}?after={end}&limit={limit}"
