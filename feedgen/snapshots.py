"""Which snapshot a start takes, and when one is cut: the state and the removals as they stand at one log offset.

A start is the newest snapshot that can be trusted, and what the log holds of later. One that cannot be is passed over
with the reason: the one before it does, or the log from its beginning. Only where the events of a bulk import are in no
log there is nothing to fall back on, and the start says so.
"""

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.errors import BadSnapshot, LogError, SnapshotError
from feedgen.eventlog import EventLog
from feedgen.feed.keeping import packed, unpacked
from feedgen.feed.removals import RemovalIndex
from feedgen.keeper import StateKeeper
from feedgen.offloop import in_thread
from feedgen.state.snapshot import Draft, Header, Stand, drop_abandoned, layout_of, map_columns, read_header
from feedgen.state.state import State

FOLDER: Final = "snapshots"
"""Within data_dir."""
_IDENTITY, _BASE = ":identity", ":base"
"""Marks in the log: what tells it from every other, and the bulk import it goes on from."""
_PASSES: Final = 4
_SMALL: Final = 64 << 20
"""Bytes that may be left for the pass for which folding waits; copying them takes about 0.1 s."""
_STATE, _REMOVALS = "state.", "removals."
Columns = dict[str, NDArray[Any]]

_log = logging.getLogger(__name__)


class Cut(NamedTuple):
    """What came of writing one."""

    place: Path
    nbytes: int
    took_s: float
    pause_s: float
    """For how long nothing was folded."""
    passes: int


def settings_that_matter(settings: Settings) -> dict[str, float]:
    """Those by which state forgets; all others are looked at when it is read."""
    kept = settings.state
    return {
        "state.retention_days": kept.retention_days,
        "state.posts_per_author": kept.posts_per_author,
        "state.seen_per_viewer": kept.seen_per_viewer,
        "state.engaged_per_viewer": kept.engaged_per_viewer,
    }


async def identity_of(log: EventLog) -> str:
    """What tells this log from every other; drawn when it is first asked for. Raises LogError."""
    return await log.keep_mark(_IDENTITY, uuid.uuid4().hex)


async def rest_on(log: EventLog, base: str) -> None:
    """Say in the log that it goes on from the bulk import `base`. Raises LogError if it does from another one."""
    if await log.keep_mark(_BASE, base) != base:
        raise LogError("the log goes on from another bulk import already")


