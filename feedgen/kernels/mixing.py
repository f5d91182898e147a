"""From scores to records: the rules of feedgen.diversity over what was picked, for one viewer after the other."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.diversity import LAST_SHIFT, MIX, STEP
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.packing import Feed, Packed, Source, pack
from feedgen.kernels.picking import Keys, arranged
from feedgen.kernels.scoring import Picked, by_rank
from feedgen.kernels.tables import numbered
from feedgen.kernels.watch import OF_DIVERSITY, OF_PACKING, begin, lap, timed
from feedgen.state.symbols import Names

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


class _Traits(NamedTuple):
    """What diversity asks of the posts in a line, by place: when created, the medium, the number of the author among
    `authors`."""

    created: NDArray[np.float64]
    media: NDArray[np.uint8]
    author_of: NDArray[np.int32]
    authors: NDArray[np.int32]


@inner
def _traits(cards: Any, posts: NDArray[np.int32]) -> _Traits:
    count = len(posts)
    created, media, author_of = np.empty(count), np.empty(count, np.uint8), np.empty(count, np.int32)
    for at in range(count):
        card = cards[posts[at]]
        created[at], media[at], author_of[at] = card.created, card.media, card.author
    authors, _ = numbered(author_of, author_of)
    return _Traits(created, media, author_of, authors)


@inner
def _adjusted(mixing: Mixing, scores: NDArray[np.float64], traits: _Traits) -> NDArray[np.float64]:
    """Scores (descending) normalised, fresh posts lifted, an author's further ones lowered."""
    count = len(scores)
    base, lines = np.empty(count), np.empty((2, count), np.int32)
    low = scores[-1] if count else 0.0
    spread = scores[0] - low if count else 0.0
    for at in range(count):
        base[at] = (scores[at] - low) / spread if spread > 0 else 0.0
    young, old = 0, 0
    for at in range(count):
        fresh = mixing.now - traits.created[at] < mixing.fresh_s
        base[at] += mixing.fresh_lift if fresh else 0.0
        lines[0, young], lines[1, old] = at, at
        young += fresh
        old += not fresh
    _lower(traits, mixing.author_penalty, lines[0, :young], lines[1, :old], base)
    return base


@inner
def _lower(
    traits: _Traits, penalty: float, young: NDArray[np.int32], old: NDArray[np.int32], base: NDArray[np.float64]
) -> None:
    """Each post by what its author has before it: of the two lines, either of which falls, the greater one is next."""
    first, second, before = 0, 0, np.zeros(len(traits.authors), np.int32)
    for _ in range(len(base)):
        turn = second < len(old)
        if turn and first < len(young):
            mine, theirs = base[old[second]], base[young[first]]
            turn = mine > theirs or (mine == theirs and old[second] < young[first])
        at = old[second] if turn else young[first]
        second += turn
        first += not turn
        author = traits.author_of[at]
        base[at] -= penalty * before[author]
        before[author] += 1


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
def seeds(lead: NDArray[np.uint64], people: Names, viewer: int) -> NDArray[np.uint64]:
    """See feedgen.diversity.seeds. O(length)."""
    at, end = people.bounds[viewer], people.bounds[viewer + 1]
    first, second, length = lead[0], lead[1], np.uint64(end - at)
    while at < end:
        eight = np.uint64(0)
        for place in range(min(end - at, 8)):
            eight |= np.uint64(people.data[at + place]) << np.uint64(8 * place)
        first, second = _mixed(first ^ eight), _mixed(second ^ eight)
        at += 8
    return np.array([_mixed(first ^ length), _mixed(second ^ length)])


