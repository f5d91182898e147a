"""Diversity re-orders a ranked list; it loses nothing. Four rules, one after the other (docs/diversity.md shows them).

1. Scores are min-max normalised within the feed; fresh posts get a lift.
2. Each post costs a penalty for every one of its author's that stands before it.
3. A post under one of the same medium goes some places down.
4. In a share of the places whoever is next stands back for one drawn from all that are left.

Ties keep the ranked order. The draws come from two words, not from a generator that somebody else may have used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen import config
from feedgen.state.columns import SECONDS_PER_HOUR

_WORD = 1 << 32
_EIGHT = 8
STEP: Final = 0x9E3779B97F4A7C15
"""2⁶⁴ over the golden ratio, as splitmix64 steps."""
MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT: Final = 31


@dataclass(frozen=True)
class Diverse:
    """What became of a ranked list. `order`: by place shown, the place in the ranked list; places count from 0.

    By ranked place, float64: `adjusted` = `normalised` + `lift` − penalty × `repeats`. `by_score`: the order by that;
    `parted`: what the media rule made of it, as places in `by_score`. `explored`: by place shown, whether drawn from
    further down.
    """

    order: NDArray[np.intp]
    normalised: NDArray[np.float64]
    lift: NDArray[np.float64]
    repeats: NDArray[np.int64]
    adjusted: NDArray[np.float64]
    by_score: NDArray[np.intp]
    parted: list[int]
    explored: NDArray[np.bool_]

    @cached_property
    def places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """By place shown: the place by adjusted score, and the place after the media rule. O(n log n)."""
        by_score = np.argsort(self.by_score)[self.order]
        return by_score, np.argsort(self.parted)[by_score]


class Diversifier:
    """The four rules with their settings. Pure: the same list of the same feed gets the same order."""

    def __init__(self, settings: config.Diversity) -> None:
        self._settings = settings
        self._fresh_s = settings.fresh_hours * SECONDS_PER_HOUR

    def reorder(
        self,
        scores: NDArray[np.float64],
        authors: NDArray[np.int32],
        media: NDArray[np.uint8],
        age_s: NDArray[np.float64],
        generation: str,
        viewer: str,
    ) -> Diverse:
        """`scores` descending, the others beside it; `media` 0 for none. Whose feed it is, and of which generation,
        decides the draws. O(n log n)."""
        settings = self._settings
        scale = normalised(scores)
        lift = np.where(age_s < self._fresh_s, settings.fresh_lift, 0.0)
        base = scale + lift
        repeats = repeats_of(base, authors)
        adjusted = base - settings.author_penalty * repeats
        by_score = np.argsort(-adjusted, kind="stable")
        parted = part_media(media[by_score].tolist(), settings.media_places)
        words = seeds(lead(settings.seed, generation), viewer)
        shown, explored = explore(parted, settings.explore_share, words)
        return Diverse(by_score[shown], scale, lift, repeats, adjusted, by_score, parted, explored)


def normalised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Descending scores, the first one 1 and the last one 0; all 0 where they do not differ. O(n); copies."""
    spread = float(scores[0] - scores[-1]) if len(scores) else 0.0
    return (scores - scores[-1]) / spread if spread > 0 else np.zeros(len(scores))


def repeats_of(base: NDArray[np.float64], authors: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many posts by the same author have more of `base`; ties by position. O(n log n).

    An author's own posts keep this order whatever the penalty, so sorting by the penalised score is the same as taking
    the best next item at every place.
    """
    by_author = np.lexsort((-base, authors))
    grouped = authors[by_author]
    first = np.ones(len(base), np.bool_)
    np.not_equal(grouped[1:], grouped[:-1], out=first[1:])
    at = np.arange(len(base))
    repeats = np.empty(len(base), np.int64)
    repeats[by_author] = at - np.maximum.accumulate(at * first)
    return repeats


def part_media(media: Sequence[int], places: int) -> list[int]:
    """The order in which the second of two neighbours with the same medium has gone `places` down; positions.

    From the top: where a post shows the same medium as the one above it, it goes `places` down (at the end: last), and
    the post that comes up in its place is looked at in turn. It stays where all that could come up show that medium
    too. 0, no medium, parts nobody. O(n × places): a place is settled once and not gone back to.
    """
    order = list(range(len(media)))
    above = 0
    for at in range(len(order)):
        medium = media[order[at]]
        if medium and medium == above:
            end = at + places + 1
            line = order[at + 1 : end]
            for other in line:
                if media[other] != medium:
                    line.append(order[at])
                    while line[0] != other:
                        line.append(line.pop(0))
                    order[at:end] = line
                    medium = media[other]
                    break
        above = medium
    return order


def explore(line: list[int], share: float, words: NDArray[np.uint64]) -> tuple[list[int], NDArray[np.bool_]]:
    """`line` in another order, and which places hold one that was not next in line. O(n); copies.

    Place by place from the top, with probability `share`, one of all that are left is drawn, each as likely, the next
    in line too. The draws: see `draws`; of each, the upper half says whether, the lower half which.
    """
    count = len(line)
    order, explored = line.copy(), np.zeros(count, np.bool_)
    drawn = draws(words, count)
    for place in np.flatnonzero((drawn >> np.uint64(32)) < share * _WORD).tolist():
        ahead = (int(drawn[place]) % _WORD) * (count - place) // _WORD
        if ahead:
            order.insert(place, order.pop(place + ahead))
            explored[place] = True
    return order, explored


def lead(seed: int, generation: str) -> NDArray[np.uint64]:
    """What decides the draws of all feeds of a generation: the two words of a BLAKE2b."""
    return np.frombuffer(blake2b(f"{seed} {generation}".encode(), digest_size=16).digest(), "<u8")


def seeds(words: NDArray[np.uint64], viewer: str) -> NDArray[np.uint64]:
    """Two words that decide the draws of one feed. O(length).

    Into each of the `lead` go the bytes of the id, eight at a time with zeros after the last, and then their number. A
    kernel does that for every viewer.
    """
    name = viewer.encode("utf-8", "surrogatepass")
    for at in range(0, len(name), _EIGHT):
        words = _mixed(words ^ np.uint64(int.from_bytes(name[at : at + _EIGHT], "little")))
    return _mixed(words ^ np.uint64(len(name)))


def draws(words: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """The first `count` words that follow from two: splitmix64 of the second, and of that with the first. O(n).

    By counter, so that a kernel draws only what it needs, without handing arrays about.
    """
    places = np.arange(1, count + 1, dtype=np.uint64)
    return _mixed(words[0] ^ _mixed(words[1] + places * np.uint64(STEP)))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014)."""
    for shift, factor in MIX:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(LAST_SHIFT))
