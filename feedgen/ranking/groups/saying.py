"""What users and posts say of themselves, and who knows whom: the loop over a viewer's candidates."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.compiled import compiled, inner
from feedgen.state.attributes import MEDIA, NONE, UNSAID
from feedgen.state.lists import Spans, list_of

_LINK = MEDIA.index("link")


class Said(NamedTuple):
    """By post: `author`, `media`, `language`, `location`, `length`, `seen` (by how many, or nothing where no views are
    known). By user, as far as anything is known: `place`, `born`, `verified`; `followers`; `rank`, or nothing."""

    author: NDArray[np.int32]
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
    """The viewer: dense index, language and place as posts have them, and the device (0 if it is not known)."""

    viewer: int
    language: int
    location: int
    device: int


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


@inner
def _of_author(
    said: Said, near: NDArray[np.bool_], reader: Reader, author: int, row: NDArray[np.float32], first: int
) -> None:
    """From own_place to common. O(followees of the author): a nanosecond each."""
    listed, both = list_of(said.followees, author), 0
    for who in listed:
        both += near[who]
    viewer, verified = reader.viewer, _code(said.verified, author)
    row[first] = _alike(_code(said.place, author), _code(said.place, viewer), UNSAID)
    row[first + 1] = _apart(_code(said.born, author), _code(said.born, viewer))
    row[first + 2] = np.nan if verified == UNSAID else np.float32(verified)
    row[first + 3] = len(listed)
    row[first + 4] = np.log((1.0 + max(said.followers[author], 0)) / (1.0 + len(listed)))
    row[first + 5] = said.rank[author] if len(said.rank) else np.nan
    row[first + 6] = both


@compiled
def fill(
    said: Said,
    near: NDArray[np.bool_],
    reader: Reader,
    seen: NDArray[np.int64],
    slot: NDArray[np.int32],
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """The signals of ranking.said of each post, a row of `out`, from column `first` on. O(posts + seen + followees of
    their authors).

    `near`: by user, whether the viewer follows them; it is False for the viewer. `seen`: posts the viewer has seen.
    `slot`: by user 0, before and after.
    """
    latest, authors = np.empty(len(posts), np.int64), 0
    for at in range(len(posts)):
        author = said.author[posts[at]]
        if slot[author] == 0:
            authors += 1
            slot[author] = authors
            latest[authors - 1] = -1
    shown = np.zeros(authors, np.int64)
    for post in seen:
        author = said.author[post]
        if author >= 0 and slot[author] > 0:
            shown[slot[author] - 1] += 1
    for at in range(len(posts)):
        post = posts[at]
        author, media, length = said.author[post], said.media[post], said.length[post]
        number = slot[author] - 1
        out[at, first], out[at, first + 1] = media, media == _LINK
        out[at, first + 2] = _alike(said.language[post], reader.language, NONE)
        out[at, first + 3] = _alike(said.location[post], reader.location, NONE)
        out[at, first + 4] = np.nan if length == NONE else np.float32(length)
        out[at, first + 5] = np.float32(reader.device) if reader.device else np.nan
        if latest[number] < 0:
            _of_author(said, near, reader, author, out[at], first + 6)
            latest[number] = at
        else:
            for column in range(first + 6, first + 13):
                out[at, column] = out[latest[number], column]
        out[at, first + 13] = np.float32(shown[number]) if len(seen) else np.nan
        out[at, first + 14] = np.float32(said.seen[post]) if len(said.seen) else np.nan
    for at in range(len(posts)):
        slot[said.author[posts[at]]] = 0
