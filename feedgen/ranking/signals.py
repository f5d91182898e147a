"""Signals: what stage two knows of a viewer's candidates beyond the features of stage one.

One definition for training, replay and serving; docs/signals.md has the table. A signal that is not known is MISSING,
which trees read as such. Everything is of the moment `now` and the state as it is then: replay folds no later event.
"""

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.binding import Bound, bind
from feedgen.config import Ranking
from feedgen.ranking import likeness, said
from feedgen.ranking.groups import kinds
from feedgen.ranking.groups.columns import DAY_S, SPAN_DAYS, Columns, Moment, Scratch
from feedgen.ranking.groups.kept import PLACES, Kept, room_to_keep
from feedgen.ranking.groups.sweep import GROUPS as SWEPT
from feedgen.ranking.groups.sweep import KEPT, Shared, Space, sweep
from feedgen.ranking.groups.sweep import SIGNALS as SWEPT_SIGNALS
from feedgen.ranking.groups.topics import unmet_of
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch
from feedgen.state.state import State

MISSING: Final = np.float32(np.nan)
GROUPS: Final = (*SWEPT, kinds, said, likeness)
SIGNALS: Final = (*SWEPT_SIGNALS, *kinds.SIGNALS, *said.SIGNALS, *likeness.SIGNALS)
NAMES: Final = tuple(signal.name for signal in SIGNALS)


class _Room(threading.local):
    """Of one thread: scratch, and rows that are kept."""

    def __init__(self) -> None:
        self._scratch = _clean(0, 0, 0)
        self._space: Bound | None = None
        self._made = np.empty((0, KEPT), np.float32)
        self._kept: Kept | None = None
        self._of: tuple[Epoch, Moment] | None = None
        self._number = 0

    def at(
        self, epoch: Epoch, moment: Moment, candidates: int, posts: int, users: int, topics: int
    ) -> tuple[Bound, NDArray[np.float32], int]:
        """For at least so many of each, as `sweep` takes it. O(1) unless they have grown much."""
        room = self._scratch
        if posts > len(room.own) or users > len(room.slot) or topics > len(room.cell):
            room = self._scratch = _clean(posts + posts // 4, users + users // 4, 2 * topics)
            self._space = None
        if self._of is None or self._of[0] is not epoch or self._of[1] != moment:
            self._of, self._number = (epoch, moment), self._number + 1
        if self._kept is None:
            self._kept = room_to_keep(PLACES, KEPT)
        if self._space is None:
            self._space = bind(Space(room, self._kept))
        if candidates > len(self._made):
            self._made = np.empty((candidates, KEPT), np.float32)
        return self._space, self._made, self._number


def _clean(posts: int, users: int, topics: int) -> Scratch:
    own, slot, met, met_hour, cell = (np.zeros(count, np.int32) for count in (posts, users, topics, topics, topics))
    near, counted = np.zeros(users // 32 + 1, np.uint32), np.zeros(posts, np.bool_)
    return Scratch(own, slot, met, met_hour, np.zeros(topics), cell, near, counted)


class Signals:
    """Signals of one viewer's candidates at a time. Several threads may ask at once, as long as nobody folds."""

    def __init__(self, state: State, settings: Ranking) -> None:
        self._state = state
        self._settings = settings
        self._room = _Room()
        self._told = said.Told(state)
        self._known: tuple[Epoch, int, Bound] | None = None

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, SIGNALS); see `fill`."""
        columns = np.empty((len(SIGNALS), len(posts)), np.float32)
        self.fill(context, posts, columns, 0)
        return columns.T

    def fill(self, context: ViewerContext, posts: NDArray[np.int32], into: NDArray[np.float32], first: int) -> None:
        """SIGNALS of all posts, each a row of the contiguous `into`, from row `first` on.

        O(what the viewer engaged with + what others did with the viewer's posts and with `posts` + followees of the
        authors), and for authors whom no other viewer asked for at this moment, O(AUTHOR_POSTS); the first time in an
        epoch also O(posts + topics).
        """
        state, now = self._state, float(np.floor(context.now))
        shared = self._known_at(context.epoch, now)
        moment = Moment(now, now - min(SPAN_DAYS * DAY_S, state.posts.retention_s))
        sizes = len(posts), len(state.post_ids), len(state.users), len(state.topic_names)
        room = self._room.at(context.epoch, moment, *sizes)
        seen = state.impressions.seen.posts_of(context.viewer, context.now)
        reader = self._told.reader(context.viewer, views=len(seen) > 0)
        try:
            sweep(shared, *room, moment, reader, seen, posts, into, first)
        except BaseException:
            self._room = _Room()  # one that stops half-way, for want of memory, leaves its marks behind
            raise
        first += len(SIGNALS) - len(likeness.SIGNALS)
        into[first : first + len(likeness.SIGNALS)] = likeness.likeness(state, context, posts).T

    def _known_at(self, epoch: Epoch, now: float) -> Bound:
        """The same for all viewers of an epoch and a day. Two threads may both put them together, and get the same."""
        known, day = self._known, int(now // DAY_S)
        if known is None or known[0] is not epoch or known[1] != day:
            parts = Shared(_columns_of(self._state, epoch), self._told.of_all(epoch, now))
            known = self._known = (epoch, day, bind(parts))
        return known[2]


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
        unmet_of(about.posts_about),
        posts.recent,
        state.engagement.by_viewer,
        state.engagement.by_post,
    )