@compiled
def explore(order: NDArray[np.int32], words: NDArray[np.uint64], share: float, explored: NDArray[np.uint8]) -> None:
    """See feedgen.diversity.explore; `order` is changed in place. `explored`: a bit by place, the lowest first."""
    count, step, first, second = len(order), np.uint64(STEP), words[0], words[1]
    drawn, edge = np.empty(count, np.uint64), share * 4294967296.0
    for place in range(count):  # apart, so that eight are drawn at a time
        drawn[place] = _mixed(first ^ _mixed(second + np.uint64(place + 1) * step))
    explored[:] = 0
    for place in range(count):
        if np.float64(drawn[place] >> np.uint64(32)) < edge:
            ahead = np.int64(drawn[place] & np.uint64(4294967295)) * (count - place) >> 32
            if ahead:
                chosen = order[place + ahead]
                for at in range(place + ahead, place, -1):
                    order[at] = order[at - 1]
                order[place] = chosen
                explored[place >> 3] |= np.uint8(1 << (place & 7))


@inner
def _line(source: Source, mixing: Mixing, picked: Picked, row: int) -> Ranked:
    """What is picked for one viewer in the order of its scores as they are now, less what the damped ones lose."""
    count = picked.counts[row]
    posts, damped, scores = picked.posts[row, :count], picked.damped[row, :count], picked.scores[row, :count]
    keys = by_rank(scores, damped, mixing.penalty, posts, source.items)
    line = arranged(keys, np.arange(count).astype(np.int32))
    return Ranked(line, posts[line], -keys.first[line])


@inner
def _shown(
    source: Source,
    mixing: Mixing,
    ranked: Ranked,
    origin: NDArray[np.uint8],
    words: NDArray[np.uint64],
) -> Feed:
    count, traits = len(ranked.posts), _traits(source.cards.posts, ranked.posts)
    adjusted = _adjusted(mixing, ranked.scores, traits)
    order, explored = _descending(adjusted, ranked.posts, source), np.empty((count + 7) // 8, np.uint8)
    part_media(order, traits.media, mixing.media_places)
    explore(order, words, mixing.explore_share, explored)
    posts, scores, reasons = np.empty(count, np.int32), np.empty(count), np.empty(count, np.uint8)
    created, author_of = np.empty(count), np.empty(count, np.int32)
    for place in range(count):
        at = order[place]
        posts[place], scores[place], reasons[place] = ranked.posts[at], adjusted[at], origin[ranked.line[at]]
        created[place], author_of[place] = traits.created[at], traits.author_of[at]
    return Feed(posts, created, author_of, traits.authors, scores, reasons, explored)


@compiled
def mixed(source: Source, mixing: Mixing, picked: Picked, lead: NDArray[np.uint64], viewer: int) -> tuple[Ranked, Feed]:
    """Of the first row, which is the viewer's, what is picked before the rules of diversity and after them."""
    ranked = _line(source, mixing, picked, 0)
    return ranked, _shown(source, mixing, ranked, picked.origin[0], seeds(lead, source.people, viewer))


@inner
def mix_one(
    source: Source,
    mixing: Mixing,
    picked: Picked,
    row: int,
    words: NDArray[np.uint64],
) -> Feed:
    """The feed of one row."""
    ranked = _line(source, mixing, picked, row)
    return _shown(source, mixing, ranked, picked.origin[row], words)


@compiled
def mix(
    source: Source,
    mixing: Mixing,
    picked: Picked,
    lead: NDArray[np.uint64],
    viewers: NDArray[np.int64],
    arena: NDArray[np.uint8],
    into: Packed,
    took: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The records of what is `picked`, in the order of its scores as they are now: stage two may have changed them.

    `lead`: see feedgen.diversity.seeds; `took`: see watch.begin. Fills `into`, whose parts stand in the arena: this
    one, or the larger one that is returned. O(items) a viewer.
    """
    used = 0
    for row in range(len(viewers)):
        watched = timed(row, len(viewers))
        begin(took, watched)
        feed = mix_one(source, mixing, picked, row, seeds(lead, source.people, viewers[row]))
        lap(took, watched, OF_DIVERSITY)
        arena, used = pack(source, feed, row, arena, used, into)
        lap(took, watched, OF_PACKING)
    return arena
