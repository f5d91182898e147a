"""POST /v1/events and /v1/views: what is acknowledged is in the log, what is refused is named."""

import asyncio
import gzip
import json
import os
from contextlib import suppress
from itertools import count

import asyncpg
import msgpack
import msgspec
import pytest

from feedgen.config import Log, Server, Settings
from feedgen.errors import LogError
from feedgen.eventlog import EventLog
from feedgen.feed.store import SqliteFeedStore
from loadtest import postgres
from tests.cacheserver.doubles import NOW

NDJSON = "application/x-ndjson"


def event(number, **more):
    return {"id": f"e{number}", "type": "like", "ts": NOW, "actor": "u1", "object": f"p{number}", **more}


def lines(*events):
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in events)


async def post(rig, body, media_type=NDJSON, path="/v1/events", **headers):
    return await rig.call("POST", path, data=body, headers={"Content-Type": media_type, **headers})


def filled(folder):
    """A file that takes all the room there is left."""
    filler = folder / "filler"
    with filler.open("wb", 0) as file, suppress(OSError):
        while True:
            file.write(bytes(4_096))
    return filler


async def logged(rig):
    return [event for _, event in await rig.log.read(0, 1_000)]


async def test_ndjson_goes_into_the_log_and_bad_lines_are_named_from_1(start):
    rig = await start(log=EventLog)
    body = lines(event(1), b"", b"{", event(2, object=7), b"[]", event(3, ts=NOW + 1e6), event(1)) + b"\r\n"
    answer = await post(rig, body)
    assert answer.status == 202
    assert {key: answer.json[key] for key in ("appended", "duplicate")} == {"appended": 2, "duplicate": 1}
    assert answer.json["offset"] == await rig.log.head()
    assert [refused["line"] for refused in answer.json["refused"]] == [3, 5, 6]
    assert all(refused["reason"] and "index" not in refused for refused in answer.json["refused"])
    assert [(each.id, each.object) for each in await logged(rig)] == [("e1", "p1"), ("e2", "7")]


async def test_an_event_that_is_in_no_array_is_told_where_it_goes(start):
    rig = await start(log=EventLog)
    for sent in (event(1), {}):
        answer = await post(rig, json.dumps(sent).encode(), "application/json")
        assert (answer.status, "send one event alone as [{…}]" in answer.json["detail"]) == (400, True)
    assert await logged(rig) == []


@pytest.mark.parametrize(
    ("media_type", "encode"),
    [
        ("application/json", lambda value: json.dumps(value).encode()),
        ("application/json; charset=utf-8", lambda value: json.dumps(value).encode()),
        ("application/msgpack", msgpack.packb),
        ("application/x-msgpack", msgpack.packb),
    ],
)
async def test_arrays_go_into_the_log_and_bad_entries_are_named_from_0(start, media_type, encode):
    rig = await start(log=EventLog)
    answer = await post(rig, encode([event(1), 5, event(2, id=None), event(3, id=33, actor=5)]), media_type)
    assert answer.status == 202
    assert [refused["index"] for refused in answer.json["refused"]] == [1, 2]
    assert all("line" not in refused for refused in answer.json["refused"])
    assert "no id" in answer.json["refused"][1]["reason"]
    assert [(each.id, each.actor) for each in await logged(rig)] == [("e1", "u1"), ("33", "5")]


async def test_the_same_batch_twice_counts_once(start):
    rig = await start(log=EventLog)
    first, second = await post(rig, lines(event(1), event(2))), await post(rig, lines(event(1), event(2)))
    assert (first.json["appended"], first.json["duplicate"]) == (2, 0)
    assert (second.json["appended"], second.json["duplicate"]) == (0, 2)
    assert second.json["offset"] == first.json["offset"]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "word"),
    [
        (b"", NDJSON, 400, "no event"),
        (b"\n \n", NDJSON, 400, "no event"),
        (b"[]", "application/json", 400, "no event"),
        (b"\x90", "application/msgpack", 400, "no event"),
        (b"", "application/json", 400, "cannot be read"),
        (b"{}", "application/json", 400, "cannot be read"),
        (b"[" * 100_000, "application/json", 400, "cannot be read"),
        (b"\x91" * 100_000, "application/msgpack", 400, "cannot be read"),
        (b"\xc1", "application/msgpack", 400, "cannot be read"),
        (b'["\xff"]', "application/json", 400, "cannot be read"),
        (b"{}\n{}", NDJSON, 400, "every event"),
        (b"\xff\xfe", NDJSON, 400, "every event"),
        (b'[{"a":NaN}]', "application/json", 400, "cannot be read"),
        (lines(event(1)), "text/plain", 415, "application/x-ndjson"),
        (lines(event(1)), "", 415, "Content-Type"),
        (lines(*(event(i) for i in range(21))), NDJSON, 413, "20 at most"),
        (json.dumps([event(i) for i in range(21)]).encode(), "application/json", 413, "20 at most"),
        (b" " * 5_000, NDJSON, 413, "larger than 4096 bytes"),
    ],
)
async def test_a_body_that_is_no_use_is_a_problem(start, body, media_type, status, word):
    rig = await start(log=EventLog, settings=Settings(server=Server(events_per_request=20, body_max_bytes=4_096)))
    if len(body) > 50_000:
        rig = await start(log=EventLog)
    answer = await post(rig, body, media_type)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert word in answer.json["detail"]
    assert await logged(rig) == []


