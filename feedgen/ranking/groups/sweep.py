"""All signals of a viewer's candidates: one sweep over the recent posts of each of their authors."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups import author, ranks, siblings, topics, viewer
from feedgen.ranking.groups.columns import AUTHOR_POSTS, Columns, Moment, Scratch, Signal, read_posts, room_to_read
from feedgen.ranking.groups.compiled import compiled, inner
from feedgen.state.lists import list_of

GROUPS: Final = (viewer, author, siblings, topics, ranks)
SIGNALS: Final[tuple[Signal, ...]] = tuple(signal for group in GROUPS for signal in group.SIGNALS)
_AUTHOR: Final = len(viewer.SIGNALS)
_SIBLINGS: Final = _AUTHOR + len(author.SIGNALS)
_TOPICS: Final = _SIBLINGS + len(siblings.SIGNALS)
_RANKS: Final = _TOPICS + len(topics.SIGNALS)
_NAMES: Final = tuple(signal.name for signal in SIGNALS)
_RANKED: Final = np.array([_NAMES.index(name) for name, _ in ranks.RANKED])
_SIGNS: Final = np.array([sign for _, sign in ranks.RANKED])
_TOPICS_AT_FIRST: Final = 64

_past_of, _forget_past, _fill_viewer = viewer.past_of, viewer.forget, viewer.fill
_back_of, _profile_of, _fill_author = author.back_of, author.profile_of, author.fill
_told_of, _forget_topics, _fill_topics = topics.told_of, topics.forget, topics.fill
_room_for_profile, _room_to_tell = author.room_for_profile, topics.room_to_tell
_fill_siblings, _fill_rank = siblings.fill, ranks.fill


class ByAuthor(NamedTuple):
    """Candidates' authors; the candidates of number n are `order[bounds[n]:bounds[n + 1]]`, as positions."""

    authors: NDArray[np.int32]
    bounds: NDArray[np.int64]
    order: NDArray[np.int64]


@inner
def _by_author(columns: Columns, scratch: Scratch, posts: NDArray[np.int32]) -> ByAuthor:
    """And marks `slot`. O(posts)."""
    slot, authors, count = scratch.slot, np.empty(len(posts), np.int32), 0
    sizes = np.zeros(len(posts) + 1, np.int64)
    for post in posts:
        one = columns.author[post]
        if slot[one] == 0:
            authors[count] = one
            count += 1
            slot[one] = count
        sizes[slot[one]] += 1
    bounds = np.cumsum(sizes[: count + 1])
    following, order = bounds.copy(), np.empty(len(posts), np.int64)
    for at in range(len(posts)):
        number = slot[columns.author[posts[at]]] - 1
        order[following[number]] = at
        following[number] += 1
    return ByAuthor(authors[:count], bounds, order)


@inner
def _fetch(columns: Columns, authors: NDArray[np.int32]) -> int:
    """Look at all that is read of the authors' posts, without a branch between: what is far away in memory comes
    together, and not one after the other. That something is counted keeps the compiler from leaving it out."""
    count = 0
    for one in authors:
        recent = list_of(columns.recent, one)
        for at in range(max(len(recent) - AUTHOR_POSTS, 0), len(recent)):
            post = recent[at]
            count += (columns.created[post] > 0.0) + (columns.first[post] > 0.0) + (columns.last[post] > 0.0)
            count += (columns.engaged[post] > 0) + (columns.topic_at[post] > 0) + (columns.topic_count[post] > 0)
            count += columns.deleted[post]
    return count


@compiled
def sweep(
    columns: Columns,
    scratch: Scratch,
    moment: Moment,
    reader: int,
    followees: int,
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """SIGNALS of each post, a row of `out`, from column `first` on.

    O(what the viewer engaged with + posts read of the candidates' authors).
    """
    past, read = _past_of(columns, scratch, moment, reader), room_to_read()
    by, profile, told = _by_author(columns, scratch, posts), _room_for_profile(), _room_to_tell(_TOPICS_AT_FIRST)
    if _fetch(columns, by.authors) < 0:  # never
        return
    _fill_viewer(moment, past, followees, out, first)
    own = read_posts(columns, scratch, moment, reader, read)
    back = _back_of(columns, scratch, moment, read.posts[:own], len(by.authors))
    for number in range(len(by.authors)):
        count = read_posts(columns, scratch, moment, by.authors[number], read)
        _profile_of(columns, moment, past, read, count, back[number], profile)
        told, about = _told_of(columns, scratch, moment, read, count, told)
        for place in range(by.bounds[number], by.bounds[number + 1]):
            at = by.order[place]
            post = posts[at]
            _fill_author(profile, past, moment.now - columns.created[post], out, at, first + _AUTHOR)
            _fill_siblings(columns, moment, past, read, count, post, out, at, first + _SIBLINGS)
            _fill_topics(columns, scratch, moment, told, post, out, at, first + _TOPICS)
        _forget_topics(scratch, told, about)
    for place in range(len(_RANKED)):
        _fill_rank(out, first + _RANKED[place], _SIGNS[place], first + _RANKS + place)
    for one in by.authors:
        scratch.slot[one] = 0
    _forget_past(columns, scratch, past)
