"""All signals of a viewer's candidates but likeness: one sweep over the recent posts of each of their authors.

What does not depend on the viewer is most of it, and so is what does for who did nothing with an author's posts, which
is nearly everyone. So a row is made once for a moment, and copied for whoever comes later (`kept`).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.binding import Bound
from feedgen.ranking.groups import author, kept, kinds, ranks, saying, siblings, topics, viewer
from feedgen.ranking.groups.columns import (
    AUTHOR_POSTS,
    HOUR_S,
    Columns,
    Moment,
    Read,
    Scratch,
    Signal,
    delay_bin,
    forget_near,
    mark_near,
    read_posts,
    room_to_read,
)
from feedgen.ranking.groups.compiled import compiled, inner
from feedgen.ranking.groups.kept import BIN, CODES, HOURS, LANGUAGE, LOCATION, NUMBER, Kept
from feedgen.ranking.groups.saying import Reader, Said
from feedgen.ranking.groups.viewer import Past
from feedgen.state.engagement import POST_SHIFT
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

_KINDS: Final = _RANKS + len(ranks.SIGNALS)
_SAID: Final = _KINDS + len(kinds.SIGNALS)
KEPT: Final = _SAID + saying.COLUMNS - _AUTHOR
"""So many columns of a row are kept, from the author's on."""

_past_of, _forget_past, _fill_viewer = viewer.past_of, viewer.forget, viewer.fill
_back_of, _profile_of, _fill_author, _own_author = author.back_of, author.profile_of, author.fill, author.fill_own
_told_of, _forget_topics, _fill_topics, _own_topics = topics.told_of, topics.forget, topics.fill, topics.fill_own
_room_for_profile, _room_to_tell = author.room_for_profile, topics.room_to_tell
_fill_siblings, _own_siblings, _fill_rank = siblings.fill, siblings.fill_own, ranks.fill
_fill_kinds, _own_kinds = kinds.fill_everyone, kinds.fill_near
_between, _fill_said, _own_said = saying.between, saying.fill_everyone, saying.fill_own
_unkept_of, _lay, _keep = kept.unkept_of, kept.lay, kept.keep


class Shared(NamedTuple):
    """The same for all viewers of an epoch and a day."""

    columns: Columns
    said: Said


class Space(NamedTuple):
    """What one thread works with."""

    scratch: Scratch
    kept: Kept


class Room(NamedTuple):
    """The same for one viewer. `made`: rows that are not kept yet, shape (candidates, KEPT). `moment`: a number for
    kept.key_of."""

    scratch: Scratch
    kept: Kept
    made: NDArray[np.float32]
    moment: int


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
def _codes_of(by: ByAuthor) -> NDArray[np.int32]:
    """Room for kept.CODES of each candidate, with the number of its author. O(posts)."""
    codes = np.empty((len(by.order), CODES), np.int32)
    for number in range(len(by.authors)):
        for place in range(by.bounds[number], by.bounds[number + 1]):
            codes[by.order[place], NUMBER] = number
    return codes


@inner
def _touched(columns: Columns, scratch: Scratch, past: Past, authors: int) -> NDArray[np.bool_]:
    """By number of an author, whether the viewer did anything with their posts. O(engagements of the viewer)."""
    touched = np.zeros(authors, np.bool_)
    for entry in past.entries:
        one = columns.author[entry >> POST_SHIFT]
        if one >= 0 and scratch.slot[one] > 0:
            touched[scratch.slot[one] - 1] = True
    return touched


@inner
def _shown(columns: Columns, scratch: Scratch, seen: NDArray[np.int64], authors: int) -> NDArray[np.int64]:
    """How many of the posts in `seen`, each counted once, are each author's. O(seen)."""
    shown, counted = np.zeros(authors, np.int64), scratch.counted
    for post in seen:
        one = columns.author[post]
        if one >= 0 and scratch.slot[one] > 0 and not counted[post]:
            counted[post] = True
            shown[scratch.slot[one] - 1] += 1
    for post in seen:
        counted[post] = False
    return shown


@inner
def _look(columns: Columns, authors: NDArray[np.int32], which: NDArray[np.bool_]) -> int:
    """Look at all that is read of these authors' posts, without a branch between them: what is far away in memory comes
    together, and not one after the other. That something is counted keeps the compiler from leaving it out."""
    count = 0
    for number in range(len(authors)):
        if not which[number]:
            continue
        recent = list_of(columns.recent, authors[number])
        for at in range(max(len(recent) - AUTHOR_POSTS, 0), len(recent)):
            post = recent[at]
            count += (columns.created[post] > 0.0) + (columns.first[post] > 0.0) + (columns.last[post] > 0.0)
            count += (columns.engaged[post] > 0) + (columns.topic_at[post] > 0) + (columns.topic_count[post] > 0)
            count += columns.deleted[post]
    return count