async def test_when_every_event_is_refused_the_problem_lists_them(start):
    rig = await start(log=EventLog)
    answer = await post(rig, lines({"x": 1}, event(1, type="lik")))
    assert answer.status == 400
    assert [refused["line"] for refused in answer.json["refused"]] == [1, 2]
    assert "unknown type" in answer.json["refused"][1]["reason"]


async def test_a_body_that_turns_out_too_large_while_it_comes_is_refused(start):
    rig = await start(log=EventLog, settings=Settings(server=Server(body_max_bytes=4_096)))

    async def endless():
        for _ in range(100):
            yield b" " * 1_000

    answer = await rig.call("POST", "/v1/events", data=endless(), headers={"Content-Type": NDJSON})
    assert answer.status == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_compressed_bodies_are_read_and_bounded_by_what_they_unpack_to(start):
    rig = await start(log=EventLog, settings=Settings(server=Server(body_max_bytes=100_000)))
    packed = gzip.compress(lines(event(1)))
    assert (await post(rig, packed, **{"Content-Encoding": "gzip"})).status == 202
    bomb = gzip.compress(b" " * 5_000_000)
    assert len(bomb) < 10_000
    assert (await post(rig, bomb, **{"Content-Encoding": "gzip"})).status == 413
    torn = await post(rig, b"not gzip at all", **{"Content-Encoding": "gzip"})
    assert torn.status == 400
    assert (await post(rig, packed[:-12], **{"Content-Encoding": "gzip"})).status == 400
    unknown = await post(rig, packed, **{"Content-Encoding": "rot13"})
    assert (unknown.status, unknown.headers["Content-Type"]) == (415, "application/problem+json")


async def test_views_are_one_view_event(start):
    rig = await start(log=EventLog, new_id=lambda: "made-up")
    answer = await rig.call("POST", "/v1/views", json={"user_id": 5, "items": ["p2", 1]})
    assert answer.status == 202
    assert answer.json == {"offset": 1, "appended": 1, "duplicate": 0, "refused": []}
    for _ in range(2):
        body = msgpack.packb({"user_id": "u1", "items": ["p1"], "ts": NOW - 5, "id": "mine"})
        answer = await post(rig, body, "application/msgpack", "/v1/views")
    assert answer.json["duplicate"] == 1
    first, second = await logged(rig)
    assert (first.id, first.type, first.ts, first.actor, first.attrs) == (
        "made-up", "view", NOW, "5", {"objects": ["p2", "1"]},
    )  # fmt: skip
    assert (second.id, second.ts) == ("mine", NOW - 5)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": "u1"},
        {"user_id": "u1", "items": []},
        {"user_id": "", "items": ["p1"]},
        {"user_id": "é" * 65, "items": ["p1"]},
        {"user_id": "u1", "items": [""]},
        {"user_id": "u1", "items": [None]},
        {"user_id": "u1", "items": ["p1"], "ts": -1},
        {"user_id": "u1", "items": ["p1"], "ts": NOW + 1e6},
        {"user_id": "u1", "items": ["p1"], "id": ""},
        {"user_id": "u1", "items": ["p1"], "id": None},
        {"user_id": "u1", "items": ["p1"], "what": 1},
        {"user_id": "u1", "items": ["p1"] * 1_001},
        [],
    ],
)
async def test_bad_views_are_refused(start, body):
    rig = await start(log=EventLog)
    answer = await rig.call("POST", "/v1/views", json=body)
    assert answer.status == 400
    assert answer.json["detail"]
    assert await logged(rig) == []


async def test_not_a_number_is_no_time(start):
    rig = await start(log=EventLog)
    for path, body in (
        ("/v1/views", {"user_id": "u1", "items": ["p1"], "ts": float("nan")}),
        ("/v1/events", [event(1, ts=float("nan"))]),
        ("/v1/events", [event(1, attrs={"x": float("inf")})]),
    ):
        assert (await post(rig, msgspec.msgpack.encode(body), "application/msgpack", path)).status == 400
    assert await logged(rig) == []


class _AwayLog:
    async def append(self, batch):
        raise LogError("the disk is full")


async def test_a_log_that_cannot_be_written_is_not_acknowledged(start, caplog):
    rig = await start(log=_AwayLog())
    answer = await post(rig, lines(event(1)))
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "disk" not in answer.json["detail"]
    assert "the disk is full" in caplog.text


