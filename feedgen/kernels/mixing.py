"""From scores to records: the rules of feedgen.diversity over what was picked, for one viewer after the other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.diversity import LAST_SHIFT, MIX, STEP
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.packing import Feed, Packed, Source, pack
from feedgen.kernels.picking import Keys, arranged
from feedgen.kernels.scoring import Picked, by_rank
from feedgen.prefetch import prefetch

_FIRST_SHIFT, _FIRST_FACTOR = MIX[0]
_SECOND_SHIFT, _SECOND_FACTOR = MIX[1]


class Mixing(NamedTuple):
    """Settings of spam and of diversity; names as in config.yaml."""

    now: float
    penalty: float
    author_penalty: float
    media_places: int
    fresh_lift: float
    fresh_s: float
    explore_share: float


class Ranked(NamedTuple):
    """What is picked for one viewer, best first: positions (`line`), posts, scores less what the damped ones lose."""

    line: NDArray[np.int32]
    posts: NDArray[np.int32]
    scores: NDArray[np.float64]


@compiled
def adjust(
    source: Source, slots: NDArray[np.int32], mixing: Mixing, scores: NDArray[np.float64], posts: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Scores (descending) normalised, fresh posts lifted, an author's further ones lowered."""
    count = len(scores)
    authors, created = np.empty(count, np.int32), np.empty(count)
    for at in range(count):  # apart, so that all are fetched at once
        card = source.cards.posts[posts[at]]
        authors[at], created[at] = card.author, card.created
        prefetch(slots, authors[at])
    spread = scores[0] - scores[-1] if count else 0.0
    base, lines = np.empty(count), np.empty((2, count), np.int32)
    young, old = 0, 0
    for at in range(count):
        normal = (scores[at] - scores[-1]) / spread if spread > 0 else 0.0
        fresh = mixing.now - created[at] < mixing.fresh_s
        base[at] = normal + (mixing.fresh_lift if fresh else 0.0)
        lines[0, young], lines[1, old] = at, at
        young += fresh
        old += not fresh
    _lower(authors, slots, mixing.author_penalty, lines[0, :young], lines[1, :old], base)
    for author in authors:
        slots[author] = -1
    return base


@inner
def _lower(
    author_of: NDArray[np.int32],
    slots: NDArray[np.int32],
    penalty: float,
    young: NDArray[np.int32],
    old: NDArray[np.int32],
    base: NDArray[np.float64],
) -> None:
    """Each post by what its author has before it: of the two lines, either of which falls, the greater one is next."""
    first, second = 0, 0
    for _ in range(len(base)):
        turn = second < len(old)
        if turn and first < len(young):
            mine, theirs = base[old[second]], base[young[first]]
            turn = mine > theirs or (mine == theirs and old[second] < young[first])
        at = old[second] if turn else young[first]
        second += turn
        first += not turn
        author = author_of[at]
        slots[author] += 1
        base[at] -= penalty * slots[author]


@inner
def _descending(values: NDArray[np.float64], posts: NDArray[np.int32], source: Source) -> NDArray[np.int32]:
    """Positions by falling value; ties keep their order."""
    negative, line = -values, np.arange(len(values)).astype(np.int32)
    return arranged(Keys(negative, line.astype(np.float64), posts, source.items), line)


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


@inner
def _mixed(value: int) -> int:
    value = np.uint64(value)
    value = (value ^ (value >> np.uint64(_FIRST_SHIFT))) * np.uint64(_FIRST_FACTOR)
    value = (value ^ (value >> np.uint64(_SECOND_SHIFT))) * np.uint64(_SECOND_FACTOR)
    return value ^ (value >> np.uint64(LAST_SHIFT))


@compiled
def explore(order: NDArray[np.int32], seeds: NDArray[np.uint64], share: float, explored: NDArray[np.bool_]) -> None:
    """See feedgen.diversity.explore; `order` is changed in place."""
    count, step, edge = len(order), np.uint64(STEP), share * 4294967296.0
    for place in range(count):
        explored[place] = False
        drawn = _mixed(seeds[0] ^ _mixed(seeds[1] + np.uint64(place + 1) * step))
        if np.float64(drawn >> np.uint64(32)) < edge:
            ahead = np.int64(drawn & np.uint64(4294967295)) * (count - place) >> 32
            if ahead:
                chosen = order[place + ahead]
                for at in range(place + ahead, place, -1):
                    order[at] = order[at - 1]
                order[place] = chosen
                explored[place] = True


@inner
def _line(source: Source, mixing: Mixing, picked: Picked, row: int) -> Ranked:
    """What is picked for one viewer in the order of its scores as they are now, less what the damped ones lose."""
    count = picked.counts[row]
    posts, damped, scores = picked.posts[row, :count], picked.damped[row, :count], picked.scores[row, :count]
    keys = by_rank(scores, damped, mixing.penalty, posts, source.items)
    line = arranged(keys, np.arange(count).astype(np.int32))
    return Ranked(line, posts[line], -keys.first[line])


@inner
def _mix_one(
    source: Source,
    slots: NDArray[np.int32],
    mixing: Mixing,
    ranked: Ranked,
    origin: NDArray[np.uint8],
    seeds: NDArray[np.uint64],
) -> Feed:
    adjusted = adjust(source, slots, mixing, ranked.scores, ranked.posts)
    order, explored = _descending(adjusted, ranked.posts, source), np.empty(len(ranked.posts), np.bool_)
    media = np.empty(len(order), np.uint8)
    for at in range(len(order)):
        media[at] = source.cards.posts[ranked.posts[at]].media
    part_media(order, media, mixing.media_places)
    explore(order, seeds, mixing.explore_share, explored)
    return Feed(ranked.posts[order], adjusted[order], origin[ranked.line[order]], explored)


@compiled
def mixed(
    source: Source, slots: NDArray[np.int32], mixing: Mixing, picked: Picked, seeds: NDArray[np.uint64]
) -> tuple[Ranked, Feed]:
    """Of the first viewer, what is picked before the rules of diversity and after them. As `mix`, but not written."""
    ranked = _line(source, mixing, picked, 0)
    return ranked, _mix_one(source, slots, mixing, ranked, picked.origin[0], seeds)


@compiled
def mix(
    source: Source,
    slots: NDArray[np.int32],
    mixing: Mixing,
    picked: Picked,
    seeds: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    into: Packed,
) -> NDArray[np.uint8]:
    """The records of what is `picked`, in the order of its scores as they are now: stage two may have changed them.

    `seeds`: by viewer two words that decide the draws. Fills `into`, whose ids stand in the arena: this one, or the
    larger one that is returned. `slots`: scratch by user, all −1. O(items) a viewer.
    """
    used = 0
    for row in range(len(picked.counts)):
        ranked = _line(source, mixing, picked, row)
        feed = _mix_one(source, slots, mixing, ranked, picked.origin[row], seeds[row])
        arena, used = pack(source, slots, feed, row, arena, used, into)
    return arena
