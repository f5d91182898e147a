"""Feeds of a batch of viewers by the compiled kernels: state's columns in, bulk columns out.

Several threads may make batches at once; each has its own scratch.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.diversity import seeds_of
from feedgen.events import Event
from feedgen.feed.ids import PackedIds
from feedgen.feed.record import Bulk, Generation
from feedgen.kernels import packing
from feedgen.kernels.columns import Columns, Viewers
from feedgen.kernels.filters import FILTERS
from feedgen.kernels.marks import Marks
from feedgen.kernels.mixing import Mixing, mix
from feedgen.kernels.scoring import Picked, Scoring
from feedgen.kernels.selecting import Tally, select
from feedgen.kernels.sources import SOURCES
from feedgen.kernels.taste import WIDTH
from feedgen.layout import columns_of, rules_of
from feedgen.models.ranker import LineUp, Ranker
from feedgen.ranking.features import FEATURES
from feedgen.ranking.heads import Heads
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch, epoch_of
from feedgen.state.attributes import NONE, UNSAID
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.state import State

AT_ONCE: Final = 64
"""Viewers whose records are held at once, 25 KB each; a call of the kernels costs 60 µs, whatever their number."""
_DAY_S: Final = 86_400.0


class Room(NamedTuple):
    """Where a batch is put, by viewer and place; `arena`: the bytes of its ids."""

    picked: Picked
    packed: packing.Packed
    arena: NDArray[np.uint8]


class Scratch(threading.local):
    """What one thread works with: marks by post and user, all clean between batches, and room for a batch."""

    def __init__(self) -> None:
        self._marks = _marks(0, 0, 0)
        self._room: Room | None = None

    def marks(self, posts: int, users: int, topics: int) -> Marks:
        """For at least so many of each. O(1) unless they have grown much."""
        marks = self._marks
        if posts > len(marks.post) or users > len(marks.near) or topics * WIDTH > len(marks.cell):
            marks = self._marks = _marks(posts + posts // 4, users + users // 4, 2 * topics)
        return marks

    def room(self, viewers: int, items: int, *, staged: bool) -> Room:
        """For so many viewers, `AT_ONCE` at most, with at most so many items each; `staged`: and their features."""
        room = self._room
        if room is None or len(room.picked.features) < staged:
            room = self._room = _room(AT_ONCE, items, AT_ONCE if staged else 0)
        rows = slice(viewers)
        picked, packed = Picked(*_first(rows, room.picked)), packing.Packed(*_first(rows, room.packed))
        return Room(picked if staged else picked._replace(features=picked.features[:0]), packed, room.arena)

    def keep(self, arena: NDArray[np.uint8]) -> None:
        """The arena that the last batch needed is there for the next one."""
        if self._room is not None and len(arena) > len(self._room.arena):
            self._room = self._room._replace(arena=arena)


def _first(rows: slice, parts: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    return (part[rows] for part in parts)


def _marks(posts: int, users: int, topics: int) -> Marks:
    return Marks(
        post=np.zeros(posts, np.uint8),
        place=np.zeros(posts, np.int32),
        near=np.zeros(users, np.uint8),
        slot=np.full(users, -1, np.int32),
        cell=np.full(topics * WIDTH, -1, np.int32),
    )


def _room(viewers: int, items: int, staged: int) -> Room:
    shape = (viewers, items)
    picked = Picked(
        counts=np.empty(viewers, np.int64),
        posts=np.empty(shape, np.int32),
        origin=np.empty(shape, np.uint8),
        damped=np.empty(shape, np.bool_),
        scores=np.empty(shape),
        features=np.empty((staged, items, len(FEATURES))),
    )
    packed = packing.Packed(
        ids=np.empty((viewers, 2, 4), np.int64),
        ends=np.empty((viewers, 2, items), np.uint32),
        authors=np.empty(viewers, np.int64),
        author_of=np.empty(shape, np.uint16),
        author_of_8=np.empty(shape, np.uint8),
        scores=np.empty(shape, np.float32),
        finite=np.empty(viewers, np.bool_),
        whole=np.empty(viewers, np.bool_),
        seconds=np.empty(shape, np.uint32),
        created=np.empty(shape),
        origin=np.empty(shape, np.uint8),
        explored=np.empty((viewers, (items + 7) // 8), np.uint8),
    )
    return Room(picked, packed, np.empty(2 * 8 * viewers * items, np.uint8))


class BatchMaker:
    """Makes the feeds of viewers given by dense index."""

    def __init__(
        self, state: State, settings: Settings, ranker: Ranker, context: Callable[[int, float], ViewerContext]
    ) -> None:
        """`context`: of a viewer at a moment, for the signals of stage two."""
        self._state = state
        self._settings = settings
        self._ranker = ranker
        self._context = context
        self._scratch = Scratch()
        self._columns: tuple[Epoch, Columns] | None = None

    def make(
        self, viewers: NDArray[np.int64], line_up: LineUp, epoch: Epoch, now: float
    ) -> tuple[list[Bulk | Exception], dict[str, int]]:
        """A feed each, the error for one that failed, and what was counted (Pipeline.counted). `AT_ONCE` at most."""
        try:
            return self._made(viewers, line_up, epoch, now)
        except BaseException:
            self._scratch = Scratch()  # a kernel that stops half-way, for want of memory, leaves its marks behind
            raise

    def _made(
        self, viewers: NDArray[np.int64], line_up: LineUp, epoch: Epoch, now: float
    ) -> tuple[list[Bulk | Exception], dict[str, int]]:
        settings, state, scratch = self._settings, self._state, self._scratch
        columns, rules = self._columns_at(epoch), rules_of(self._state, self._settings, now)
        marks = scratch.marks(len(state.post_ids), len(state.users), len(state.topic_names))
        staged = bool(line_up.versions or line_up.missing)
        room = scratch.room(len(viewers), settings.feed.items, staged=staged)
        tally = Tally(np.zeros(len(SOURCES), np.int64), np.zeros(len(FILTERS), np.int64), np.zeros(2, np.int64))
        scoring = self._scoring(self._ranker.heads(line_up))
        select(columns, marks, rules, self._viewers(viewers, now), scoring, room.picked, tally)
        if staged:
            self._rescore(line_up, viewers, room.picked, now)
        generation = Generation(epoch.watermark, round(now * 1000))
        source = packing.Source(
            *(columns.posts.author, columns.posts.created, columns.posts.media),
            *(columns.posts.names, columns.people.names),
        )
        keys = self._seeds(viewers, generation)
        arena = mix(source, marks.slot, self._mixing(now), room.picked, keys, room.arena, room.packed)
        scratch.keep(arena)
        return self._bulks(generation, room.picked, room.packed, arena), _counted(tally)

    def _bulks(
        self, generation: Generation, picked: Picked, packed: packing.Packed, arena: NDArray[np.uint8]
    ) -> list[Bulk | Exception]:
        """What stands in the arrays as records of their own. O(bytes)."""
        share, bulks = self._settings.diversity.explore_share, list[Bulk | Exception]()
        finite, authors, whole = packed.finite.tolist(), packed.authors.tolist(), packed.whole.tolist()
        ids, ends, data = packed.ids.tolist(), packed.ends, arena.data
        wide, narrow, scores = _Rows(packed.author_of), _Rows(packed.author_of_8), _Rows(packed.scores)
        seconds, exact, origin = _Rows(packed.seconds), _Rows(packed.created), _Rows(packed.origin)
        explored = _Rows(packed.explored)
        for row, count in enumerate(picked.counts.tolist()):
            if not finite[row]:
                bulks.append(ValueError("a score is not finite (as float32)"))
                continue
            numbers, created = narrow if authors[row] <= 256 else wide, seconds if whole[row] else exact
            bulks.append(
                Bulk(
                    generation.watermark,
                    generation.generated_at_ms,
                    _ids(data, count, ids[row][0], ends[row, 0]),
                    _ids(data, authors[row], ids[row][1], ends[row, 1]),
                    numbers.cut(row, count),
                    scores.cut(row, count),
                    "I" if whole[row] else "d",
                    created.cut(row, count),
                    SOURCES,
                    origin.cut(row, count),
                    share,
                    explored.cut(row, (count + 7) // 8),
                )
            )
        return bulks

    def _rescore(self, line_up: LineUp, viewers: NDArray[np.int64], picked: Picked, now: float) -> None:
        """Stage two: new scores for what is picked. mixing.mix puts them in order."""
        for row, viewer in enumerate(viewers.tolist()):
            count = picked.counts[row]
            features, scores = picked.features[row, :count], picked.scores[row, :count]
            posts, context = picked.posts[row, :count], self._context(viewer, now)
            scores[:] = self._ranker.rescored(line_up, context, posts, features, scores)

    def _columns_at(self, epoch: Epoch) -> Columns:
        """The same for all batches of an epoch. Two threads may both put them together, and get the same."""
        known = self._columns
        if known is None or known[0] is not epoch:
            known = self._columns = (epoch, columns_of(self._state, self._settings.ranking, epoch))
        return known[1]

    def _scoring(self, heads: Heads) -> Scoring:
        settings = self._settings
        return Scoring(
            *(heads.weights, heads.bias, heads.values, heads.squashed),
            penalty=float(settings.spam.penalty),
            items=settings.feed.items,
        )

    def _mixing(self, now: float) -> Mixing:
        rules = self._settings.diversity
        return Mixing(
            now=float(now),
            penalty=float(self._settings.spam.penalty),
            author_penalty=float(rules.author_penalty),
            media_places=rules.media_places,
            fresh_lift=float(rules.fresh_lift),
            fresh_s=float(rules.fresh_hours * SECONDS_PER_HOUR),
            explore_share=float(rules.explore_share),
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

    def _seeds(self, viewers: NDArray[np.int64], generation: Generation) -> NDArray[np.uint64]:
        """What decides each viewer's draws: the key of diversity.explore, as two words."""
        (bounds, names), lead = self._state.users.encoded, f"{self._settings.diversity.seed} {generation} ".encode()
        spans = zip(bounds[viewers].tolist(), bounds[viewers + 1].tolist(), strict=True)
        return seeds_of(lead + names[start:end].tobytes() for start, end in spans)


