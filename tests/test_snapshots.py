"""A snapshot and the log's tail are the log from its beginning; what cannot be trusted is passed over."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen import config, snapshots
from feedgen.config import Settings
from feedgen.errors import SnapshotError
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.feed.removals import RemovalIndex
from feedgen.gate import EpochGate
from feedgen.keeper import StateKeeper
from feedgen.pipeline import Pipeline
from feedgen.snapshots import Cut, Snapshots, rest_on
from feedgen.state.checksum import checksums
from feedgen.state.state import State
from tests.whole import feeds, told, whole
from tests.worlds import DAY, NOW, SMALL, events, folded

LIMITS = msgspec.structs.replace(SMALL, snapshot=config.Snapshot(events_min=1, keep=2))


class Run:
    """What a process holds between its start and its end."""

    def __init__(self, log: EventLog, folder: Path, limits: Settings) -> None:
        self.log = log
        self.state = State(limits.state, limits.ranking)
        self.removals = RemovalIndex(limits.state.removals_kept)
        self.keeper = StateKeeper(log, self.state, self.removals, EpochGate(), batch_events=7, poll_s=0.005)
        self.said: list[str] = []
        self.snapshots = Snapshots(folder, limits, log, self.state, self.removals, self.said.append)
        self.stood_at = -1

    async def cut(self) -> Cut:
        made = await self.snapshots.cut(self.keeper)
        assert made is not None
        return made


@asynccontextmanager
async def run(folder: Path, until_ts: float | None = None, limits: Settings = LIMITS) -> AsyncIterator[Run]:
    """Started: the state restored and caught up, as a command does it."""
    async with await EventLog.open(config.Log(), folder) as log:
        one = Run(log, folder, limits)
        stand = await one.snapshots.restore(until_ts, lambda done, total: None)
        if stand is not None:
            one.keeper.latest_ts, one.stood_at = stand.latest_ts, stand.watermark
        await one.keeper.catch_up(until_ts, lambda count: None)
        yield one


async def cut_after(folder: Path, found: Sequence[Event]) -> Cut:
    """Another process appends these, and writes a snapshot behind them."""
    async with run(folder) as one:
        await one.log.append(found)
        await one.keeper.catch_up(None, lambda count: None)
        return await one.cut()


def numbered(count: int, first: int = 0) -> list[Event]:
    return [Event(f"e{n}", "follow", NOW - n, f"u{n % 7}", f"u{n % 7 + 1}") for n in range(first, first + count)]


@settings(max_examples=15, deadline=None)
@given(events(), st.lists(st.integers(0, 120), min_size=1, max_size=3))
def test_a_snapshot_and_the_tail_are_the_log_from_its_beginning(found: list[Event], cuts: list[int]) -> None:
    async def restarted() -> None:
        with TemporaryDirectory() as name:
            bounds = [0, *sorted(min(cut, len(found)) for cut in cuts), len(found)]
            for low, high in pairwise(bounds[:-1]):
                await cut_after(Path(name), found[low:high])
            async with run(Path(name)) as one:
                await one.log.append(found[bounds[-2] :])
                await one.keeper.catch_up(None, lambda count: None)
                assert one.stood_at == bounds[-2]
                assert one.said == []
                straight = folded(found, settings=LIMITS)
                assert told(one.state, NOW) == told(straight, NOW)
                for now in (NOW, NOW + 2 * DAY):
                    assert whole(one.state, now) == whole(straight, now)
                    made = feeds(one.state, Pipeline(one.state, LIMITS), now)
                    assert made == feeds(straight, Pipeline(straight, LIMITS), now)
                removals = RemovalIndex(LIMITS.state.removals_kept)
                for offset, event in enumerate(found, 1):
                    removals.fold(offset, event)
                removals.advance(len(found))
                assert one.removals.kept == removals.kept

    asyncio.run(restarted())


async def test_it_is_cut_at_an_epoch_while_events_come_in(tmp_path: Path) -> None:
    found = numbered(3_000)
    async with run(tmp_path) as one:
        following = asyncio.create_task(one.keeper.follow())

        async def come_in() -> None:
            for low in range(0, 3_000, 50):
                await one.log.append(found[low : low + 50])
                await asyncio.sleep(0)

        coming = asyncio.create_task(come_in())
        stands = []
        while not coming.done():
            made = await one.cut()
            stands.append(int(made.place.name))
            async with run(tmp_path) as other:
                assert other.stood_at == stands[-1]
                assert other.said == []
        await coming
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await one.keeper.catch_up(None, lambda count: None)
        stands.append(int((await one.cut()).place.name))  # on a fast disk all may come in during the first
    assert stands == sorted(stands)
    assert len(set(stands)) > 1
    for place in (tmp_path / "snapshots").iterdir():
        only = tmp_path / "only" / place.name
        shutil.copytree(tmp_path, only, ignore=shutil.ignore_patterns("snapshots", "only"))
        shutil.copytree(place, only / "snapshots" / place.name)
        async with run(only) as other:
            assert other.stood_at == int(place.name)
            assert whole(other.state, NOW) == whole(folded(found, settings=LIMITS), NOW)


async def passed_over(folder: Path, limits: Settings = LIMITS, until_ts: float | None = None) -> tuple[list[str], int]:
    """What a start says, and where the snapshot it took stands (−1: none); the state is the log's in any case."""
    async with run(folder, until_ts, limits) as one:
        found = [event for _, event in await one.log.read(0, 10_000, until_ts)]
        straight = folded(found, settings=limits)
        straight.watermark = one.state.watermark
        assert whole(one.state, NOW) == whole(straight, NOW)
        return one.said, one.stood_at


