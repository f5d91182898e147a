"""The keeper folds what the log holds, between batches of generation, each event once."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from feedgen import config
from feedgen.eventlog import SQLITE_NAME, EventLog
from feedgen.events import Event, from_object
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.feed.removals import RemovalIndex
from feedgen.gate import EpochGate
from feedgen.keeper import StateKeeper
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from tests.worlds import NOW

SETTINGS = config.Settings()


def event(event_id: str, kind: str, actor: str, target: str | None = None, ago_s: float = 0.0) -> Event:
    raw = {"id": event_id, "type": kind, "ts": NOW - ago_s, "actor": actor}
    return from_object(raw if target is None else {**raw, "object": target}, NOW)


def comments(first: int, count: int) -> list[Event]:
    return [event(f"c{number}", "comment", "vic", f"p{number}") for number in range(first, first + count)]


class Rig:
    """A keeper with all it owns, on a real log."""

    def __init__(self, log: EventLog, state: State | None = None, batch_events: int = 10) -> None:
        self.log = log
        self.state = state or State(SETTINGS.state, SETTINGS.ranking)
        self.removals = RemovalIndex(1_000)
        self.gate = EpochGate()
        self.keeper = StateKeeper(log, self.state, self.removals, self.gate, batch_events, poll_s=0.01)


class PausedState(State):
    """A state whose folds begin only when they are let go."""

    def __init__(self) -> None:
        super().__init__(SETTINGS.state, SETTINGS.ranking)
        self.begun = threading.Event()
        self.go = threading.Event()

    def fold(self, events: Iterable[tuple[int, Event]]) -> None:
        self.begun.set()
        assert self.go.wait(10)
        super().fold(events)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with await EventLog.open(config.Log(), tmp_path) as opened:
        yield opened


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110, what a thread folds sets no event
            await asyncio.sleep(0.002)


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_catching_up_folds_all_the_log_holds(log: EventLog) -> None:
    rig = Rig(log)
    told: list[int] = []
    head = (await log.append(comments(0, 25))).head
    await rig.keeper.catch_up(None, told.append)
    assert told == [10, 10, 5]
    assert (rig.keeper.folded, len(rig.state.engagement)) == (25, 25)
    assert rig.state.watermark == rig.removals.head == head
    await rig.keeper.catch_up(None, told.append)
    assert told == [10, 10, 5]


async def test_catching_up_an_empty_log(log: EventLog) -> None:
    rig = Rig(log)
    await rig.keeper.catch_up(None, lambda count: None)
    assert (rig.state.watermark, rig.keeper.folded) == (0, 0)


async def test_until_a_moment_only_events_not_after_it_count_now_or_later(log: EventLog) -> None:
    rig = Rig(log, batch_events=2)
    moments = [(1, "a"), (0, "b"), (2, "c"), (0.5, "d"), (1, "e"), (0, "f")]
    for hours, post in moments:
        await log.append([event(f"e{post}", "comment", "vic", post, hours * 3_600)])
    await log.append([event("gone", "delete", "ann", "x")])
    await rig.keeper.catch_up(NOW - 3_600, lambda count: None)
    assert list(rig.state.post_ids.names) == ["a", "c", "e"]
    assert rig.state.watermark == rig.removals.head == await log.head()
    assert len(rig.removals) == 0
    assert rig.keeper.whole_to == (await log.read(0, 2))[0][0]
    task = asyncio.create_task(rig.keeper.follow())
    await log.append([event("eg", "comment", "vic", "g")])
    await until(lambda: len(rig.state.engagement) == 4)
    await stop(task)
    assert list(rig.state.post_ids.names) == ["a", "c", "e", "g"]
    assert rig.keeper.whole_to == (await log.read(0, 2))[0][0]


async def test_who_passes_nothing_over_knows_the_log_whole(log: EventLog) -> None:
    rig = Rig(log)
    await log.append(comments(0, 5))
    await rig.keeper.catch_up(NOW, lambda count: None)
    assert rig.keeper.whole_to == await log.head()
    task = asyncio.create_task(rig.keeper.follow())
    await log.append(comments(5, 5))
    await until(lambda: rig.state.watermark == rig.keeper.whole_to == 10)
    await stop(task)


async def test_a_state_from_elsewhere_goes_on_from_its_watermark(log: EventLog) -> None:
    head = (await log.append(comments(0, 5))).head
    state = State(SETTINGS.state, SETTINGS.ranking)
    state.fold(list(await log.read(0, 5)))
    await log.append(comments(5, 5))
    rig = Rig(log, state)
    assert state.watermark == head
    await rig.keeper.catch_up(None, lambda count: None)
    assert len(state.engagement) == 10


async def test_what_is_appended_while_following_is_folded_and_its_removals_reach_old_feeds(log: EventLog) -> None:
    rig = Rig(log)
    await log.append(
        [event("f", "follow", "vic", "ann"), event("p", "post", "ann", "p"), event("q", "post", "ann", "q")]
    )
    await rig.keeper.catch_up(None, lambda count: None)
    (bulk,) = Pipeline(rig.state, SETTINGS).generate(["vic"], NOW)
    assert isinstance(bulk, Bulk)
    resident = FeedMap(bulk)
    task = asyncio.create_task(rig.keeper.follow())
    head = (await log.append([event("d", "delete", "ann", "q"), event("n", "post", "ann", "n")])).head
    await until(lambda: rig.state.watermark == head)
    assert rig.removals.head == head
    assert rig.removals.bring_forward("vic", resident)
    assert [item.item_id for item in resident] == ["p"]
    await stop(task)


async def test_no_batch_sees_a_fold(log: EventLog) -> None:
    rig = Rig(log, batch_events=3)
    await log.append([event("f", "follow", "vic", "ann"), *(event(f"p{n}", "post", "ann", f"p{n}") for n in range(9))])
    pipeline = Pipeline(rig.state, SETTINGS)
    seen: set[int] = set()

    def look() -> tuple[int, int, Bulk | Exception | None]:
        return rig.state.watermark, len(rig.state.engagement), pipeline.generate(["vic"], NOW)[0]

    async def batch() -> int:
        async with rig.gate.batch():
            first = await in_thread(look)
            await asyncio.sleep(0)
            assert await in_thread(look) == first
        bulk = first[2]
        assert isinstance(bulk, Bulk)
        assert bulk.watermark == first[0]
        seen.add(first[0])
        return first[1]

    async def batches() -> None:
        while await batch() < 120:
            pass

    await rig.keeper.catch_up(None, lambda count: None)
    assert await batch() == 0
    task = asyncio.create_task(rig.keeper.follow())
    async with asyncio.timeout(20), asyncio.TaskGroup() as readers:
        readers.create_task(batches())
        readers.create_task(batches())
        for start in range(0, 120, 12):
            await log.append(comments(start, 12))
    await stop(task)
    assert len(seen) > 1
    rig.gate.check()


async def test_a_cancelled_fold_leaves_the_gate_shut_until_its_thread_has_ended(log: EventLog) -> None:
    state = PausedState()
    rig = Rig(log, state)
    head = (await log.append([*comments(0, 5), event("d", "delete", "ann", "p1")])).head
    task = asyncio.create_task(rig.keeper.follow())
    assert await asyncio.to_thread(state.begun.wait, 10)
    entered: list[int] = []

    async def reader() -> None:
        async with rig.gate.batch():
            entered.append(state.watermark)

    waiting = asyncio.create_task(reader())
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task, waiting], timeout=0.02)
        assert not task.done()
        assert entered == []
    state.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await waiting
    assert entered == [head]
    await rig.keeper.catch_up(None, lambda count: None)
    assert len(state.engagement) == 5, "a cancelled fold was folded again"


async def test_a_keeper_cancelled_before_the_gate_opened_begins_again(log: EventLog) -> None:
    rig = Rig(log)
    await log.append([event("d1", "delete", "ann", "p1"), *comments(0, 5), event("d2", "delete", "ann", "p2")])
    async with rig.gate.batch():
        task = asyncio.create_task(rig.keeper.follow())
        await until(lambda: rig.removals.head > 0)
        await stop(task)
        assert rig.state.watermark == 0
    await rig.keeper.catch_up(None, lambda count: None)
    assert (len(rig.state.engagement), len(rig.removals)) == (5, 2)
    rig.removals.check()


async def test_a_log_that_cannot_be_read_is_tried_again_and_said_once(
    log: EventLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(log)
    await log.append(comments(0, 3))
    with closing(sqlite3.connect(tmp_path / SQLITE_NAME, timeout=10)) as broken:
        broken.execute("ALTER TABLE events RENAME TO lost")
        with caplog.at_level(logging.ERROR):
            task = asyncio.create_task(rig.keeper.follow())
            await until(lambda: "cannot be read" in caplog.text)
            await asyncio.sleep(0.05)  # several more looks
            assert not rig.keeper.current
            broken.execute("ALTER TABLE lost RENAME TO events")
            await until(lambda: len(rig.state.engagement) == 3)
            await until(lambda: rig.keeper.current)
    assert caplog.text.count("cannot be read") == 1
    assert not task.done()
    await stop(task)


async def test_an_event_nobody_checked_ends_the_following_and_that_shows(log: EventLog) -> None:
    rig = Rig(log)
    assert rig.keeper.current
    await log.append([Event("foreign", "review", NOW, "ann", "p", {})])  # attrs.state is missing
    with pytest.raises(KeyError):
        await rig.keeper.follow()
    assert not rig.keeper.current