_EVERY_LOOP: Final = (
    Event("1", "post", 0.5, "nobody", "nothing", {"topics": ["nothing"]}),
    Event("2", "post", 0.0, "nobody", "nothing else", {}),
    Event("3", "edit", 0.5, "nobody", "nothing", {"media": "none"}),
    Event("4", "user", 0.5, "nobody", None, {"verified": False}),
    Event("5", "follow", 0.5, "nobody", "no one", {}),
    Event("6", "block", 0.5, "nobody", "none", {}),
    Event("7", "like", 0.5, "nobody", "nothing", {}),
    Event("8", "hide", 0.5, "nobody", "nothing", {}),
    Event("9", "view", 0.5, "nobody", None, {"objects": ["nothing"]}),
)
"""Events whose folding runs every compiled part of state."""


def warm() -> None:
    """Have every kernel and every compiled part of folding compiled, or read from where it is kept.

    About a minute the first time, then a second. Before the first request, so that none waits for it.
    """
    settings = Settings()
    state = State(settings.state, settings.ranking)
    state.fold(enumerate(_EVERY_LOOP, start=1))
    epoch = epoch_of(state, 0, _DAY_S, 1)
    ranker = Ranker(settings, state, time.monotonic)

    def context(viewer: int, now: float) -> ViewerContext:
        return ViewerContext(state, viewer, now, _DAY_S, 1, 1.0, lambda _: epoch)

    BatchMaker(state, settings, ranker, context).make(np.zeros(1, np.int64), LineUp(), epoch, 1.0)