async def two_of_them(folder: Path) -> None:
    await cut_after(folder, numbered(10))
    await cut_after(folder, numbered(10, 10))


def damage(place: Path) -> None:
    columns = (path for path in place.iterdir() if path.name.startswith("state."))
    victim = max(columns, key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)


async def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    await two_of_them(tmp_path)
    damage(tmp_path / "snapshots" / f"{20:020d}")
    said, stood_at = await passed_over(tmp_path)
    assert stood_at == 10
    assert len(said) == 1
    assert said[0].startswith(f"feedgen: snapshot {20:020d} is damaged")
    damage(tmp_path / "snapshots" / f"{10:020d}")
    said, stood_at = await passed_over(tmp_path)
    assert (len(said), stood_at) == (2, -1)


async def test_a_truncated_one_is_passed_over(tmp_path: Path) -> None:
    await two_of_them(tmp_path)
    for path in (tmp_path / "snapshots" / f"{20:020d}").iterdir():
        with path.open("rb+") as file:
            file.truncate(path.stat().st_size // 2)
    said, stood_at = await passed_over(tmp_path)
    assert (len(said), stood_at) == (1, 10)


async def test_one_of_another_log_is_passed_over(tmp_path: Path) -> None:
    await two_of_them(tmp_path / "a")
    await two_of_them(tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "snapshots")
    shutil.copytree(tmp_path / "a" / "snapshots", tmp_path / "b" / "snapshots")
    said, stood_at = await passed_over(tmp_path / "b")
    assert stood_at == -1
    assert [line.rpartition(" ")[0].partition("snapshot ")[2] for line in said] == [
        f"{at:020d} is of another log; passed" for at in (20, 10)
    ]


async def test_one_of_a_log_that_was_put_back_is_passed_over(tmp_path: Path) -> None:
    await cut_after(tmp_path, numbered(10))
    shutil.copytree(tmp_path, tmp_path / "backup", ignore=shutil.ignore_patterns("backup"))
    await cut_after(tmp_path, numbered(10, 10))
    shutil.copytree(tmp_path / "snapshots", tmp_path / "backup" / "snapshots", dirs_exist_ok=True)
    said, stood_at = await passed_over(tmp_path / "backup")
    assert stood_at == 10
    assert "is of a longer log: it stands at offset 20, the log ends at 10" in said[0]
    async with run(tmp_path / "backup") as one:
        await one.log.append(numbered(15, 500))
    said, stood_at = await passed_over(tmp_path / "backup")
    assert stood_at == 10
    assert "at offset 20 this one has another event" in said[0]


async def test_after_a_log_was_put_back_new_ones_are_kept_and_those_ahead_of_it_go(tmp_path: Path) -> None:
    await cut_after(tmp_path, numbered(10))
    shutil.copytree(tmp_path, tmp_path / "backup", ignore=shutil.ignore_patterns("backup", "snapshots"))
    for n in (1, 2):
        await cut_after(tmp_path, numbered(10, 10 * n))
    shutil.copytree(tmp_path / "snapshots", tmp_path / "backup" / "snapshots")
    made = await cut_after(tmp_path / "backup", numbered(2, 500))
    assert (int(made.place.name), made.place.exists()) == (12, True)
    assert [int(place.name) for place in (tmp_path / "backup" / "snapshots").iterdir()] == [12]
    assert await passed_over(tmp_path / "backup") == ([], 12)


async def test_one_that_is_older_than_a_setting_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no setting bounded then is whole, and is cut when it is read."""
    known = snapshots.settings_that_matter

    def older(settings: Settings) -> dict[str, float]:
        return {name: value for name, value in known(settings).items() if name != "state.engaged_per_viewer"}

    with monkeypatch.context() as before:
        before.setattr(snapshots, "settings_that_matter", older)
        await cut_after(tmp_path, numbered(10))
    assert await passed_over(tmp_path) == ([], 10)


async def test_one_that_was_made_with_other_settings_is_passed_over(tmp_path: Path) -> None:
    await two_of_them(tmp_path)
    other = msgspec.structs.replace(
        LIMITS, state=config.State(posts_per_author=4, retention_days=4.0, seen_per_viewer=3)
    )
    said, stood_at = await passed_over(tmp_path, other)
    assert stood_at == -1
    assert "was made with state.posts_per_author 3, which is 4 now; passed over" in said[0]


async def test_one_of_an_older_layout_is_made_anew_from_the_log(tmp_path: Path) -> None:
    await two_of_them(tmp_path)
    place = tmp_path / "snapshots" / f"{20:020d}"
    said = msgspec.json.decode((place / "header.json").read_bytes().split(b"\n")[0])
    said["columns"] = said["columns"][1:]
    body = msgspec.json.encode(said)
    sign = checksums(np.frombuffer(body, np.uint8)).tobytes().hex().encode()
    (place / "header.json").write_bytes(body + b"\n" + sign + b"\n")
    lines, stood_at = await passed_over(tmp_path)
    assert stood_at == 10
    assert "is of an older version, whose state has other columns" in lines[0]
    async with run(tmp_path) as one:
        await one.cut()
    assert await passed_over(tmp_path) == ([], 20)


async def test_one_that_knows_what_comes_after_now_is_passed_over(tmp_path: Path) -> None:
    await cut_after(tmp_path, [Event("a", "login", NOW - DAY, "u1"), Event("b", "login", NOW - 2 * DAY, "u2")])
    await cut_after(tmp_path, [Event("c", "login", NOW, "u3")])
    said, stood_at = await passed_over(tmp_path, until_ts=NOW - 1.0)
    assert stood_at == 2
    assert "holds events that are later than --now" in said[0]
    async with run(tmp_path, NOW - 1.0) as one:
        assert one.keeper.whole_to == 2
        assert await one.snapshots.cut(one.keeper) is None
        assert one.keeper.latest_ts == NOW - DAY
    assert await passed_over(tmp_path, until_ts=NOW) == ([], 3)


async def test_the_latest_are_kept_and_the_abandoned_go(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    (folder / "x.1-0.part").mkdir(parents=True)
    (folder / "x.1-0.part" / "lock").touch()
    (folder / "notes.part").write_text("somebody's own, which is in nobody's way")
    for n in range(4):
        await cut_after(tmp_path, numbered(5, 5 * n))
    assert sorted(path.name for path in folder.iterdir()) == [*(f"{at:020d}" for at in (15, 20)), "notes.part"]


async def test_one_is_due_after_so_many_events_and_a_full_disk_costs_no_more_than_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = msgspec.structs.replace(LIMITS, snapshot=config.Snapshot(events_min=10, every_s=0.01))
    async with run(tmp_path, limits=limits) as one:
        await one.log.append(numbered(9))
        await one.keeper.catch_up(None, lambda count: None)
        await one.snapshots.cut_if_due(one.keeper)
        assert one.snapshots.last is None
        await one.log.append(numbered(1, 9))
        await one.keeper.catch_up(None, lambda count: None)
        (tmp_path / "snapshots").write_text("in the way")
        await one.snapshots.cut_if_due(one.keeper)
        assert one.snapshots.last is None
        assert "no snapshot could be written" in caplog.text
        (tmp_path / "snapshots").unlink()
        running = asyncio.create_task(one.snapshots.run(one.keeper))
        async with asyncio.timeout(20):
            while one.snapshots.last is None:  # noqa: ASYNC110, a cut sets no event
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert one.snapshots.stands_at == 10
        assert not one.snapshots.due


@pytest.mark.parametrize("spoil", [shutil.rmtree, damage])
async def test_without_the_snapshot_of_a_bulk_import_a_start_says_what_is_missing(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    async with run(tmp_path) as one:
        await one.snapshots.cut(one.keeper, "a-bulk")
        await rest_on(one.log, "a-bulk")
    for n in range(3):
        await cut_after(tmp_path, numbered(5, 5 * n))
    folder = tmp_path / "snapshots"
    assert sorted(int(path.name) for path in folder.iterdir()) == [0, 10, 15]
    for at in (10, 15):
        damage(folder / f"{at:020d}")
    async with run(tmp_path) as one:
        assert (one.stood_at, len(one.said)) == (0, 2)
    spoil(folder / f"{0:020d}")
    with pytest.raises(SnapshotError) as refused:
        async with run(tmp_path):
            pass
    assert "goes on from a bulk import" in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_process_that_began_before_a_bulk_import_writes_none_and_drops_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(tmp_path) as before:
        async with run(tmp_path) as bulk:
            await bulk.snapshots.cut(bulk.keeper, "a-bulk")
            await rest_on(bulk.log, "a-bulk")
        for n in range(3):
            await before.log.append(numbered(5, 5 * n))
            await before.keeper.catch_up(None, lambda count: None)
            await before.snapshots.cut_if_due(before.keeper)
    assert "goes on from a bulk import that came after this process had begun" in caplog.text
    assert [int(path.name) for path in (tmp_path / "snapshots").iterdir()] == [0]
    async with run(tmp_path) as after:
        assert (after.stood_at, after.said, after.state.watermark) == (0, [], 15)
