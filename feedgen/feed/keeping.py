"""The removals that are remembered as flat arrays, and back, for a snapshot."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.feed.removals import Kept


def packed(kept: Kept) -> dict[str, NDArray[Any]]:
    """`at`: [head, floor]; `offset`; `kind`: 1 for one viewer's, + 2 for an author's posts; texts in an arena. O(n)."""
    texts = [text.encode() for _, viewer, _, target in kept.removals for text in (viewer or "", target)]
    return {
        "at": np.array([kept.head, kept.floor], np.int64),
        "offset": np.array([removal[0] for removal in kept.removals], np.int64),
        "kind": np.array([(viewer is not None) + 2 * author for _, viewer, author, _ in kept.removals], np.uint8),
        "bounds": np.array([0, *accumulate(map(len, texts))], np.int64),
        "text": np.frombuffer(b"".join(texts), np.uint8),
    }


def unpacked(columns: dict[str, NDArray[Any]]) -> Kept:
    """What `packed` was given. O(n)."""
    head, floor = columns["at"].tolist()
    data, bounds = columns["text"].tobytes(), columns["bounds"].tolist()
    texts = [data[low:high].decode() for low, high in pairwise(bounds)]
    rows = zip(columns["offset"].tolist(), columns["kind"].tolist(), texts[::2], texts[1::2], strict=True)
    removals: Sequence[tuple[int, str | None, bool, str]] = [
        (offset, viewer if kind & 1 else None, bool(kind & 2), target) for offset, kind, viewer, target in rows
    ]
    return Kept(head, floor, removals)
