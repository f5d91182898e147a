"""Feeds of a batch of viewers by the compiled kernels: what was chosen for them in, bulk columns out.

Several threads may make batches at once; each has its own scratch.
"""

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.choosing import Chooser, empty_picked, empty_tally
from feedgen.config import Settings
from feedgen.diversity import lead
from feedgen.feed.ids import PackedIds
from feedgen.feed.record import Bulk, Generation
from feedgen.kernels import packing
from feedgen.kernels.filters import FILTERS
from feedgen.kernels.generating import generate
from feedgen.kernels.mixing import Mixing, mix
from feedgen.kernels.scoring import Picked
from feedgen.kernels.selecting import Tally
from feedgen.kernels.sources import SOURCES
from feedgen.kernels.watch import STAGES
from feedgen.models.ranker import LineUp, Ranker
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch
from feedgen.state.columns import SECONDS_PER_HOUR

AT_ONCE: Final = 64
"""Viewers whose records are held at once, 20 KB each; a call of the kernels costs 60 µs, whatever their number."""
_BYTES_EACH: Final = 40
"""Of an item in a record, where ids take 8 bytes at most."""


class Room(NamedTuple):
    """Where a batch is put. `picked`: of each viewer where two stages rank, else of one; `arena`: parts of records."""

    picked: Picked
    packed: packing.Packed
    arena: NDArray[np.uint8]


class Made(NamedTuple):
    """Of a batch: a feed each, or the error of one that failed. `counted`: see Pipeline.counted; `took_ns`: of the
    processor, by stage, for the one viewer who was timed."""

    feeds: list[Bulk | Exception]
    counted: dict[str, int]
    took_ns: dict[str, int]


class Scratch(threading.local):
    """Room of one thread for a batch of `AT_ONCE` viewers, where one stage ranks and where two do."""

    def __init__(self) -> None:
        self._rooms: dict[bool, Room] = {}

    def room(self, items: int, *, staged: bool) -> Room:
        """For at most so many items a viewer; `staged`: and their features."""
        room = self._rooms.get(staged)
        if room is None:
            room = self._rooms[staged] = _room(items, AT_ONCE if staged else 0)
        return room

    def keep(self, arena: NDArray[np.uint8], *, staged: bool) -> None:
        """The arena that the last batch needed is there for the next one."""
        if arena is not self._rooms[staged].arena:
            self._rooms[staged] = self._rooms[staged]._replace(arena=arena)


def _room(items: int, viewers: int) -> Room:
    """`viewers`: whose features stage two is to have; 0 where there is none."""
    picked = empty_picked(max(viewers, 1), items, viewers)
    cuts, facts = (np.empty((AT_ONCE, parts), np.int64) for parts in (packing.PARTS + 1, packing.FACTS))
    return Room(picked, packing.Packed(cuts, facts), np.empty(_BYTES_EACH * AT_ONCE * items, np.uint8))


class BatchMaker:
    """Makes the feeds of viewers given by dense index."""

    def __init__(
        self,
        settings: Settings,
        ranker: Ranker,
        chooser: Chooser,
        context: Callable[[int, float], ViewerContext],
    ) -> None:
        """`context`: of a viewer at a moment, for the signals of stage two."""
        self._settings = settings
        self._ranker = ranker
        self._chooser = chooser
        self._context = context
        self._scratch = Scratch()

    def make(self, viewers: NDArray[np.int64], line_up: LineUp, epoch: Epoch, now: float) -> Made:
        """Raises ValueError for more than `AT_ONCE` viewers."""
        if len(viewers) > AT_ONCE:
            raise ValueError(f"{len(viewers)} viewers at once; {AT_ONCE} at most")
        settings, staged = self._settings, line_up.staged
        room = self._scratch.room(settings.feed.items, staged=staged)
        generation = Generation(epoch.watermark, round(now * 1000))
        heads, mixing = self._ranker.heads(line_up), mixing_of(settings, now)
        words = lead(settings.diversity.seed, str(generation))
        with self._chooser as chooser:
            if staged:
                tally = chooser.choose(viewers, heads, epoch, now, room.picked)
                self._rescore(line_up, viewers, room.picked, now)
                source, into = chooser.source(epoch), room.packed
                arena = mix(source, mixing, room.picked, words, viewers, room.arena, into, tally.took)
            else:
                chosen, tally = chooser.parts(viewers, heads, epoch, now, settings.feed.items), empty_tally()
                arena = generate(*chosen, mixing, words, room.picked, tally, room.arena, room.packed)
        self._scratch.keep(arena, staged=staged)
        took = dict(zip(STAGES, tally.took.tolist(), strict=False))
        return Made(self._bulks(generation, len(viewers), room.packed, arena), _counted(tally), took)

    def _bulks(
        self, generation: Generation, viewers: int, packed: packing.Packed, arena: NDArray[np.uint8]
    ) -> list[Bulk | Exception]:
        """What stands in the arena as records of their own. O(bytes)."""
        share, data, bulks = self._settings.diversity.explore_share, arena.data, list[Bulk | Exception]()
        for cuts, facts in zip(packed.cuts[:viewers].tolist(), packed.facts[:viewers].tolist(), strict=True):
            times, scores, ends, authors_ends, author_of, reasons, explored, items, authors, end = cuts
            count, distinct, kind, width, authors_kind, authors_width, whole, finite = facts
            if not finite:
                bulks.append(ValueError("a score is not finite (as float32)"))
                continue
            bulks.append(
                Bulk(
                    generation.watermark,
                    generation.generated_at_ms,
                    _ids(kind, count, width, data[items:authors], data[ends:authors_ends]),
                    _ids(authors_kind, distinct, authors_width, data[authors:end], data[authors_ends:author_of]),
                    data[author_of:reasons].tobytes(),
                    data[scores:ends].tobytes(),
                    "I" if whole else "d",
                    data[times:scores].tobytes(),
                    SOURCES,
                    data[reasons:explored].tobytes(),
                    share,
                    data[explored:items].tobytes(),
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


def _ids(kind: int, count: int, width: int, data: memoryview, ends: memoryview) -> PackedIds:
    """`ends` say something where the kind is ARENA. O(bytes), copies."""
    cuts = ends.tobytes() if kind == packing.ARENA else b""
    return PackedIds(packing.KINDS[kind], count, width, data.tobytes(), cuts)


def mixing_of(settings: Settings, now: float) -> Mixing:
    """The rules of diversity, and what a post beyond its author's rate loses."""
    rules = settings.diversity
    return Mixing(
        now=float(now),
        penalty=float(settings.spam.penalty),
        author_penalty=float(rules.author_penalty),
        media_places=rules.media_places,
        fresh_lift=float(rules.fresh_lift),
        fresh_s=float(rules.fresh_hours * SECONDS_PER_HOUR),
        explore_share=float(rules.explore_share),
    )


def _counted(tally: Tally) -> dict[str, int]:
    named, (gathered, damped) = tally.named.tolist(), tally.whole.tolist()
    counted = {f"source_{name}": count for name, count in zip(SOURCES, named, strict=True)}
    counted |= {f"filter_{name}": count for name, count in zip(FILTERS, tally.removed.tolist(), strict=True)}
    counted["filter_duplicate"] = sum(named) - gathered
    counted["spam_damped"] = damped
    return counted
