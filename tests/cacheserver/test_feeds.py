"""GET /v1/feeds/{user_id}, over a real socket."""

import msgpack
import msgspec
import pytest

from feedgen.config import Cache, Server, Settings
from feedgen.feed.feedmap import FeedMap
from tests.cacheserver.doubles import HandOlder, bulk, event, posts


async def test_a_page_is_what_the_design_promises(start):
    rig = await start()
    made = await rig.put("u1", ["p1", "p2", "p3"])
    rig.clock.now += 7.9
    answer = await rig.feed("u1", limit=2)
    assert answer.status == 200
    page = answer.json
    assert list(page) == ["user_id", "generation", "generated_at", "items", "next"]
    assert page["user_id"] == "u1"
    assert page["generation"] == str(made.generation)
    assert page["generated_at"] == 1_700_000_000.0
    assert page["items"][0] == {
        "item_id": "p1",
        "author_id": "a0",
        "score": 1.0,
        "reason": "followed",
        "created_at": 1_699_999_900.0,
    }
    assert answer.ids == ["p1", "p2"]
    assert page["next"] == "p2"
    headers = answer.headers
    assert headers["Link"] == f'</v1/feeds/u1?after=p2&limit=2&generation={made.generation}>; rel="next"'
    assert headers["Age"] == "7"
    assert headers["Vary"] == "Accept"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Feed-New-Items"] == "0"
    assert headers["Cache-Status"] == "forefeed; fwd=miss; stored"
    assert (await rig.feed("u1", limit=2)).headers["Cache-Status"] == "forefeed; hit; ttl=1793"


async def test_the_link_names_a_limit_only_if_the_request_did(start):
    rig = await start(settings=Settings(server=Server(page_items=1)))
    await rig.put("u1", ["p1", "p2"])
    assert "limit" not in (await rig.get("/v1/feeds/u1")).headers["Link"]
    assert "limit=1" in (await rig.get("/v1/feeds/u1?limit=1")).headers["Link"]
    assert "limit=1" in (await rig.get("/v1/feeds/u1?%6Cimit=1")).headers["Link"]


async def test_the_last_page_has_no_next(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    answer = await rig.feed("u1", limit=2)
    assert answer.ids == ["p1", "p2"]
    assert answer.json["next"] is None
    assert "Link" not in answer.headers


async def test_a_walk_by_link_gives_every_item_once(start):
    rig = await start()
    ids = [f"p/{i}?&#%ü" for i in range(23)]
    await rig.put("u1", ids)
    assert await rig.walk("u1", 5) == ids


@pytest.mark.parametrize(
    "viewer",
    [
        "a/b",
        "\x00",
        "😀",
        ".hidden",
        "a.b",
        "a%2Fb",
        "%",
        "{u}",
        "a b+c",
        "x" * 128,
        "😀" * 32,
        "a/explain",
        "5",
        "\n",
        "é",
    ],
)
async def test_any_id_of_1_to_128_bytes_works(start, viewer):
    rig = await start()
    ids = [f"{viewer}", "p2", "p3"]
    await rig.put(viewer, ids)
    quoted = "".join(f"%{byte:02X}" for byte in viewer.encode())
    answer = await rig.feed(quoted, limit=1)
    assert answer.status == 200
    assert answer.json["user_id"] == viewer
    assert answer.ids == [viewer]
    assert await rig.walk(quoted, 1) == ids


async def test_dots_work_where_the_client_leaves_them_alone(start):
    rig = await start()
    for viewer in (".", ".."):
        await rig.put(viewer, ["p1", "p2"])
        answer = await rig.feed(viewer.replace(".", "%2E"), limit=1)
        assert answer.json["user_id"] == viewer
        assert f"/v1/feeds/{viewer.replace('.', '%2E')}?" in answer.headers["Link"]


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("/v1/feeds/", "user_id"),
        ("/v1/feeds/" + "x" * 129, "129 bytes"),
        ("/v1/feeds/%F0%9F", "UTF-8"),
        ("/v1/feeds/%ED%A0%80", "UTF-8"),
        ("/v1/feeds/u1?limit=0", "1 to 100"),
        ("/v1/feeds/u1?limit=101", "1 to 100"),
        ("/v1/feeds/u1?limit=", "whole number"),
        ("/v1/feeds/u1?limit=1.0", "whole number"),
        ("/v1/feeds/u1?limit=%2B1", "whole number"),
        ("/v1/feeds/u1?limit=-1", "whole number"),
        ("/v1/feeds/u1?limit=%D9%A3", "whole number"),
        ("/v1/feeds/u1?limit=" + "9" * 5_000, "whole number"),
        ("/v1/feeds/u1?limit=1&limit=1", "more than once"),
        ("/v1/feeds/u1?colour=red", "unknown query key"),
        ("/v1/feeds/u1?limit", "whole number"),
        ("/v1/feeds/u1?after=", "after"),
        ("/v1/feeds/u1?after=" + "x" * 129, "129 bytes"),
        ("/v1/feeds/u1?after=%FF", "UTF-8"),
        ("/v1/feeds/u1?after=nowhere", "after"),
        ("/v1/feeds/u1?generation=", "generation"),
        ("/v1/feeds/u1?generation=1", "generation"),
        ("/v1/feeds/u1?generation=-1.5", "generation"),
        ("/v1/feeds/u1?generation=1.2.3", "generation"),
    ],
)
async def test_a_bad_request_says_what_to_do(start, target, word):
    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    answer = await rig.get(target)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == 400
    assert answer.json["title"] == "Bad Request"
    assert word in answer.json["detail"]


