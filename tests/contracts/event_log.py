"""What the event log must do on every database. A test class inherits EventLogContract and provides its fixtures."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feedgen.errors import LogError
from feedgen.eventlog import Appended, EventLog
from feedgen.events import Event

Opener = Callable[[float], Awaitable[EventLog]]
Holder = Callable[[], AbstractAsyncContextManager[None]]

ids = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["a", "A", "a ", "a\0", "a\0b", "\0", "é", "e\u0301", "5", "05", "日本"]
)


def login(event_id: str, ts: float = 1.0) -> Event:
    return Event(event_id, "login", ts, "u1")


def logins(first: int, past: int) -> list[Event]:
    return [login(f"e{n}", float(n)) for n in range(first, past)]


async def ids_in(log: EventLog) -> list[str]:
    return [event.id for _, event in await log.read(0, 1_000_000)]


class EventLogContract:
    """Inherit, and give the fixtures `log`, `opener` (the same log once more, busy timeout in s) and `holder`.

    `holder()` is another process' write transaction, held while the context is open.
    """

    async def test_an_empty_log(self, log: EventLog) -> None:
        assert await log.head() == 0
        assert await log.count() == 0
        assert await log.read(0, 10) == []
        assert await log.append([]) == Appended(0, 0, 0)

    async def test_a_mark_is_kept_for_each_source(self, log: EventLog, opener: Opener) -> None:
        assert await log.mark("shop.likes") is None
        for mark in ("int:5", "int:7", "int:6"):
            await log.set_mark("shop.likes", mark)
        await log.set_mark("日本", "str:")
        async with await opener(30.0) as other:
            assert [await other.mark(source) for source in ("shop.likes", "日本", "shop")] == ["int:6", "str:", None]
        assert await log.count() == 0

    async def test_a_mark_that_is_kept_stays_as_it_was_first(self, log: EventLog, opener: Opener) -> None:
        assert await log.keep_mark("identity", "a") == "a"
        async with await opener(30.0) as other:
            assert await other.keep_mark("identity", "b") == "a"
        assert await log.mark("identity") == "a"

    async def test_the_id_at_an_offset(self, log: EventLog) -> None:
        head = (await log.append([login("日本"), login("z")])).head
        assert await log.id_at(head) == "z"
        assert await log.id_at(head + 1) is None

    async def test_what_was_appended_is_read_in_order(self, log: EventLog) -> None:
        rich = Event("p1", "post", 1_735_655_473.25, "日本", "o\0", {"topics": ["a"], "deep": {"x": [1, None, 2.5]}})
        batch = [login("z"), rich, login("a")]
        done = await log.append(batch)
        rows = await log.read(0, 10)
        assert [event for _, event in rows] == batch
        assert done == Appended(3, 0, rows[-1][0])
        assert await log.head() == rows[-1][0]
        assert await log.count() == 3

    async def test_read_goes_on_behind_an_offset(self, log: EventLog) -> None:
        await log.append(logins(0, 2_500))
        rows = await log.read(0, 5_000)
        assert [event.id for _, event in rows] == [f"e{n}" for n in range(2_500)]
        assert await log.read(0, 1_500) == rows[:1_500]
        assert await log.read(rows[1_499][0], 5_000) == rows[1_500:]
        assert await log.read(rows[-1][0], 5) == []
        assert await log.read(0, 0) == []

    async def test_read_up_to_a_time(self, log: EventLog) -> None:
        await log.append([login("b", 20.0), login("a", 10.0), login("c", 30.0), login("d", 20.5)])
        assert [event.id for _, event in await log.read(0, 10, until_ts=20.0)] == ["b", "a"]
        assert [event.id for _, event in await log.read(0, 1, until_ts=20.0)] == ["b"]
        assert [event.id for _, event in await log.read(0, 10, until_ts=9.0)] == []

    async def test_the_first_event_later_than_a_time(self, log: EventLog) -> None:
        await log.append([login("b", 20.0), login("a", 10.0), login("c", 30.0), login("d", 20.5)])
        offsets = {event.id: offset for offset, event in await log.read(0, 10)}
        head = await log.head()
        assert await log.first_later(20.0, 0, head) == offsets["c"]
        assert await log.first_later(19.9, 0, head) == offsets["b"]
        assert await log.first_later(30.0, 0, head) is None
        assert await log.first_later(20.0, 0, offsets["c"]) == offsets["c"]
        assert await log.first_later(19.9, offsets["b"], head) == offsets["c"]
        assert await log.first_later(20.0, 0, offsets["a"]) is None

    async def test_the_same_id_counts_once(self, log: EventLog) -> None:
        first = await log.append([login("a", 1.0), login("b"), login("a", 2.0)])
        assert (first.appended, first.duplicate) == (2, 1)
        again = await log.append([login("b"), login("c"), login("a")])
        assert (again.appended, again.duplicate) == (1, 2)
        assert again.head > first.head
        assert await ids_in(log) == ["a", "b", "c"]
        assert (await log.read(0, 1))[0][1].ts == 1.0

    async def test_ids_are_told_apart_exactly(self, log: EventLog) -> None:
        different = ["a", "A", "a ", " a", "a\0", "a\0b", "\0", "é", "e\u0301", "5", "05", "5.0", "x" * 128, "日本"]
        assert (await log.append([login(i) for i in different])).appended == len(different)
        assert (await log.append([login(i) for i in different])).duplicate == len(different)
        assert await ids_in(log) == different

    @pytest.mark.parametrize("size", [1, 63, 4_095, 4_096, 4_097, 9_999])
    async def test_batches_of_any_size_are_counted_exactly(self, log: EventLog, size: int) -> None:
        await log.append(logins(0, size // 3))
        done = await log.append(logins(0, size))
        assert (done.appended, done.duplicate) == (size - size // 3, size // 3)
        assert await ids_in(log) == [f"e{n}" for n in range(size)]

    @given(batches=st.lists(st.lists(ids, max_size=12), max_size=6), cut=st.integers(0, 40))
    @hypothesis_settings(
        max_examples=25,
        deadline=None,
        # Examples go on in one log, each behind the head it finds; the classes that inherit are meant to differ.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    async def test_any_batches_end_with_every_id_once(self, log: EventLog, batches: list[list[str]], cut: int) -> None:
        known = set(await ids_in(log))
        start = await log.head()
        expected: list[str] = []
        for batch in batches:
            new = [i for i in dict.fromkeys(batch) if i not in known]
            known.update(new)
            expected += new
            done = await log.append([login(i) for i in batch])
            assert (done.appended, done.duplicate) == (len(new), len(batch) - len(new))
            assert done.head == await log.head()
        rows = await log.read(start, 1_000)
        assert [event.id for _, event in rows] == expected
        offsets = [offset for offset, _ in rows]
        assert all(a < b for a, b in zip([start, *offsets], offsets, strict=False))
        assert await log.count() == len(known)
        for position, offset in list(enumerate(offsets))[cut : cut + 3]:
            assert await log.read(offset, 1_000) == rows[position + 1 :]

    async def test_a_reader_that_follows_misses_nothing(self, log: EventLog, opener: Opener) -> None:
        writers = [await opener(30.0) for _ in range(3)]

        async def write(number: int) -> None:
            for step in range(30):
                await writers[number].append([login(f"{number}.{step}.{n}") for n in range(3)] + [login(f"all.{step}")])

        async def follow() -> list[str]:
            seen: list[str] = []
            at = 0
            while len(seen) < 3 * 30 * 3 + 30:
                if rows := await log.read(at, 7):
                    at = rows[-1][0]
                    seen += [event.id for _, event in rows]
            return seen

        try:
            seen, *_ = await asyncio.wait_for(asyncio.gather(follow(), *(write(n) for n in range(3))), 30)
        finally:
            for writer in writers:
                await writer.close()
        assert len(set(seen)) == len(seen)
        assert seen == await ids_in(log)

    async def test_appends_of_one_process_go_in_turn(self, log: EventLog) -> None:
        done = await asyncio.gather(*(log.append(logins(n, n + 10)) for n in range(20)))
        assert sum(one.appended for one in done) == 29
        assert [one.head for one in done] == sorted(one.head for one in done)

    async def test_what_another_opened_log_appended_is_there(self, log: EventLog, opener: Opener) -> None:
        await log.append(logins(0, 3))
        async with await opener(30.0) as other:
            assert await ids_in(other) == ["e0", "e1", "e2"]
            await other.append(logins(2, 5))
        assert await ids_in(log) == ["e0", "e1", "e2", "e3", "e4"]

    async def test_a_writer_that_does_not_finish_is_named_and_readers_go_on(
        self, log: EventLog, opener: Opener, holder: Holder
    ) -> None:
        await log.append(logins(0, 3))
        async with holder(), await opener(0.2) as impatient:
            with pytest.raises(LogError, match="busy_timeout_s"):
                await impatient.append(logins(3, 6))
            assert await ids_in(impatient) == ["e0", "e1", "e2"]
        assert (await log.append(logins(3, 6))).appended == 3

    async def test_beside_a_locked_database_the_last_in_line_is_refused_as_soon_as_the_second(
        self, log: EventLog, opener: Opener, holder: Holder
    ) -> None:
        clock = asyncio.get_running_loop().time
        async with holder(), await opener(0.3) as impatient:
            began = clock()
            ends = await asyncio.gather(
                *(impatient.append([login(f"e{n}")]) for n in range(12)), return_exceptions=True
            )
            took = clock() - began
        assert [type(end) for end in ends] == [LogError] * 12
        assert took < 12 * 0.3 / 2
        assert (await log.append([login("e0")])).appended == 1

    async def test_who_gives_up_before_the_turn_came_has_written_nothing(self, log: EventLog, holder: Holder) -> None:
        async with holder():
            first = asyncio.create_task(log.append([login("first")]))
            second = asyncio.create_task(log.append([login("second")]))
            await asyncio.wait({second}, timeout=0.05)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
        await first
        assert await ids_in(log) == ["first"]

    async def test_an_append_whose_caller_gives_up_goes_to_its_end(self, log: EventLog, holder: Holder) -> None:
        async with holder():
            waiting = asyncio.create_task(log.append(logins(0, 5_000)))
            done, _ = await asyncio.wait({waiting}, timeout=0.05)
            assert not done
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await log.count() == 5_000
        assert (await log.append(logins(0, 5_001))).appended == 1
