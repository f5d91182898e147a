"""What was sent to whom is written down, if the settings say so, and no page waits for it."""

import asyncio
import sqlite3
from contextlib import closing

from cacheserver import served
from cacheserver.app import SERVED
from feedgen import config
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from tests.cacheserver.conftest import Rig

LOGGED = Settings(server=config.Server(log_served=True))


async def serves(rig: Rig) -> list[tuple[str, list[str]]]:
    """Viewer and posts of each `serve` event of the log."""
    assert isinstance(rig.log, EventLog)
    await rig.app[SERVED].flush()
    return [(event.actor, event.attrs["objects"]) for _, event in await rig.log.read(0, 1_000)]


async def test_each_page_sent_is_an_event(start):
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put("u1", ["a", "b", "c"])
    await rig.feed("u1", limit=2)
    await rig.feed("u1", limit=2, after="b")
    batch = {"requests": [{"user_id": "u1", "limit": 1}]}
    assert (await rig.call("POST", "/v1/feeds:batchGet", json=batch)).status == 200
    assert await serves(rig) == [("u1", ["a", "b"]), ("u1", ["c"]), ("u1", ["a"])]
    assert await serves(rig) == [("u1", ["a", "b"]), ("u1", ["c"]), ("u1", ["a"])]


async def test_how_likely_each_was_to_be_there_is_written_down(start):
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put("u1", ["a", "b", "c"])
    await rig.feed("u1", limit=2)
    await rig.app[SERVED].flush()
    [(_, event)] = await rig.log.read(0, 10)
    assert event.attrs["propensities"] == [1.0, 1.0]  # nothing of this feed was drawn


async def test_an_empty_page_and_the_shared_feed_are_not(start):
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put_trending(["t"])
    await rig.put("u1", ["a"])
    await rig.feed("u1", after="a")
    assert (await rig.feed("stranger")).ids == ["t"]
    assert await serves(rig) == []


async def test_what_brings_no_post_is_none(start):
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put("u1", ["a"])
    etag = (await rig.feed("u1")).headers["ETag"]
    assert (await rig.get("/v1/feeds/u1", If_None_Match=etag)).status == 304
    assert (await rig.call("HEAD", "/v1/feeds/u1")).status == 200
    assert await serves(rig) == [("u1", ["a"])]


async def test_a_log_that_is_locked_holds_up_no_stop(start, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(served, "_CLOSE_S", 0.2)
    patient = Settings(server=config.Server(log_served=True), log=config.Log(busy_timeout_s=3_600.0))
    rig = await start(log=EventLog, settings=patient)
    await rig.put("u1", ["a"])
    await rig.feed("u1")
    with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(60):
            await rig.listening.stop()
        other.execute("ROLLBACK")
    assert "1 served pages could not be written down" in caplog.text


async def test_by_default_a_read_leaves_no_trace(start):
    rig = await start(log=EventLog)
    await rig.put("u1", ["a"])
    await rig.feed("u1")
    assert SERVED not in rig.app
    assert await rig.log.read(0, 10) == []


async def test_what_is_pending_at_a_stop_is_written(start):
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put("u1", ["a"])
    await rig.feed("u1")
    await rig.listening.stop()
    assert [event.type for _, event in await rig.log.read(0, 10)] == ["serve"]


async def test_past_the_bound_pages_go_out_and_are_counted(start, monkeypatch):
    monkeypatch.setattr(served, "PENDING_MAX", 2)
    rig = await start(log=EventLog, settings=LOGGED)
    await rig.put("u1", ["a"])
    await asyncio.gather(*(rig.feed("u1") for _ in range(5)))
    assert len(await serves(rig)) == 2
    assert b"forefeed_served_not_logged_total 3.0" in (await rig.get("/metrics")).body
