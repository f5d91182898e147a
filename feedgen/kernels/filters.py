"""Which candidates may be shown to one viewer: what selection.filters defines, counted under the first that removes."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import DELETED, SENSITIVE, WITHHELD
from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import GROWN, Marks, Past, bits_of, near_bits
from feedgen.prefetch import prefetch
from feedgen.state.attributes import NONE
from feedgen.state.lists import list_of

FILTERS: Final = ("own", "deleted", "withheld", "age", "sensitive", "language", "blocked", "hidden", "seen")
KEPT: Final = -1


class _Fit(NamedTuple):
    """What of one viewer decides which posts are fit for them."""

    viewer: int
    age: int
    minor: bool
    language: int
    common_language: int


@inner
def _unfit(near: NDArray[np.uint8], fit: _Fit, card: Any) -> int:
    """own, deleted, withheld, age, sensitive, language: the first of them, or KEPT."""
    if card.author == fit.viewer:
        return 0
    if card.doubts & DELETED:
        return 1
    if card.doubts & WITHHELD:
        return 2
    if card.min_age > fit.age:
        return 3
    if card.doubts & SENSITIVE and (fit.minor or not near_bits(near, card.author)):
        return 4
    language = card.language
    if fit.language != NONE and language != NONE and language != fit.language and language != fit.common_language:
        return KEPT if near_bits(near, card.author) else 5
    return KEPT


@inner
def keep(
    columns: Columns, marks: Marks, past: Past, rules: Rules, viewers: Viewers, row: int, posts: Any, removed: Any
) -> NDArray[np.bool_]:
    """Which of `posts` stay; counts the others in `removed`, by filter. O(posts × barred, hidden)."""
    viewer, age = viewers.who[row], viewers.age[row]
    minor = viewers.age_known[row] and age < rules.adult_age
    fit = _Fit(viewer, age, minor, viewers.language[row], rules.common_language)
    barred, hidden = list_of(columns.people.barred, viewer), list_of(columns.people.hidden, viewer)
    cards, near, kept, noted = columns.cards.posts, marks.near, np.empty(len(posts), np.bool_), past.noted
    for at in range(len(posts)):
        post = posts[at]
        prefetch(columns.engagements, cards[post].engaged_at)  # for talk.network_row
        by = _unfit(near, fit, cards[post])
        if by == KEPT:
            if len(barred) and cards[post].author in barred:
                by = 6
            elif len(hidden) and post in hidden:
                by = 7
            elif 0 < bits_of(noted, post) < GROWN:
                by = 8
        kept[at] = by == KEPT
        if by != KEPT:
            removed[by] += 1
    return kept
