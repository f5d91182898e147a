"""Candidates of viewers by the compiled kernels: state's columns in, the best by stage one and their features out.

Several threads may choose at once; each has its own scratch.
"""

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from feedgen.cards import CardIndex
from feedgen.config import Settings
from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.filters import FILTERS
from feedgen.kernels.marks import Marks
from feedgen.kernels.packing import Source
from feedgen.kernels.scoring import Picked, Scoring
from feedgen.kernels.selecting import Tally, select
from feedgen.kernels.sources import SOURCES
from feedgen.kernels.taste import WIDTH
from feedgen.kernels.watch import STAGES
from feedgen.layout import columns_of, rules_of
from feedgen.ranking.features import FEATURES
from feedgen.ranking.heads import Heads
from feedgen.selection.epoch import Epoch
from feedgen.state.attributes import NONE, UNSAID
from feedgen.state.state import State


class _Scratch(threading.local):
    """Marks of one thread, all clean between batches."""

    def __init__(self) -> None:
        self._marks = _marks(0, 0)

    def marks(self, users: int, topics: int) -> Marks:
        """For at least so many of each. O(1) unless they have grown much."""
        marks = self._marks
        if users // 4 >= len(marks.near) or topics * WIDTH > len(marks.cell):
            marks = self._marks = _marks(users + users // 4, 2 * topics)
        return marks

    def drop(self) -> None:
        """This thread's go; its next marks are new and clean, those of other threads stay."""
        self._marks = _marks(0, 0)


def _marks(users: int, topics: int) -> Marks:
    return Marks(near=np.zeros(users // 4 + 1, np.uint8), cell=np.full(topics * WIDTH, -1, np.int32))


def empty_tally() -> Tally:
    """Nothing counted yet."""
    return Tally(*(np.zeros(count, np.int64) for count in (len(SOURCES), len(FILTERS), 2, len(STAGES) + 1)))


def empty_picked(viewers: int, items: int, featured: int) -> Picked:
    """Room for so many items of each viewer, and for their features of the first `featured` ones; not set."""
    shape = (viewers, items)
    return Picked(
        counts=np.empty(viewers, np.int64),
        posts=np.empty(shape, np.int32),
        origin=np.empty(shape, np.uint8),
        damped=np.empty(shape, np.bool_),
        scores=np.empty(shape),
        features=np.empty((featured, items, len(FEATURES))),
    )


class Chooser:
    """Chooses for viewers given by dense index. As a context, around all that uses its marks: a kernel that stops
    half-way, for want of memory, leaves them behind, and what fails inside has the thread's next batch begin with clean
    ones."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._scratch = _Scratch()
        self._lock = threading.Lock()
        self._cards = CardIndex(state)
        self._columns: tuple[Epoch, Columns] | None = None

    def marks(self) -> Marks:
        """The scratch of this thread, as large as the state is now."""
        state = self._state
        return self._scratch.marks(len(state.users), len(state.topic_names))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._scratch.drop()

    def choose(self, viewers: NDArray[np.int64], heads: Heads, epoch: Epoch, now: float, into: Picked) -> Tally:
        """Fill `into` with the best candidates by `heads`, as many as it has room for; what was counted on the way."""
        tally = empty_tally()
        select(*self.parts(viewers, heads, epoch, now, into.posts.shape[1]), into, tally)
        return tally

    def parts(
        self, viewers: NDArray[np.int64], heads: Heads, epoch: Epoch, now: float, items: int
    ) -> tuple[Columns, Marks, Rules, Viewers, Scoring]:
        """What kernels choose the best `items` from, and by."""
        columns, rules = self.columns_at(epoch), rules_of(self._state, self._settings, now)
        return columns, self.marks(), rules, self._viewers(viewers, now), self._scoring(heads, items)

    def source(self, epoch: Epoch) -> Source:
        """What records are written from."""
        columns = self.columns_at(epoch)
        return Source(columns.cards, columns.posts.names, columns.people.names)

    def columns_at(self, epoch: Epoch) -> Columns:
        """The same for all batches of an epoch."""
        with self._lock:
            known = self._columns
            if known is None or known[0] is not epoch:
                cards = self._cards.at(epoch)
                known = self._columns = (epoch, columns_of(self._state, self._settings.ranking, epoch, cards))
            return known[1]

    def _scoring(self, heads: Heads, items: int) -> Scoring:
        settings = self._settings
        return Scoring(
            *(heads.weights, heads.bias, heads.values, heads.squashed),
            penalty=float(settings.spam.penalty),
            items=items,
        )

    def _viewers(self, viewers: NDArray[np.int64], now: float) -> Viewers:
        about, year = self._state.about_users, datetime.fromtimestamp(now, UTC).year
        born, language = about.codes(viewers, "birth_year"), about.codes(viewers, "language")
        known = born != UNSAID
        return Viewers(
            viewers,
            self._state.logins.last_of(viewers),
            np.where(known, np.maximum(year - born.astype(np.int64), 0), 0),
            known,
            np.where(language == UNSAID, NONE, language).astype(np.int64),
        )
