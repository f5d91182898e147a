"""Signals: what stage two knows of a viewer's candidates beyond the features of stage one.

One definition for training, replay and serving; docs/ranking.md has the table. A signal that is not known is MISSING,
which trees read as such. Everything is of the moment `now` and the state as it is then: replay folds no later event.
"""

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.ranking import likeness, said
from feedgen.ranking.groups import kinds
from feedgen.ranking.groups.columns import DAY_S, HOUR_S, SPAN_DAYS, Columns, Moment, Scratch
from feedgen.ranking.groups.sweep import GROUPS as SWEPT
from feedgen.ranking.groups.sweep import SIGNALS as SWEPT_SIGNALS
from feedgen.ranking.groups.sweep import sweep
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch
from feedgen.state.state import State

MISSING: Final = np.float32(np.nan)
GROUPS: Final = (*SWEPT, kinds, said, likeness)
SIGNALS: Final = (*SWEPT_SIGNALS, *kinds.SIGNALS, *said.SIGNALS, *likeness.SIGNALS)
NAMES: Final = tuple(signal.name for signal in SIGNALS)


class _Room(threading.local):
    """Scratch of one thread."""

    def __init__(self) -> None:
        self._scratch = _clean(0, 0, 0)

    def scratch(self, posts: int, users: int, topics: int) -> Scratch:
        """For at least so many of each. O(1) unless they have grown much."""
        room = self._scratch
        if posts > len(room.own) or users > len(room.slot) or topics > len(room.cell):
            room = self._scratch = _clean(posts + posts // 4, users + users // 4, 2 * topics)
        return room


def _clean(posts: int, users: int, topics: int) -> Scratch:
    return Scratch(*(np.zeros(count, np.int32) for count in (posts, users, topics, topics, topics)))


class Signals:
    """Signals of one viewer's candidates at a time. Several threads may ask at once, as long as nobody folds."""

    def __init__(self, state: State, settings: Ranking) -> None:
        self._state = state
        self._settings = settings
        self._room = _Room()
        self._said = said.Said(state)
        self._columns: tuple[Epoch, Columns] | None = None

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, SIGNALS); see `fill`."""
        rows = np.empty((len(posts), len(SIGNALS)), np.float32)
        self.fill(context, posts, rows, 0)
        return rows

    def fill(self, context: ViewerContext, posts: NDArray[np.int32], rows: NDArray[np.float32], first: int) -> None:
        """SIGNALS of each post, a row of the contiguous `rows`, from column `first` on.

        O(what the viewer engaged with + what others did with the viewer's posts and with `posts` + AUTHOR_POSTS ×
        authors of `posts`);
        the first time in an epoch also O(topics).
        """
        columns, state = self._columns_at(context.epoch), self._state
        moment = Moment(float(context.now), float(context.now - min(SPAN_DAYS * DAY_S, self._state.posts.retention_s)))
        scratch = self._room.scratch(len(state.post_ids), len(state.users), len(state.topic_names))
        near = context.followed
        try:
            sweep(columns, scratch, moment, context.viewer, len(context.followees), posts, rows, first)
            first += len(SWEPT_SIGNALS)
            kinds.count(columns.by_post, near, int(moment.now // HOUR_S), posts, rows, first)
            first += len(kinds.SIGNALS)
            self._said.fill(context, near, scratch.slot, posts, rows, first)
        except BaseException:
            self._room = _Room()  # one that stops half-way, for want of memory, leaves its marks behind
            raise
        first += len(said.SIGNALS)
        rows[:, first : first + len(likeness.SIGNALS)] = likeness.likeness(state, context, posts)

    def _columns_at(self, epoch: Epoch) -> Columns:
        """The same for all viewers of an epoch. Two threads may both put them together, and get the same."""
        known = self._columns
        if known is None or known[0] is not epoch:
            known = self._columns = (epoch, _columns_of(self._state, epoch))
        return known[1]


def _columns_of(state: State, epoch: Epoch) -> Columns:
    posts, about = state.posts, state.about_posts
    return Columns(
        posts.author,
        posts.created,
        posts.deleted,
        state.engagement.touched.first,
        state.engagement.touched.last,
        epoch.engaged,
        *about.topics,
        about.posts_about,
        posts.recent,
        state.engagement.by_viewer,
        state.engagement.by_post,
    )