def _counted(tally: Tally) -> dict[str, int]:
    named, (gathered, damped) = tally.named.tolist(), tally.whole.tolist()
    counted = {f"source_{name}": count for name, count in zip(SOURCES, named, strict=True)}
    counted |= {f"filter_{name}": count for name, count in zip(FILTERS, tally.removed.tolist(), strict=True)}
    counted["filter_duplicate"] = sum(named) - gathered
    counted["spam_damped"] = damped
    return counted


class _Rows:
    """Bytes of the rows of a contiguous array of two dimensions, without an array for each."""

    __slots__ = ("_bytes", "_each", "_row")

    def __init__(self, values: NDArray[Any]) -> None:
        self._bytes, self._row, self._each = values.data.cast("B"), values.strides[0], values.itemsize

    def cut(self, row: int, count: int) -> bytes:
        """The first so many entries of the row; a copy."""
        first = row * self._row
        return self._bytes[first : first + count * self._each].tobytes()


def _ids(data: memoryview, count: int, parts: list[int], ends: NDArray[np.uint32]) -> PackedIds:
    kind, width, start, end = parts
    cuts = ends[:count].tobytes() if kind == packing.ARENA else b""
    return PackedIds(packing.KINDS[kind], count, width, data[start:end].tobytes(), cuts)