@inner
def _make(
    columns: Columns,
    said: Said,
    room: Room,
    moment: Moment,
    past: Past,
    read: Read,
    by: ByAuthor,
    unkept: NDArray[np.bool_],
    posts: NDArray[np.int32],
    codes: NDArray[np.int32],
    where: NDArray[np.int64],
) -> None:
    """Rows of the authors in `unkept`, one after the other in `room.made`; `where`: see kept.lay. O(posts read)."""
    scratch, profile, told = room.scratch, _room_for_profile(), _room_to_tell(_TOPICS_AT_FIRST)
    now_hour, out, row = int(moment.now // HOUR_S), room.made, 0
    for number in range(len(by.authors)):
        if not unkept[number]:
            continue
        one = by.authors[number]
        count = read_posts(columns, scratch, moment, one, read)
        _profile_of(columns, moment, past, read, count, profile)
        told, about = _told_of(columns, scratch, moment, read, count, told)
        for place in range(by.bounds[number], by.bounds[number + 1]):
            at = by.order[place]
            post = posts[at]
            age_s = max(moment.now - columns.created[post], 0.0)
            bin_ = delay_bin(age_s)
            _fill_author(profile, bin_, out, row, 0)
            _fill_siblings(columns, moment, read, count, post, out, row, _SIBLINGS - _AUTHOR)
            _fill_topics(columns, scratch, moment, told, post, out, row, _TOPICS - _AUTHOR)
            _fill_kinds(columns.by_post, now_hour, post, out, row, _KINDS - _AUTHOR)
            _fill_said(said, post, one, out, row, _SAID - _AUTHOR)
            codes[at, BIN], codes[at, HOURS] = bin_, int(age_s // HOUR_S)
            codes[at, LANGUAGE], codes[at, LOCATION] = said.language[post], said.location[post]
            where[at] = ~row
            row += 1
        _forget_topics(scratch, told, about)


@compiled
def sweep(
    shared: Bound,
    space: Bound,
    made: NDArray[np.float32],
    number: int,
    moment: Moment,
    reader: Reader,
    seen: NDArray[np.int64],
    posts: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """SIGNALS of each post, each a row of `out` from `first` on. `seen`: posts the viewer has seen, some of them twice.
    `shared`: of Shared; `space`: of Space; `made`, `number`: of Room.

    O(what the viewer engaged with + seen + followees of the candidates' authors + engagements with posts), and O(posts
    read) of authors whose rows are not kept.
    """
    columns, said, scratch, kept_ = shared.parts.columns, shared.parts.said, space.parts.scratch, space.parts.kept
    room, followees, viewer_ = Room(scratch, kept_, made, number), said.followees, reader.viewer
    past, by = _past_of(columns, scratch, moment, viewer_), _by_author(columns, scratch, posts)
    mark_near(followees, scratch.near, viewer_)
    codes = _codes_of(by)
    touched = _touched(columns, scratch, past, len(by.authors))
    unkept, where = touched.copy(), np.empty(len(posts), np.int64)
    _unkept_of(kept_, number, posts, codes, unkept, where)
    if _look(columns, by.authors, unkept) < 0:  # never
        return
    read, now_hour = room_to_read(), int(moment.now // HOUR_S)
    _make(columns, said, room, moment, past, read, by, unkept, posts, codes, where)
    _lay(kept_, made, where, codes, out, first + _AUTHOR)
    _keep(kept_, number, posts, made, where, touched, codes)
    _fill_viewer(moment, past, len(list_of(followees, viewer_)), out, first)
    back = _back_of(columns, scratch, moment, read, viewer_, len(by.authors))
    between = _between(said, reader, scratch.near, by.authors, _shown(columns, scratch, seen, len(by.authors)))
    _own_author(past, back, codes, out, first + _AUTHOR)
    _own_siblings(past, codes, out, first + _SIBLINGS)
    _own_topics(columns, scratch, now_hour, posts, out, first + _TOPICS)
    _own_kinds(columns.by_post, scratch.near, now_hour, posts, out, first + _KINDS)
    _own_said(reader, between, codes, out, first + _SAID)
    for place in range(len(_RANKED)):
        _fill_rank(out[first + _RANKED[place]], _SIGNS[place], out[first + _RANKS + place])
    for one in by.authors:
        scratch.slot[one] = 0
    forget_near(followees, scratch.near, viewer_)
    _forget_past(columns, scratch, past)