async def test_a_full_disk_is_said_and_once_there_is_room_writes_are_taken(start, small_disk, caplog):
    async with await EventLog.open(Settings().log, small_disk) as log:
        rig = await start(log=log)
        assert (await post(rig, lines(event(0)))).status == 202
        filler = filled(small_disk)
        kept, numbers = {"e0"}, count(1)
        while (answer := await post(rig, lines(event(number := next(numbers))))).status == 202:
            kept.add(f"e{number}")
        assert (answer.status, answer.json["title"]) == (507, "Insufficient Storage")
        assert "free some space" in answer.json["detail"]
        assert str(small_disk) not in answer.json["detail"]
        assert str(small_disk) in caplog.text
        assert (await post(rig, b'{"user_id": "u1", "items": ["p1"]}', "application/json", "/v1/views")).status == 507
        assert {each.id for each in await logged(rig)} == kept
        filler.unlink()
        again = await post(rig, lines(event(number)))
        assert (again.status, again.json["appended"]) == (202, 1)
        assert {each.id for each in await logged(rig)} == {*kept, f"e{number}"}


@pytest.fixture
def postgres_url():
    """A PostgreSQL server of its own."""
    try:
        with postgres.server() as url:
            yield url
    except postgres.NoPostgres as reason:
        pytest.skip(str(reason))


async def test_a_full_disk_of_postgres_is_said_alike(start, small_disk, postgres_url, tmp_path, caplog):
    connection, space = await asyncpg.connect(postgres_url), small_disk / "space"
    space.mkdir()
    os.chown(space, os.stat(await connection.fetchval("SHOW data_directory")).st_uid, -1)
    await connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
    await connection.execute("ALTER DATABASE postgres SET default_tablespace = small")
    await connection.close()
    async with await EventLog.open(Log(url=postgres_url), tmp_path) as log:
        rig = await start(log=log)
        filler = filled(small_disk)
        kept, numbers = set(), count(1)
        while (answer := await post(rig, lines(event(number := next(numbers))))).status == 202:
            kept.add(f"e{number}")
        assert (answer.status, "Retry-After" in answer.headers) == (507, False)
        assert "free some space" in answer.json["detail"]
        assert "the disk is full (" in caplog.text
        assert {each.id for each in await logged(rig)} == kept
        filler.unlink()
        assert (await post(rig, lines(event(number)))).status == 202
        assert {each.id for each in await logged(rig)} == {*kept, f"e{number}"}


async def test_what_cannot_be_dropped_for_a_full_disk_is_said(start, small_disk):
    store = await SqliteFeedStore.open(small_disk / "feeds.sqlite", 1.0)
    try:
        rig = await start(store=store)
        for number in range(100):
            await rig.put(f"u{number}", [f"p{item}" for item in range(20)])
        filler, viewers = filled(small_disk), (f"u{number}" for number in range(100))
        while (answer := await rig.call("DELETE", f"/v1/feeds/{(viewer := next(viewers))}")).status == 204:
            pass  # as long as the store's file has room of its own
        assert answer.status == 507
        assert await store.get(viewer) is not None
        filler.unlink()
        assert (await rig.call("DELETE", f"/v1/feeds/{viewer}")).status == 204
        assert await store.get(viewer) is None
    finally:
        await store.close()


async def test_an_acknowledged_event_is_seen_by_another_reader_of_the_log(start, tmp_path):
    rig = await start(log=EventLog)
    answers = await asyncio.gather(*(post(rig, lines(event(number))) for number in range(20)))
    async with await EventLog.open(rig.settings.log, tmp_path) as other:
        ids = {each.id for _, each in await other.read(0, 100)}
    assert {answer.status for answer in answers} == {202}
    assert ids == {f"e{number}" for number in range(20)}


async def test_100_continue_is_sent_unless_the_body_is_refused_unseen(start):
    rig = await start(log=EventLog, settings=Settings(server=Server(body_max_bytes=2_000)))
    good = await rig.call("POST", "/v1/events", data=lines(event(1)), headers={"Content-Type": NDJSON}, expect100=True)
    assert good.status == 202
    answer = await rig.call("POST", "/v1/events", data=b"", headers={"Content-Type": NDJSON, "Expect": "a-miracle"})
    assert (answer.status, answer.headers["Content-Type"]) == (417, "application/problem+json")


async def test_past_the_places_for_writes_the_sender_is_told_to_come_back(start):
    rig = await start(log=EventLog, settings=Settings(server=Server(writes_at_once=1)))
    body = lines(event(1))
    reader, writer = await asyncio.open_connection(rig.listening.host, rig.listening.port)
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[:-1])  # one byte short: it holds the place
    await writer.drain()
    while (answer := await post(rig, lines(event(2)))).status == 202:
        pass  # until the server has seen the head
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["detail"].startswith("too many writes")
    assert (await post(rig, b"{}", "application/json", "/v1/views")).status == 503
    writer.write(body[-1:])
    assert b" 202 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await post(rig, lines(event(3)))).status == 202
    assert {"e1", "e3"} <= {each.id for each in await logged(rig)}
