"""From scores to a feed: the rules of feedgen.diversity over what was picked, for one viewer after the other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import compiled
from feedgen.kernels.marks import Marks
from feedgen.kernels.picking import Keys, arranged
from feedgen.kernels.scoring import Picked, by_rank
from feedgen.kernels.selecting import Selected


class Mixing(NamedTuple):
    """Settings of spam and of diversity; names as in config.yaml."""

    now: float
    penalty: float
    author_penalty: float
    media_places: int
    fresh_lift: float
    fresh_s: float
    explore_share: float


class Mixed(NamedTuple):
    """By viewer and place, as many as were picked: the candidate (position in Selected), its score after diversity, and
    whether it was drawn from further down."""

    candidate: NDArray[np.int64]
    adjusted: NDArray[np.float64]
    explored: NDArray[np.bool_]


@compiled
def adjust(
    columns: Columns, marks: Marks, mixing: Mixing, scores: NDArray[np.float64], posts: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Scores (descending) normalised, fresh posts lifted, an author's further ones lowered."""
    count, slots, author_of, created = len(scores), marks.slot, columns.posts.author, columns.posts.created
    spread = scores[0] - scores[-1] if count else 0.0
    base = np.empty(count)
    for at in range(count):
        normal = (scores[at] - scores[-1]) / spread if spread > 0 else 0.0
        fresh = mixing.now - created[posts[at]] < mixing.fresh_s
        base[at] = normal + (mixing.fresh_lift if fresh else 0.0)
    for at in _descending(base, posts, columns):
        author = author_of[posts[at]]
        slots[author] += 1
        base[at] -= mixing.author_penalty * slots[author]
    for post in posts:
        slots[author_of[post]] = -1
    return base


@compiled
def _descending(values: NDArray[np.float64], posts: NDArray[np.int32], columns: Columns) -> NDArray[np.int32]:
    """Positions by falling value; ties keep their order."""
    negative, line = -values, np.arange(len(values)).astype(np.int32)
    return arranged(Keys(negative, line.astype(np.float64), posts, columns.posts.names), line)


@compiled
def part_media(order: NDArray[np.int32], media: NDArray[np.uint8], places: int) -> None:
    """See feedgen.diversity.part_media; `order` is changed in place, `media` is by the numbers in it."""
    above = np.uint8(0)
    for at in range(len(order)):
        medium = media[order[at]]
        if medium and medium == above:
            end = min(at + places + 1, len(order))
            for other in range(at + 1, end):
                if media[order[other]] != medium:
                    line = order[at:end].copy()
                    turn = other - at
                    order[at : at + len(line) - turn] = line[turn:]
                    order[at + len(line) - turn] = line[0]
                    order[at + len(line) - turn + 1 : end] = line[1:turn]
                    medium = media[order[at]]
                    break
        above = medium
    return


@compiled
def explore(order: NDArray[np.int32], words: NDArray[np.uint32], share: float, explored: NDArray[np.bool_]) -> None:
    """See feedgen.diversity.explore; `order` is changed in place. `words`: two draws a place."""
    count = len(order)
    for place in range(count):
        explored[place] = False
        if words[place, 0] < share * 4294967296.0:
            ahead = np.int64(words[place, 1]) * (count - place) >> 32
            if ahead:
                drawn = order[place + ahead]
                for at in range(place + ahead, place, -1):
                    order[at] = order[at - 1]
                order[place] = drawn
                explored[place] = True


@compiled
def _mix_one(
    columns: Columns,
    marks: Marks,
    mixing: Mixing,
    selected: Selected,
    best: NDArray[np.int64],
    scores: NDArray[np.float64],
    words: NDArray[np.uint32],
    row: int,
    into: Mixed,
) -> None:
    posts = selected.posts[best]
    keys = by_rank(columns, scores, selected.damped[best], mixing.penalty, posts)
    line = arranged(keys, np.arange(len(best)).astype(np.int32))  # O(n) if they stand as stage one has put them
    best, posts = best[line], posts[line]
    adjusted = adjust(columns, marks, mixing, -keys.first[line], posts)
    order = _descending(adjusted, posts, columns)
    part_media(order, columns.posts.media[posts], mixing.media_places)
    explore(order, words, mixing.explore_share, into.explored[row])
    for place in range(len(best)):
        into.candidate[row, place] = best[order[place]]
        into.adjusted[row, place] = adjusted[order[place]]


@compiled
def mix(
    columns: Columns,
    marks: Marks,
    mixing: Mixing,
    selected: Selected,
    picked: Picked,
    words: NDArray[np.uint32],
    into: Mixed,
) -> None:
    """Fill `into` from what is `picked`, in the order of its scores as they are now: stage two may have changed them.

    `words`: shape (viewers, items, 2). O(items log items) a viewer.
    """
    for row in range(len(picked.counts)):
        count = picked.counts[row]
        best, scores = picked.candidate[row, :count], picked.scores[row, :count]
        _mix_one(columns, marks, mixing, selected, best, scores, words[row], row, into)