async def test_msgpack_by_accept(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3"])
    plain = await rig.feed("u1", limit=2)
    for media_type in ("application/msgpack", "application/x-msgpack"):
        packed = await rig.get("/v1/feeds/u1?limit=2", Accept=media_type)
        assert packed.headers["Content-Type"] == media_type
        assert msgpack.unpackb(packed.body) == plain.json
        assert packed.headers["ETag"] != plain.headers["ETag"]
    refused = await rig.get("/v1/feeds/u1", Accept="text/html")
    assert refused.status == 406
    assert refused.headers["Content-Type"] == "application/problem+json"


async def test_a_first_page_does_not_build_the_jump_index(start, monkeypatch):
    """It would cost more than all the rest of the request (measured: half of the pages/s)."""
    built = []
    monkeypatch.setattr(FeedMap, "_build_index", lambda feed: built.append(feed))
    rig = await start(older=HandOlder(posts(["o1", "o2"])))
    await rig.put("u1", [f"p{i}" for i in range(50)])
    for _ in range(2):
        assert (await rig.feed("u1", limit=20)).status == 200
    assert built == []


async def test_if_none_match_saves_the_body(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3"])
    first = await rig.feed("u1", limit=2)
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    rig.clock.now += 60
    for held in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        again = await rig.get("/v1/feeds/u1?limit=2", If_None_Match=held)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == tag
        assert again.headers["Link"] == first.headers["Link"]
        assert again.headers["Age"] == "60"
    for other in ('"x"', tag.strip('"'), ""):
        assert (await rig.get("/v1/feeds/u1?limit=2", If_None_Match=other)).status == 200
    assert (await rig.get("/v1/feeds/u1?limit=1", If_None_Match=tag)).status == 200


async def test_a_rebuild_in_the_middle_of_a_walk_is_not_seen_but_announced(start):
    rig = await start()
    old = await rig.put("u1", ["p1", "p2", "p3", "p4"])
    first = await rig.feed("u1", limit=2)
    rebuilt = await rig.put("u1", ["n1", "p4", "n2", "p1"], watermark=11)
    rig.residency.replaced("u1", rebuilt)
    second = await rig.feed("u1", limit=2, after=first.json["next"], generation=first.json["generation"])
    assert second.ids == ["p3", "p4"]
    assert second.json["generation"] == str(old.generation)
    assert second.headers["Feed-New-Items"] == "2"
    top = await rig.feed("u1", limit=2)
    assert top.ids == ["n1", "p4"]
    assert top.headers["Feed-New-Items"] == "0"
    # without `generation`: the newest kept one that holds `after`
    assert (await rig.feed("u1", limit=2, after="p4")).ids == ["n2", "p1"]
    assert (await rig.feed("u1", limit=2, after="p2")).ids == ["p3", "p4"]


async def test_a_session_that_is_over_goes_on_in_the_newest_generation(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3"])
    first = await rig.feed("u1", limit=1)
    rig.monotonic.now += rig.settings.cache.session_s + 1
    rig.residency.replaced("u1", await rig.put("u1", ["n1", "p1", "p2"], watermark=11))
    second = await rig.feed("u1", limit=5, after="p1", generation=first.json["generation"])
    assert second.json["generation"].startswith("11.")
    assert second.ids == ["p2"]
    lost = await rig.feed("u1", limit=5, after="p3", generation=first.json["generation"])
    assert lost.status == 400


async def test_a_removed_item_is_not_shown_and_stays_a_place_to_walk_on_from(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3", "p4"])
    first = await rig.feed("u1", limit=2)
    rig.removals.fold(11, event("delete", "a1", "p2"))
    rig.removals.fold(12, event("delete", "a2", "p3"))
    rig.removals.advance(12)
    assert (await rig.feed("u1", limit=2, after=first.json["next"])).ids == ["p4"]
    assert (await rig.feed("u1")).ids == ["p1", "p4"]
    rig.residency.check()


async def test_a_stored_feed_is_brought_forward_through_what_was_removed_since(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    rig.removals.fold(11, event("delete", "a1", "p1"))
    rig.removals.advance(11)
    assert (await rig.feed("u1")).ids == ["p2"]


async def test_a_feed_older_than_the_removals_that_are_kept_is_a_miss(start):
    settings = Settings(state=msgspec.structs.replace(Settings().state, removals_kept=1))
    rig = await start(settings=settings)
    await rig.put("u1", ["p1", "p2"])
    assert (await rig.feed("u1")).ids == ["p1", "p2"]
    for offset, post in ((11, "x"), (12, "y")):
        rig.removals.fold(offset, event("delete", "a1", post))
    rig.removals.advance(12)
    answer = await rig.feed("u1")
    assert answer.ids == []
    assert "detail=fallback" in answer.headers["Cache-Status"]
    assert "u1" not in rig.residency


async def test_the_walk_goes_on_into_older_posts_across_the_seam(start):
    kept = [f"p{i}" for i in range(5)]
    # The item store knows the kept posts as well; the walk must not give them twice.
    older = HandOlder(posts([*kept, *(f"o{i}" for i in range(7))]))
    rig = await start(older=older)
    await rig.put("u1", kept)
    for limit in (1, 2, 3, 5, 7, 20):
        assert await rig.walk("u1", limit) == [*kept, *(f"o{i}" for i in range(7))]


async def test_a_page_that_ends_at_the_seam_knows_whether_there_is_more(start):
    rig = await start(older=HandOlder(posts(["p1", "p2"])))
    await rig.put("u1", ["p1", "p2"])
    assert (await rig.feed("u1", limit=2)).json["next"] is None


async def test_after_may_be_any_known_post_and_nothing_else(start):
    rig = await start(older=HandOlder(posts(["p1", "p2", "o1", "o2", "o3"])))
    await rig.put("u1", ["p1", "p2"])
    assert (await rig.feed("u1", after="o1")).ids == ["o2", "o3"]
    refused = await rig.feed("u1", after="nobody-knows-it")
    assert refused.status == 400
    assert "names no known post" in refused.json["detail"]


async def test_a_lost_generation_goes_on_by_time_and_leaves_nothing_out(start):
    rig = await start(older=HandOlder(posts(["p1", "p2", "o1", "o2", "o3"])))
    await rig.put("u1", ["p1", "o3"], watermark=11)
    # The tail of a generation nobody keeps: o3, kept in the newest one, may not have been served in it.
    assert (await rig.feed("u1", after="o1", generation="5.1")).ids == ["o2", "o3"]
    assert (await rig.feed("u1", after="o1")).ids == ["o2"]


async def test_a_walk_without_generation_stays_in_its_own_tail(start):
    older = HandOlder(posts(["p1", "p2", "o1", "o2", "o3", "o4"]))
    rig = await start(older=older)
    # o1 and o2 also trend; p2's reader must not be led into the trending feed by them.
    await rig.put_trending(["o2", "o1", "t1"])
    assert (await rig.feed("stranger", limit=1)).ids == ["o2"]
    await rig.put("u1", ["p1", "p2"])
    first = await rig.feed("u1", limit=3)
    assert first.ids == ["p1", "p2", "o1"]
    second = await rig.feed("u1", limit=1, after="o1")
    assert second.ids == ["o2"]
    # The rebuilt feed leaves o4 out of its own tail, but this walk is in the tail of the build before.
    rig.residency.replaced("u1", await rig.put("u1", ["o4", "p1"], watermark=11))
    assert (await rig.feed("u1", limit=5, after="o2")).ids == ["o3", "o4"]


async def test_a_walk_without_generation_goes_on_in_the_build_it_began_in(start):
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3", "p4"])
    assert (await rig.feed("u1", limit=2)).ids == ["p1", "p2"]
    # p2 is the last of the rebuilt feed: going on there would end the walk, and p3 and p4 would be skipped.
    rig.residency.replaced("u1", await rig.put("u1", ["p4", "p3", "p1", "p2"], watermark=11))
    second = await rig.feed("u1", limit=1, after="p2")
    assert (second.ids, second.headers["Feed-New-Items"]) == (["p3"], "0")
    assert (await rig.feed("u1", limit=2, after="p3")).ids == ["p4"]
    assert (await rig.feed("u1", limit=2)).ids == ["p4", "p3"]


async def test_who_pages_the_fallback_without_generation_goes_on_in_it(start, generator):
    rig = await start(generator=generator)
    await rig.put_trending(["t0", "t1", "t2"])
    assert (await rig.feed("u1", limit=1)).ids == ["t0"]
    await rig.put("u1", ["p0", "p1"], watermark=11)
    assert (await rig.feed("u1", limit=2, after="t0")).ids == ["t1", "t2"]
    assert (await rig.feed("u1", limit=2)).ids == ["p0", "p1"]


async def test_stale_is_served_while_a_new_one_is_generated(start, generator):
    rig = await start(generator=generator)
    await rig.put("u1", ["p1"])
    await rig.feed("u1")
    rig.clock.now += rig.settings.cache.fresh_s + 5
    answer = await rig.feed("u1")
    assert answer.ids == ["p1"]
    assert answer.headers["Cache-Status"] == "forefeed; hit; ttl=-5; detail=stale"
    assert generator.refreshed == ["u1"]
    assert generator.generated == []


async def test_a_viewer_never_seen_gets_the_trending_feed_which_is_not_made_resident(start, generator):
    rig = await start(generator=generator)
    await rig.put_trending([f"t{i}" for i in range(6)])
    answer = await rig.feed("stranger", limit=2)
    assert answer.ids == ["t0", "t1"]
    assert answer.json["user_id"] == "stranger"
    assert answer.headers["Cache-Status"] == "forefeed; fwd=miss; detail=fallback"
    assert "stranger" not in rig.residency
    rig.residency.replaced("", bulk(["t9", "t0"], watermark=11))
    second = await rig.feed("stranger", limit=2, after="t1", generation=answer.json["generation"])
    assert second.ids == ["t2", "t3"]
    assert (await rig.feed("stranger", limit=2)).ids == ["t9", "t0"]


async def test_who_began_in_the_fallback_goes_on_in_it_when_the_own_feed_has_come(start, generator):
    rig = await start(generator=generator)
    # One batch made both: one generation.
    await rig.put_trending(["t0", "t1", "t2", "p0"])
    first = await rig.feed("u1", limit=2)
    await rig.put("u1", ["p0", "p1", "p2"])
    assert (await rig.feed("u1", limit=1)).ids == ["p0"]
    second = await rig.feed("u1", limit=2, after=first.json["next"], generation=first.json["generation"])
    assert second.ids == ["t2", "p0"]


async def test_without_any_feed_the_page_is_empty(start):
    rig = await start()
    answer = await rig.feed("u1")
    assert answer.status == 200
    assert answer.json == {"user_id": "u1", "generation": "0.0", "generated_at": 0.0, "items": [], "next": None}
    assert "Age" not in answer.headers


async def test_a_cache_without_room_serves_all_the_same(start):
    rig = await start(settings=Settings(cache=Cache(max_bytes=100)))
    await rig.put("u1", [f"p{i}" for i in range(50)])
    for _ in range(2):
        answer = await rig.feed("u1", limit=3)
        assert answer.ids == ["p0", "p1", "p2"]
        assert answer.headers["Cache-Status"] == "forefeed; fwd=miss"
    assert len(rig.residency) == 0
    assert rig.residency.nbytes == 0


async def test_delete_drops_the_cached_and_the_stored_feed(start):
    rig = await start()
    await rig.put("a/b", ["p1"])
    await rig.feed("a%2Fb")
    assert "a/b" in rig.residency
    for _ in range(2):
        answer = await rig.call("DELETE", "/v1/feeds/a%2Fb")
        assert (answer.status, answer.body) == (204, b"")
    assert "a/b" not in rig.residency
    assert await rig.store.get("a/b") is None
    assert (await rig.call("DELETE", "/v1/feeds/%FF")).status == 400


class _Explainer:
    async def explain(self, viewer, item=None):
        return {"viewer": viewer, "item": item, "sources": {"followed": 3}} if viewer == "u1" else None


async def test_explain_says_why(start):
    rig = await start(explainer=_Explainer())
    answer = await rig.get("/v1/feeds/u1/explain")
    assert answer.json == {"viewer": "u1", "item": None, "sources": {"followed": 3}}
    assert (await rig.get("/v1/feeds/u1/explain?item=p%2F9")).json["item"] == "p/9"
    assert (await rig.get("/v1/feeds/u1/explain?item=")).status == 400
    packed = await rig.get("/v1/feeds/u1/explain", Accept="application/msgpack")
    assert msgpack.unpackb(packed.body) == answer.json
    assert (await rig.get("/v1/feeds/u2/explain")).status == 404
    assert (await rig.get("/v1/feeds/u1/explain?x=1")).status == 400


async def test_without_an_explainer_there_is_no_such_resource(start):
    rig = await start()
    answer = await rig.get("/v1/feeds/u1/explain")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "/v1/feeds/{user_id}/explain" not in (await rig.get("/openapi.json")).json["paths"]


async def test_the_fallback_leaves_out_whom_the_viewer_blocked_and_what_the_viewer_hid(start, generator):
    rig = await start(generator=generator)  # it knows nobody
    await rig.put_trending([f"t{n}" for n in range(12)])  # by a0, a1, a2, a0 …
    for offset, told in enumerate(
        (event("block", "u1", "a1"), event("hide", "u1", "t3"), event("hide", "u1", "t11")), 1
    ):
        rig.removals.fold(offset, told)
    rig.removals.advance(3)
    assert (await rig.feed("u1", limit=100)).ids == ["t0", "t2", "t5", "t6", "t8", "t9"]
    assert await rig.walk("u1", 2) == ["t0", "t2", "t5", "t6", "t8", "t9"]
    assert await rig.walk("u1", 5) == ["t0", "t2", "t5", "t6", "t8", "t9"]
    assert len(await rig.walk("u2", 5)) == 12
