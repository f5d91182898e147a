"""Signed requests: what is signed passes, on both paths; whatever is changed afterwards does not."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cacheserver.app import LANE
from cacheserver.auth import Verifier, sign
from cacheserver.problems import Refusal
from feedgen.config import Server, Settings
from feedgen.eventlog import EventLog
from tests.cacheserver.doubles import NOW, Hand

PAGE = (Path(__file__).parents[2] / "docs" / "signing.md").read_text(encoding="utf-8")
KEYS: dict[str, str] = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])["server"]["signing_keys"]  # type: ignore[index]
VECTORS = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]

both_paths = pytest.mark.parametrize("fast_lane", [True, False], ids=["fast lane", "ordinary path"])


def verifier(now: float, nonces_max: int = 100) -> Verifier:
    return Verifier(KEYS, nonces_max, Hand(now))


def authorization(
    method: str, target: str, body: bytes = b"", nonce: str = "", key: str = "k1", now: float = NOW
) -> str:
    return sign(key, KEYS[key], method, target, int(now), body, nonce)


async def signed_server(start, fast_lane=True, **more):
    settings = Settings(server=Server(fast_lane=fast_lane, signing_keys=KEYS, **more))
    rig = await start(settings=settings, wall=Hand(NOW), log=EventLog)
    await rig.put("u1", ["p1", "p2", "p3"])
    return rig


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['method']} {vector['target']}")
def test_the_published_vectors_hold_by_the_page_s_own_words(vector):
    body = vector["body"].encode()
    parts = (vector["method"], vector["target"], vector["key"], str(vector["time"]), vector["nonce"])
    text = "\n".join((*parts, hashlib.sha256(body).hexdigest()))
    signature = hmac.digest(KEYS[vector["key"]].encode(), text.encode(), "sha256").hex()
    assert signature == vector["signature"]
    header = sign(
        vector["key"], KEYS[vector["key"]], vector["method"], vector["target"], vector["time"], body, vector["nonce"]
    )
    assert header.endswith(f"signature={signature}")
    signed = verifier(vector["time"] + 60).check(vector["method"].encode(), vector["target"].encode(), header.encode())
    assert signed.nonce.decode() == vector["nonce"]
    assert signed.body.decode() == hashlib.sha256(body).hexdigest()


@given(
    st.text(min_size=32, max_size=200),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.binary(),
)
def test_what_is_signed_passes_and_any_other_target_does_not(secret, target, body):
    checking = Verifier({"k": secret}, 10, Hand(NOW))
    header = sign("k", secret, "POST", target, int(NOW), body, "n").encode()
    assert checking.check(b"POST", target.encode(), header).body == hashlib.sha256(body).hexdigest().encode()
    for method, other in ((b"GET", target), (b"POST", target + "x"), (b"POST", target[1:])):
        with pytest.raises(Refusal):
            checking.check(method, other.encode(), header)


@pytest.mark.parametrize(
    "change",
    [
        ("key=k1", "key=k2"), ("key=k1", "key=k3"), ("time=1", "time=2"), ("Forefeed ", "Bearer "), (", time", ",time"),
        ("signature=", "signature=0"), ("signature=", "nonce=n, signature="),
        (f"time={NOW:.0f}", f"time={NOW + 1:.0f}"), ("signature=", f"body={'0' * 64}, signature="),
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_changed_in_the_header_is_refused(change):
    header = authorization("GET", "/x")
    assert verifier(NOW).check(b"GET", b"/x", header.encode())
    with pytest.raises(Refusal) as refusal:
        verifier(NOW).check(b"GET", b"/x", header.replace(*change).encode())
    assert refusal.value.status == 401


@pytest.mark.parametrize(("off_s", "passes"), [(-61, False), (-60, True), (60, True), (61, False)])
def test_a_signature_holds_for_a_minute_either_way(off_s, passes):
    header = authorization("GET", "/x").encode()
    if passes:
        assert verifier(NOW + off_s).check(b"GET", b"/x", header)
    else:
        with pytest.raises(Refusal, match="60 s"):
            verifier(NOW + off_s).check(b"GET", b"/x", header)


def test_nonces_count_once_for_each_key_and_are_bounded():
    wall = Hand(NOW)
    checking = Verifier(KEYS, 3, wall)

    def write(nonce: str, key: str = "k1") -> None:
        header = authorization("POST", "/v1/events", nonce=nonce, key=key, now=wall.now)
        checking.use_up(checking.check(b"POST", b"/v1/events", header.encode()))

    write("a")
    write("a", key="k2")
    write("b")
    with pytest.raises(Refusal, match="has been used"):
        write("b")
    with pytest.raises(Refusal) as full:
        write("c")
    assert (full.value.status, full.value.retry_after_s) == (503, 1)
    with pytest.raises(Refusal, match="carries a nonce"):
        write("")
    wall.now += 121
    write("c")
    write("a")


@both_paths
async def test_pages_go_to_who_signs(start, fast_lane):
    rig = await signed_server(start, fast_lane)
    target = "/v1/feeds/u1?limit=2"
    for key in ("k1", "k2", "k1"):
        answer = await rig.get(target, Authorization=authorization("GET", target, key=key))
        assert answer.ids == ["p1", "p2"]
    assert answer.headers["Cache-Status"].startswith("forefeed; hit")
    for header in ({}, {"Authorization": authorization("GET", "/v1/feeds/u2?limit=2")}, {"Authorization": "Bearer x"}):
        refused = await rig.get(target, **header)
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Forefeed")
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert (await rig.get("/nowhere")).status == 401
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await rig.get(path)).status == 200


@both_paths
async def test_of_two_signatures_neither_counts(start, make_client, fast_lane):
    rig = await signed_server(start, fast_lane)
    target = "/v1/feeds/u1?limit=2"
    good = f"Authorization: {authorization('GET', target)}\r\n"
    other = "authorization: Forefeed\r\n"
    client = await make_client(rig)
    for fields in (good + other, other + good, good + good, other):
        await client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        assert (await client.until_blank_line()).startswith(b"HTTP/1.1 401 ")
        assert b'"status":401' in await client.answer_or_silence()


async def test_the_lane_answers_signed_reads_itself(start):
    rig = await signed_server(start)
    target = "/v1/feeds/u1?limit=2"
    header = authorization("GET", target)
    await rig.get(target, Authorization=header)
    lane = rig.app[LANE]
    for place in (f"Host: x\r\nAuthorization: {header}\r\nAccept: */*", f"Authorization: {header}\r\nHost: x"):
        data = f"GET {target} HTTP/1.1\r\n{place}\r\n\r\n".encode()
        answer, consumed = lane.answer(data, 0)
        assert (answer[:12], consumed) == (b"HTTP/1.1 200", len(data))
        assert lane.page(data) is not None
        assert lane.answer(data.replace(b"limit=2", b"limit=1"), 0) == (b"", 0)
        assert lane.page(data.replace(b"limit=2", b"limit=1")) is None
    bare = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()  # what is left of a signed one that was answered
    for first in (bare, data):
        answer, consumed = lane.answer(first + bare + bare, 0)
        assert (answer[:12], consumed) == ((b"", 0) if first is bare else (b"HTTP/1.1 200", len(data)))


@both_paths
async def test_writes_go_through_once(start, fast_lane):
    rig = await signed_server(start, fast_lane)
    body = json.dumps([{"id": "e1", "type": "login", "ts": NOW, "actor": "u1"}]).encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": authorization("POST", "/v1/events", body, nonce="n1"),
    }
    assert (await rig.call("POST", "/v1/events", data=body, headers=headers)).status == 202
    again = await rig.call("POST", "/v1/events", data=body, headers=headers)
    assert (again.status, again.json["detail"].split(";")[0]) == (401, "the nonce has been used")
    headers["Authorization"] = authorization("POST", "/v1/events", body, nonce="n2")
    other = await rig.call("POST", "/v1/events", data=body.replace(b"u1", b"u2"), headers=headers)
    assert (other.status, other.json["detail"]) == (401, "the body is not the one that was signed")
    assert await rig.log.head() == 1
    delete = authorization("DELETE", "/v1/feeds/u1")
    assert (await rig.call("DELETE", "/v1/feeds/u1", headers={"Authorization": delete})).status == 401
    delete = authorization("DELETE", "/v1/feeds/u1", nonce="n3")
    assert (await rig.call("DELETE", "/v1/feeds/u1", headers={"Authorization": delete})).status == 204


@both_paths
async def test_a_batch_is_a_read_and_its_body_is_signed(start, fast_lane):
    rig = await signed_server(start, fast_lane)
    body = b'{"requests":[{"user_id":"u1","limit":1}]}'
    for signed_body, status in ((body, 200), (body, 200), (body + b" ", 401), (b"", 401)):
        headers = {
            "Content-Type": "application/json",
            "Authorization": authorization("POST", "/v1/feeds:batchGet", signed_body),
        }
        assert (await rig.call("POST", "/v1/feeds:batchGet", data=body, headers=headers)).status == status