class Snapshots:
    """The snapshots of one data folder, for one state and its removals."""

    def __init__(
        self,
        data_dir: Path,
        settings: Settings,
        log: EventLog,
        state: State,
        removals: RemovalIndex,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` gets a line for people about each snapshot that is passed over."""
        self._folder = data_dir / FOLDER
        self._settings = settings
        self._log = log
        self._state = state
        self._removals = removals
        self._tell = tell
        self._base = ""
        self.stands_at = 0
        """Log offset of the latest snapshot that was read or written here."""
        self.last: Cut | None = None
        """The one that this process wrote last."""

    async def base(self) -> str:
        """Identity of the bulk import that the log goes on from; empty for none. Raises LogError."""
        return await self._log.mark(_BASE) or ""

    def places(self) -> list[Path]:
        """Those there are, newest first."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted((path for path in found if path.name.isdecimal()), reverse=True)

    async def restore(self, until_ts: float | None, on_bytes: Callable[[int, int], None]) -> Stand | None:
        """Into the empty state and removals the newest snapshot that can be used; where it stands, None for none.

        `until_ts`: no event later than this may be in it (s). `on_bytes` gets (checked, all) bytes, from a thread.
        Raises SnapshotError when there is none and the log alone does not hold everything; LogError.
        """
        self._base = await self.base()
        reasons = []
        for place in self.places():
            try:
                stand = await self._restore_one(place, until_ts, on_bytes)
            except BadSnapshot as error:
                reasons.append(f"snapshot {place.name} {error}")
                self._tell(f"feedgen: {reasons[-1]}; passed over")
                continue
            self.stands_at = stand.watermark
            return stand
        if self._base:
            why = "; ".join(reasons) or f"there is none in {self._folder}"
            raise SnapshotError(
                f"the log goes on from a bulk import, whose events are in its snapshot only, and that cannot be used: "
                f"{why}. Put it back, or import into a new folder"
            )
        return None

    async def _restore_one(self, place: Path, until_ts: float | None, on_bytes: Callable[[int, int], None]) -> Stand:
        header = read_header(place)
        await self._check(header, until_ts)
        columns = await in_thread(map_columns, place, header, on_bytes)
        self._state.restore(_under(_STATE, columns))
        self._state.watermark = header.stand.watermark
        self._removals.restore(unpacked(_under(_REMOVALS, columns)))
        return header.stand

    async def _check(self, header: Header, until_ts: float | None) -> None:
        """Raises BadSnapshot if it is another log's, another configuration's, or of a later time."""
        stand, head = header.stand, await self._log.head()
        if stand.log != await identity_of(self._log):
            raise BadSnapshot("is of another log")
        if stand.watermark > head:
            raise BadSnapshot(f"is of a longer log: it stands at offset {stand.watermark}, the log ends at {head}")
        if (await self._log.id_at(stand.watermark) or "") != stand.last_event:
            raise BadSnapshot(f"is of another log: at offset {stand.watermark} this one has another event")
        if stand.base != self._base:
            raise BadSnapshot("goes back to another bulk import than the log")
        for name, value in settings_that_matter(self._settings).items():
            if (was := stand.settings.get(name, value)) != value:  # what is older than a setting forgot nothing by it
                raise BadSnapshot(f"was made with {name} {was:g}, which is {value:g} now")
        if until_ts is not None and stand.latest_ts > until_ts:
            raise BadSnapshot("holds events that are later than --now")
        if header.layout != self._layout():
            raise BadSnapshot("is of an older version, whose state has other columns")

    def _layout(self) -> dict[str, str]:
        empty = State(self._settings.state, self._settings.ranking)
        removals = packed(RemovalIndex(1).kept)
        return layout_of({**_with(_STATE, empty.columns()), **_with(_REMOVALS, removals)})

    @property
    def due(self) -> bool:
        """Whether so much has been folded since the last one that another is worth while."""
        return bool(self._settings.snapshot.keep) and self._folded >= self._settings.snapshot.events_min

    @property
    def _folded(self) -> int:
        return self._state.watermark - self.stands_at

    async def run(self, keeper: StateKeeper) -> None:
        """Cut one whenever it is due, until cancelled. What goes wrong is logged; the next one is tried in time."""
        while True:
            await self.cut_if_due(keeper)
            await asyncio.sleep(self._settings.snapshot.every_s)

    async def cut_if_due(self, keeper: StateKeeper) -> None:
        """Cut one if so many events have been folded. A disk that is full costs the snapshot and nothing else."""
        if not self.due:
            return
        try:
            await self.cut(keeper)
        except (OSError, LogError) as error:
            _log.warning("no snapshot could be written to %s: %s", self._folder, error)

    async def cut(self, keeper: StateKeeper, base: str = "") -> Cut | None:
        """Write the state as it stands, and drop all but the latest. None if it knows a part of the log only (--now).

        Most is written while folding goes on; folding waits for the last pass, which writes what has changed since.
        Generation never waits. `base`: identity of the bulk import that this is. Raises OSError, LogError.
        """
        if keeper.whole_to < self._state.watermark:
            return None
        if not base and await self.base() != self._base:
            raise LogError("it goes on from a bulk import that came after this process had begun: start it again")
        began = time.perf_counter()
        await in_thread(drop_abandoned, self._folder)
        with Draft(self._folder / f"{self._state.watermark:020d}") as draft:
            passes = await self._ahead(draft, keeper)
            async with keeper.still():
                paused = time.perf_counter()
                stand = await self._stand(keeper, base or self._base)
                kept = self._removals.kept
                await in_thread(draft.write, _with(_STATE, self._state.columns()))
                pause_s = time.perf_counter() - paused
            await in_thread(draft.write, _with(_REMOVALS, packed(kept)))
            place = await in_thread(draft.finish, stand, self._folder / f"{stand.watermark:020d}")
        self.stands_at, self._base = stand.watermark, stand.base
        self.last = Cut(place, draft.nbytes, time.perf_counter() - began, pause_s, passes + 1)
        await self._drop_old()
        return self.last

    async def _ahead(self, draft: Draft, keeper: StateKeeper) -> int:
        """Write while folding goes on, until little is left to write; how many passes that took."""
        for passes in range(1, _PASSES + 1):  # noqa: B007, it is what is answered
            async with keeper.still():  # arrays of one moment; what is in them may change while they are written
                columns = _with(_STATE, self._state.columns())
            written = await in_thread(draft.write, columns)
            if written <= _SMALL:
                break
            await in_thread(draft.sync)
        return passes

    async def _stand(self, keeper: StateKeeper, base: str) -> Stand:
        watermark = self._state.watermark
        return Stand(
            log=await identity_of(self._log),
            watermark=watermark,
            last_event=await self._log.id_at(watermark) or "",
            latest_ts=keeper.latest_ts,
            settings=settings_that_matter(self._settings),
            base=base,
        )

    async def _drop_old(self) -> None:
        """All but the latest `keep`, and those of a longer log, put back since, which would be the latest for long.

        What stands at 0 is a bulk import's own: what came after it can be folded again, it cannot.
        """
        places = self.places()
        head = await self._log.head()  # asked after: another process may just have written one
        beyond = [place for place in places if int(place.name) > head]
        within = [place for place in places if int(place.name) <= head]
        for place in [*beyond, *within[self._settings.snapshot.keep :]]:
            if int(place.name):
                await in_thread(shutil.rmtree, place, ignore_errors=True)


def _with(prefix: str, columns: Columns) -> Columns:
    return {prefix + name: column for name, column in columns.items()}


def _under(prefix: str, columns: Columns) -> Columns:
    return {name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)}
