"""What users and posts say of themselves, and who knows whom: by post, by author, and between viewer and author."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.prefetch import prefetch
from feedgen.ranking.groups.bits import AT_ONCE, set_of
from feedgen.ranking.groups.columns import is_near
from feedgen.ranking.groups.compiled import inner
from feedgen.ranking.groups.kept import LANGUAGE, LOCATION, NUMBER
from feedgen.state.attributes import MEDIA, NONE, UNSAID
from feedgen.state.lists import Spans

COLUMNS: Final = 15
"""ranking.said says what they are."""
_LINK: Final = MEDIA.index("link")


class Said(NamedTuple):
    """By post: `media`, `language`, `location`, `length`, `seen` (by how many, or nothing where no views are
    known). By user, as far as anything is known: `place`, `born`, `verified`; `followers`; `rank`, or nothing."""

    media: NDArray[np.uint8]
    language: NDArray[np.int32]
    location: NDArray[np.int32]
    length: NDArray[np.int32]
    seen: NDArray[np.int32]
    place: NDArray[np.int32]
    born: NDArray[np.int32]
    verified: NDArray[np.int32]
    followers: NDArray[np.int64]
    rank: NDArray[np.float64]
    followees: Spans


class Reader(NamedTuple):
    """The viewer: dense index, language and place as posts have them, and the device (0 if it is not known); whether
    any posts are known that the viewer has seen."""

    viewer: int
    language: int
    location: int
    device: int
    views: bool


@inner
def _code(codes: NDArray[np.int32], user: int) -> int:
    return codes[user] if user < len(codes) else UNSAID


@inner
def _alike(one: int, other: int, unknown: int) -> float:
    if one == unknown or other == unknown:
        return np.nan
    return 1.0 if one == other else 0.0


@inner
def _apart(one: int, other: int) -> float:
    return np.nan if one == UNSAID or other == UNSAID else np.float64(abs(one - other))


class Between(NamedTuple):
    """What viewer and author have in common, by candidates' author: `place`, `apart` and `both` are own_place, own_age
    and common; `shown` how many of the author's posts the viewer has seen."""

    place: NDArray[np.float32]
    apart: NDArray[np.float32]
    both: NDArray[np.int64]
    shown: NDArray[np.int64]


@inner
def _both(followees: Spans, near: NDArray[np.uint32], authors: NDArray[np.int32], both: NDArray[np.int64]) -> None:
    """Whom the viewer and each author follow. While one author's followees are read, the next one's are fetched: they
    are far away in memory. O(followees of the authors): less than half a nanosecond each."""
    starts, counts, values = followees.starts, followees.counts, followees.values
    for number in range(len(authors)):
        author, coming = authors[number], authors[min(number + 1, len(authors) - 1)]
        both[number] = 0
        if author >= len(starts):
            continue
        start, count, after = starts[author], counts[author], starts[coming] if coming < len(starts) else 0
        whole, found = count - count % AT_ONCE, 0
        for at in range(0, whole, AT_ONCE):
            prefetch(values, after + at)
            found += set_of(near, values, start + at)
        for at in range(start + whole, start + count):
            found += is_near(near, values[at])
        both[number] = found


@inner
def between(
    said: Said, reader: Reader, near: NDArray[np.uint32], authors: NDArray[np.int32], shown: NDArray[np.int64]
) -> Between:
    """`near`: see columns.Scratch; `shown`: kept. O(followees of the authors)."""
    count = len(authors)
    found = Between(np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.int64), shown)
    place, born = _code(said.place, reader.viewer), _code(said.born, reader.viewer)
    for number in range(count):
        author = authors[number]
        found.place[number] = _alike(_code(said.place, author), place, UNSAID)
        found.apart[number] = _apart(_code(said.born, author), born)
    _both(said.followees, near, authors, found.both)
    return found


@inner
def fill_everyone(said: Said, post: int, author: int, out: NDArray[np.float32], row: int, first: int) -> None:
    """What does not depend on the viewer. O(1)."""
    media, length, verified = said.media[post], said.length[post], _code(said.verified, author)
    following = said.followees.counts[author] if author < len(said.followees.counts) else 0
    out[row, first], out[row, first + 1] = media, media == _LINK
    out[row, first + 4] = np.nan if length == NONE else np.float32(length)
    out[row, first + 8] = np.nan if verified == UNSAID else np.float32(verified)
    out[row, first + 9] = following
    out[row, first + 10] = np.log((1.0 + max(said.followers[author], 0)) / (1.0 + following))
    out[row, first + 11] = said.rank[author] if len(said.rank) else np.nan
    out[row, first + 14] = np.float32(said.seen[post]) if len(said.seen) else np.nan


@inner
def fill_own(reader: Reader, between: Between, codes: NDArray[np.int32], out: NDArray[np.float32], first: int) -> None:
    """What does, of every row, in columns of `out`. O(1) each."""
    language, location, place, apart = out[first + 2], out[first + 3], out[first + 6], out[first + 7]
    both, shown = out[first + 12], out[first + 13]
    out[first + 5] = np.float32(reader.device) if reader.device else np.float32(np.nan)
    for row in range(len(codes)):
        number = codes[row, NUMBER]
        language[row] = _alike(codes[row, LANGUAGE], reader.language, NONE)
        location[row] = _alike(codes[row, LOCATION], reader.location, NONE)
        place[row], apart[row] = between.place[number], between.apart[number]
        both[row] = between.both[number]
        shown[row] = np.float32(between.shown[number]) if reader.views else np.nan
