"""POST /v1/feeds:batchGet."""

import asyncio
import json

import msgpack
import pytest

from feedgen.config import Server, Settings
from tests.cacheserver.doubles import until


async def batch(rig, requests, **headers):
    return await rig.call("POST", "/v1/feeds:batchGet", json={"requests": requests}, headers=headers)


async def test_many_viewers_in_order_and_a_bad_entry_spoils_nothing(start):
    rig = await start()
    await rig.put_trending(["t1"])
    await rig.put("u1", ["p1", "p2", "p3"])
    await rig.put("5", ["q1"])
    await rig.feed("u1")
    answer = await batch(
        rig,
        [
            {"user_id": "u1", "limit": 2},
            {"user_id": 5},
            {"user_id": ""},
            {"user_id": "stranger"},
            7,
            {"user_id": "u1", "after": "p2", "limit": 2, "generation": "10.1700000000000"},
            {"user_id": "u1", "limit": 101},
            {"user_id": "u1", "limit": 0},
            {"user_id": "u1", "after": "nowhere"},
            {"user_id": "u1", "generation": "x"},
            {"user_id": "u1", "wrong": 1},
            {"user_id": "é" * 65},
            {"user_id": "u1", "limit": True},
        ],
    )
    assert answer.status == 200
    results = answer.json["results"]
    assert [result["status"] for result in results] == [200, 200, 400, 200, 400, 200, *[400] * 7]
    assert [result.get("cache") for result in results[:6]] == ["hit", "miss", None, "fallback", None, "hit"]
    pages = [[item["item_id"] for item in results[at]["page"]["items"]] for at in (0, 1, 3, 5)]
    assert pages == [["p1", "p2"], ["q1"], ["t1"], ["p3"]]
    assert results[0]["page"]["next"] == "p2"
    assert results[5]["page"]["next"] is None
    for result in results:
        assert ("page" in result) != ("problem" in result)
        if result["status"] == 400:
            assert result["problem"]["status"] == 400
            assert result["problem"]["detail"]


async def test_a_page_of_a_batch_is_the_page_of_the_get(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3"])
    alone = await rig.feed("u1", limit=2)
    (result,) = (await batch(rig, [{"user_id": "u1", "limit": 2}])).json["results"]
    assert result["page"] == alone.json


async def test_msgpack_both_ways(start):
    rig = await start()
    await rig.put("u1", ["p1"])
    body = msgpack.packb({"requests": [{"user_id": "u1"}]})
    headers = {"Content-Type": "application/x-msgpack", "Accept": "application/msgpack"}
    answer = await rig.call("POST", "/v1/feeds:batchGet", data=body, headers=headers)
    assert answer.headers["Content-Type"] == "application/msgpack"
    assert msgpack.unpackb(answer.body)["results"][0]["page"]["user_id"] == "u1"


async def test_misses_are_resolved_at_once(start, generator):
    rig = await start(settings=Settings(server=Server(generate_deadline_s=30.0)), generator=generator)
    generator.gate.clear()
    asked = asyncio.create_task(batch(rig, [{"user_id": f"u{i}"} for i in range(10)] + [{"user_id": "u0"}]))
    await until(lambda: len(generator.generated) == 10)
    generator.gate.set()
    assert len((await asked).json["results"]) == 11


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"requests":[]}', 400),
        (b'{"requests":{}}', 400),
        (b'{"requests":[{"user_id":"u"}],"x":1}', 400),
        (json.dumps({"requests": [{"user_id": "u"}] * 65}).encode(), 400),
        (b'{"requests":' + b"[" * 50_000, 400),
    ],
)
async def test_a_body_that_is_no_batch_is_a_problem(start, body, status):
    rig = await start()
    headers = {"Content-Type": "application/json"}
    answer = await rig.call("POST", "/v1/feeds:batchGet", data=body, headers=headers)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_other_types_are_refused(start):
    rig = await start()
    url = "/v1/feeds:batchGet"
    assert (await rig.call("POST", url, data=b"{}", headers={"Content-Type": "text/plain"})).status == 415
    assert (await batch(rig, [{"user_id": "u1"}], Accept="text/html")).status == 406
    assert (await rig.call("POST", url + "?x=1", json={"requests": [{"user_id": "u1"}]})).status == 400
