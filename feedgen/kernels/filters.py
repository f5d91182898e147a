"""Which candidates may be shown to one viewer: what selection.filters defines, counted under the first that removes."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import DELETED, SENSITIVE, WITHHELD
from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import inner
from feedgen.kernels.marks import GROWN, SEEN, Marks, near_bits
from feedgen.state.attributes import NONE
from feedgen.state.lists import list_of

FILTERS: Final = ("own", "deleted", "withheld", "age", "sensitive", "language", "blocked", "hidden", "seen")
KEPT: Final = -1


@inner
def _by_state(cards: Any, viewer: int, which: NDArray[np.int32], by: NDArray[np.int8]) -> None:
    """own, deleted, withheld."""
    for at in range(len(which)):
        card = cards[which[at]]
        if card.author == viewer:
            by[at] = 0
        elif card.doubts & DELETED:
            by[at] = 1
        elif card.doubts & WITHHELD:
            by[at] = 2


@inner
def _by_fitness(
    cards: Any, near: NDArray[np.uint8], rules: Rules, viewers: Viewers, row: int, which: Any, by: Any
) -> None:
    """age, sensitive, language."""
    age, own, common = viewers.age[row], viewers.language[row], rules.common_language
    minor = viewers.age_known[row] and age < rules.adult_age
    for at in range(len(which)):
        card = cards[which[at]]
        if by[at] != KEPT:
            continue
        if card.min_age > age:
            by[at] = 3
        elif card.doubts & SENSITIVE and (minor or not near_bits(near, card.author)):
            by[at] = 4
        elif own != NONE and not near_bits(near, card.author):
            language = card.language
            if language != NONE and language != own and language != common:
                by[at] = 5


@inner
def _by_viewer(
    columns: Columns, mark: NDArray[np.uint8], viewer: int, which: NDArray[np.int32], by: NDArray[np.int8]
) -> None:
    """blocked, hidden, seen."""
    cards = columns.cards.posts
    barred, hidden = list_of(columns.people.barred, viewer), list_of(columns.people.hidden, viewer)
    for at in range(len(which)):
        post = which[at]
        if by[at] != KEPT:
            continue
        if len(barred) and cards[post].author in barred:
            by[at] = 6
        elif len(hidden) and post in hidden:
            by[at] = 7
        elif mark[post] & SEEN and not mark[post] & GROWN:
            by[at] = 8


@inner
def keep(
    columns: Columns, marks: Marks, rules: Rules, viewers: Viewers, row: int, posts: Any, removed: Any
) -> NDArray[np.bool_]:
    """Which of `posts` stay; counts the others in `removed`, by filter. O(posts × barred, hidden)."""
    by = np.full(len(posts), KEPT, np.int8)
    viewer = viewers.who[row]
    _by_state(columns.cards.posts, viewer, posts, by)
    _by_fitness(columns.cards.posts, marks.near, rules, viewers, row, posts, by)
    _by_viewer(columns, marks.post, viewer, posts, by)
    for at in range(len(posts)):
        if by[at] != KEPT:
            removed[by[at]] += 1
    return by == KEPT
