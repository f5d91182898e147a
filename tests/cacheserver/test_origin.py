"""Where a missing feed comes from: store, generator, fallback; one flight per viewer."""

import asyncio
import logging

import pytest
from msgspec.structs import replace

from cacheserver.origin import LOOK_AGAIN_S
from feedgen.config import Server, Settings, State
from feedgen.errors import GenerationFailed, QueueFull, StoreError
from feedgen.feed.roles import StoredRecord
from feedgen.feed.store import MemoryFeedStore
from tests.cacheserver.doubles import NOW, bulk, event, until

PATIENT = Settings(server=Server(generate_deadline_s=30.0))
HURRIED = Settings(server=Server(generate_deadline_s=0.01))


class CountingStore(MemoryFeedStore):
    """Counts reads; `gate` holds them back, `broken` fails them."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def get(self, viewer: str) -> StoredRecord | None:
        self.gets.append(viewer)
        await self.gate.wait()
        if self.broken:
            raise StoreError("the store is away")
        return await super().get(viewer)


async def test_a_thousand_readers_of_one_missing_viewer_cause_one_look_and_one_generation(start, generator):
    store = CountingStore()
    rig = await start(settings=PATIENT, generator=generator, store=store)
    generator.feeds["u1"] = bulk(["p1", "p2"])
    generator.gate.clear()
    readers = [asyncio.create_task(rig.feed("u1", limit=1)) for _ in range(1_000)]
    await until(lambda: rig.origin.waiting == 1_000, 20)
    generator.gate.set()
    answers = await asyncio.gather(*readers)
    assert store.gets == ["u1"]
    assert generator.generated == ["u1"]
    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {answers[0].body}
    statuses = [answer.headers["Cache-Status"] for answer in answers]
    assert statuses.count("forefeed; fwd=miss; stored") == 1
    assert statuses.count("forefeed; fwd=miss; stored; collapsed") == 999
    assert rig.origin.under_way == 0
    assert rig.origin.counts["miss"] == 1_000


async def test_a_flight_survives_the_reader_who_gives_up(start, generator):
    rig = await start(settings=PATIENT, generator=generator)
    generator.feeds["u1"] = bulk(["p1"])
    generator.gate.clear()
    leaver = asyncio.create_task(rig.origin.find("u1"))
    stayer = asyncio.create_task(rig.origin.find("u1"))
    await until(lambda: generator.generated == ["u1"])
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    generator.gate.set()
    assert (await stayer).cache == "miss"
    assert generator.generated == ["u1"]
    assert rig.origin.waiting == 0


async def test_past_the_deadline_the_fallback_is_shown_and_the_generation_goes_on(start, generator):
    rig = await start(settings=HURRIED, generator=generator)
    await rig.put_trending(["t1"])
    generator.feeds["u1"] = bulk(["p1"])
    generator.gate.clear()
    answer = await rig.feed("u1")
    assert answer.ids == ["t1"]
    assert answer.headers["Cache-Status"] == "forefeed; fwd=miss; detail=fallback"
    again = await rig.feed("u1")
    assert again.headers["Cache-Status"] == "forefeed; fwd=miss; collapsed; detail=fallback"
    generator.gate.set()
    await until(lambda: "u1" in rig.residency)
    assert (await rig.feed("u1")).ids == ["p1"]
    assert generator.generated == ["u1"]


async def test_past_the_deadline_a_copy_that_is_too_old_is_better_than_the_fallback(start, generator):
    rig = await start(settings=HURRIED, generator=generator)
    await rig.put_trending(["t1"])
    await rig.put("u1", ["p1", "p2"])
    rig.clock.now += rig.settings.cache.stale_s + 1
    generator.feeds["u1"] = bulk(["n1"], watermark=11, made=rig.clock.now)
    generator.gate.clear()
    answer = await rig.feed("u1", limit=1)
    assert answer.ids == ["p1"]
    assert answer.headers["Cache-Status"] == "forefeed; fwd=stale; ttl=-84601; detail=stale"
    generator.gate.set()
    await until(lambda: rig.origin.under_way == 0)
    fresh = await rig.feed("u1")
    assert fresh.ids == ["n1"]
    assert fresh.headers["Cache-Status"].startswith("forefeed; hit; ttl=1800")
    # whoever was paging through the old copy goes on in it
    assert (await rig.feed("u1", after="p1", generation=answer.json["generation"])).ids == ["p2"]


@pytest.mark.parametrize("error", [GenerationFailed("set aside"), QueueFull("no room")])
async def test_a_generation_that_fails_costs_the_reader_nothing_but_freshness(start, generator, error, caplog):
    rig = await start(generator=generator)
    await rig.put_trending(["t1"])
    generator.feeds["u1"] = error
    assert (await rig.feed("u1")).ids == ["t1"]
    assert str(error) in caplog.text
    await rig.put("u1", ["p1"])
    rig.clock.now += rig.settings.cache.stale_s + 1
    assert (await rig.feed("u1")).ids == ["p1"]


async def test_an_unexpected_failure_is_logged_with_its_traceback_and_served_round(start, generator, caplog):
    rig = await start(generator=generator)
    generator.feeds["u1"] = ZeroDivisionError("a fault")
    assert (await rig.feed("u1")).status == 200
    assert any(record.exc_info for record in caplog.records if record.levelno == logging.ERROR)


async def test_a_store_that_is_away_means_the_fallback_and_no_storm_of_generations(start, generator, caplog):
    store = CountingStore()
    rig = await start(generator=generator, store=store)
    await rig.put_trending(["t1"])
    assert (await rig.feed("stranger")).ids == ["t1"]
    store.broken = True
    generator.generated.clear()
    assert (await rig.feed("u1")).ids == ["t1"]
    assert generator.generated == []
    answer = await rig.call("DELETE", "/v1/feeds/u1")
    assert answer.status in {204, 503}
    assert "the store is away" in caplog.text


async def test_a_stale_stored_feed_is_admitted_and_refreshed(start, generator):
    rig = await start(generator=generator)
    await rig.put("u1", ["p1"])
    rig.clock.now += rig.settings.cache.fresh_s + 1
    answer = await rig.feed("u1")
    assert answer.headers["Cache-Status"] == "forefeed; fwd=miss; stored"
    assert generator.refreshed == ["u1"]
    assert generator.generated == []


async def test_without_a_generator_a_stale_feed_makes_us_look_in_the_store_once_a_second(start):
    store = CountingStore()
    rig = await start(store=store)
    await rig.put("u1", ["p1"])
    await rig.feed("u1")
    rig.clock.now += rig.settings.cache.fresh_s + 1
    await rig.put("u1", ["n1"], watermark=11, made=rig.clock.now)
    store.gets.clear()
    store.gate.clear()
    for _ in range(5):
        assert (await rig.feed("u1")).ids == ["p1"]
    assert store.gets == ["u1"]
    store.gate.set()
    await until(lambda: rig.origin.under_way == 0)
    assert (await rig.feed("u1")).ids == ["n1"]
    rig.clock.now += rig.settings.cache.fresh_s + 1
    store.gets.clear()
    for _ in range(3):
        await rig.feed("u1")
        await until(lambda: rig.origin.under_way == 0)
    rig.monotonic.now += LOOK_AGAIN_S
    await rig.feed("u1")
    await until(lambda: rig.origin.under_way == 0)
    assert store.gets == ["u1"]


async def test_the_trending_feed_is_looked_up_again_when_it_is_old(start):
    store = CountingStore()
    rig = await start(store=store)
    await rig.put_trending(["t1"])
    for _ in range(3):
        assert (await rig.feed("stranger")).ids == ["t1"]
    assert store.gets.count("") == 1
    rig.clock.now += rig.settings.cache.fresh_s + 1
    rig.monotonic.now += LOOK_AGAIN_S
    await rig.put_trending(["t2"], watermark=11, made=rig.clock.now)
    assert (await rig.feed("stranger")).ids == ["t1"]
    await until(lambda: rig.origin.under_way == 0)
    assert (await rig.feed("stranger")).ids == ["t2"]
    assert store.gets.count("") == 2


async def test_a_trending_feed_of_any_age_is_better_than_none(start):
    rig = await start()
    await rig.put_trending(["t1"])
    rig.clock.now += 10 * rig.settings.cache.stale_s
    assert (await rig.feed("stranger")).ids == ["t1"]


async def test_a_feed_that_is_deleted_while_it_is_generated_is_generated_all_the_same(start, generator):
    rig = await start(settings=PATIENT, generator=generator)
    generator.feeds["u1"] = bulk(["p1"])
    generator.gate.clear()
    reader = asyncio.create_task(rig.feed("u1"))
    await until(lambda: generator.generated == ["u1"])
    assert (await rig.call("DELETE", "/v1/feeds/u1")).status == 204
    generator.gate.set()
    assert (await reader).ids == ["p1"]


async def test_closing_ends_flights_and_looks(start, generator):
    rig = await start(settings=HURRIED, generator=generator)
    generator.gate.clear()
    await rig.feed("u1")
    assert rig.origin.under_way == 1
    before = asyncio.all_tasks()
    await rig.origin.close()
    await until(lambda: rig.origin.under_way == 0)
    assert len(asyncio.all_tasks()) == len(before) - 1


async def test_what_is_removed_between_landing_and_waking_is_not_shown(start, generator):
    rig = await start(settings=PATIENT, generator=generator)
    generator.feeds["u1"] = bulk(["p1", "p2"])
    generator.gate.clear()
    reader = asyncio.create_task(rig.feed("u1"))
    await until(lambda: rig.origin.waiting == 1)
    flight = rig.origin._flights["u1"].task
    assert flight is not None

    def remove(_: object) -> None:
        rig.removals.fold(11, event("delete", "a1", "p1"))
        rig.removals.advance(11)

    flight.add_done_callback(remove)
    generator.gate.set()
    assert (await reader).ids == ["p2"]


async def test_a_stored_record_whose_columns_do_not_fit_is_generated_anew(start, generator, caplog):
    rig = await start(settings=PATIENT, generator=generator)
    torn = replace(bulk(["p1"]), scores=b"")
    assert await rig.store.put_many([("u1", torn)]) == [True]
    generator.feeds["u1"] = bulk(["p2"], watermark=11)
    with caplog.at_level(logging.WARNING):
        answer = await rig.feed("u1")
    assert answer.ids == ["p2"]
    assert "'u1' is not used: a record's columns differ in length" in caplog.text


async def test_a_copy_older_than_the_removals_that_are_kept_is_not_shown_even_as_too_old(start, generator):
    settings = Settings(server=Server(generate_deadline_s=0.01), state=State(removals_kept=1))
    rig = await start(settings=settings, generator=generator)
    await rig.put("u1", ["p1", "p2"], made=NOW - 2 * settings.cache.stale_s)
    await rig.put_trending(["t1"], watermark=20)
    generator.gate.clear()
    reader = asyncio.create_task(rig.origin.find("u1"))
    await until(lambda: generator.generated == ["u1"])
    rig.removals.fold(11, event("delete", "a1", "p1"))
    rig.removals.fold(12, event("delete", "a1", "other"))
    rig.removals.advance(12)
    found = await reader
    assert found.cache == "fallback"
    assert [item.item_id for item in found.shelf.current] == ["t1"]


@pytest.mark.parametrize("fast_lane", [True, False], ids=["fast lane", "ordinary path"])
async def test_past_the_bound_of_misses_there_is_the_old_copy_or_a_refusal_at_once(start, generator, fast_lane):
    settings = Settings(server=Server(generate_deadline_s=30.0, misses_at_once=2, fast_lane=fast_lane))
    rig = await start(settings=settings, generator=generator)
    for viewer in ("old", "fresh"):
        await rig.put(viewer, ["p1", "p2", "p3"])
        await rig.feed(viewer)
    rig.clock.now += 2 * settings.cache.stale_s
    rebuilt = await rig.put("fresh", ["n1", "n2", "n3"], watermark=11, made=rig.clock.now)
    rig.residency.replaced("fresh", rebuilt)
    generator.gate.clear()
    generator.feeds = {"u1": bulk(["p1"], made=rig.clock.now), "u2": bulk(["p2"], made=rig.clock.now)}
    waiting = [asyncio.create_task(rig.feed(viewer)) for viewer in ("u1", "u2", "u1")]
    await until(lambda: rig.origin.waiting == 3)
    refused = await rig.feed("u3", limit=2)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert (await rig.feed("u3", limit="x")).status == 400
    old = await rig.feed("old")
    assert (old.ids, old.headers["Cache-Status"].split("; ttl")[0]) == (["p1", "p2", "p3"], "forefeed; fwd=stale")
    assert (await rig.feed("fresh", limit=2)).ids == ["n1", "n2"]
    entries = [{"user_id": "u3", "limit": 2}, {"user_id": "fresh", "limit": 2}]
    batch = await rig.call("POST", "/v1/feeds:batchGet", json={"requests": entries})
    assert [result["status"] for result in batch.json["results"]] == [503, 200]
    assert rig.origin.shed == 3
    generator.gate.set()
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200, 200]
    assert generator.generated == ["u1", "u2"]
    metrics = (await rig.get("/metrics")).body
    assert b"\nforefeed_misses_shed_total 3.0\n" in metrics
    assert b'\nforefeed_http_requests_total{route="/v1/feeds/{user_id}",status="503"} 1.0\n' in metrics
