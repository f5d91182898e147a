"""How like what the viewer engaged with a post is, by the embeddings that posts were given."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.selection.context import ViewerContext
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.engagement import by_half_life
from feedgen.state.state import State

COST: Final = "O(posts the viewer engaged with within 90 days × numbers), once; then O(numbers) a candidate"
SIGNALS: Final = (
    Signal("likeness", "cosine", -1, 1, "no embedding, or none engaged with", "of the post and those, fading"),
)
SPAN_H: Final = 90 * 24
HALF_LIFE_H: Final = 30.0 * 24.0
_WEIGHT: Final = 1 << 21
"""Before it is divided by a length of 127 or more: sums of products stay below 2⁵³, and so are exact in any order."""


def likeness(state: State, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
    """float32, shape (posts, SIGNALS). Embeddings of as many numbers only are compared."""
    about = state.about_posts.embeddings
    found = np.full((len(posts), len(SIGNALS)), np.nan, np.float32)
    if about.empty:
        return found
    sizes = about.sizes(posts)
    for size in np.unique(sizes[sizes > 0]).tolist():
        taste = _taste(state, context, size)
        length = np.sqrt(taste @ taste)
        if length > 0:
            which = np.flatnonzero(sizes == size)
            rows = about.of(posts[which], size).astype(np.float64)
            cosine = rows @ taste / (_lengths(rows) * length)
            found[which, 0] = np.clip(cosine, -1.0, 1.0)
    return found


def _taste(state: State, context: ViewerContext, size: int) -> NDArray[np.float64]:
    """Whole numbers: the sum of what the viewer engaged with, each of about the same length before it fades."""
    engaged, about = context.engaged, state.about_posts.embeddings
    age = np.maximum(int(context.now // SECONDS_PER_HOUR) - engaged.hour, 0)
    which = np.flatnonzero((about.sizes(engaged.post) == size) & (age <= SPAN_H))
    rows = about.of(engaged.post[which], size).astype(np.float64)
    weights = np.rint(_WEIGHT * by_half_life(HALF_LIFE_H)(age[which]) / _lengths(rows)) * engaged.sign[which]
    taste: NDArray[np.float64] = weights @ rows
    return taste


def _lengths(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("rn,rn->r", rows, rows))
    return lengths
