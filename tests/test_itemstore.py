"""Paging past a feed's last item: every retained network post once, newest first; and the explainer's door."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.events import Event
from feedgen.gate import EpochGate
from feedgen.itemstore import ItemStore, PipelineExplainer
from feedgen.pipeline import Pipeline
from tests.twin import Twin
from tests.worlds import DAY, NOW, PEOPLE, POSTS, SMALL, Story, events, folded


def walked(pipeline: Pipeline, viewer: str, until: float, exclude: set[str], limit: int) -> list[str]:
    """Page after page, to the end."""
    found: list[str] = []
    after = None
    for _ in range(99):
        page = pipeline.older(viewer, until=until, after=after, exclude=exclude, limit=limit)
        assert len(page) <= limit
        if not page:
            return found
        assert all(item.created_at <= until and item.reason == "older" for item in page)
        found += [item.item_id for item in page]
        after = found[-1]
    raise AssertionError("the walk does not end")


@settings(max_examples=100, deadline=None)
@given(
    events(),
    st.sets(st.sampled_from(POSTS), max_size=6),
    st.integers(1, 3),
    st.sampled_from((NOW, NOW - 31.0, NOW - DAY, NOW + DAY)),
)
def test_every_retained_post_comes_once(found: list[Event], exclude: set[str], limit: int, until: float) -> None:
    twin = Twin.of(found, SMALL)
    pipeline = Pipeline(folded(found), SMALL)
    for viewer in PEOPLE:
        expected = twin.older(viewer, until) if viewer in twin.people else []
        assert walked(pipeline, viewer, until, exclude, limit) == [post for post in expected if post not in exclude]


@settings(max_examples=60, deadline=None)
@given(events(), st.sampled_from(POSTS))
def test_any_known_post_is_a_place_to_go_on_from(found: list[Event], after: str) -> None:
    twin = Twin.of(found, SMALL)
    pipeline = Pipeline(folded(found), SMALL)
    place = twin.posts.get(after)
    assert pipeline.known_post_created_at(after) == (place.created if place else None)
    for viewer in twin.people:
        behind = [
            post
            for post in twin.older(viewer, NOW)
            if place and (-twin.posts[post].created, post) > (-place.created, after)
        ]
        page = pipeline.older(viewer, until=NOW, after=after, exclude=(), limit=99)
        assert [item.item_id for item in page] == behind


def story() -> Story:
    """`vic` follows `ann`, who posted p1 … p5, a day apart, p1 the newest."""
    told = Story()
    told.tell("vic", "follow", "ann", days=30)
    for number in range(1, 6):
        told.tell("ann", "post", f"p{number}", days=number)
    return told


async def test_a_post_deleted_meanwhile_stays_a_place_to_go_on_from() -> None:
    told = story()
    store = ItemStore(told.pipeline, EpochGate())
    told.tell("ann", "delete", "p2")
    page = await store.older("vic", until=NOW, after="p2", exclude={"p4"}, limit=2)
    assert [item.item_id for item in page] == ["p3", "p5"]
    assert await store.created_at("p2") == NOW - 2 * DAY
    assert await store.created_at("unheard") is None
    assert await store.older("vic", until=NOW, after="unheard", exclude=(), limit=2) == []
    assert await store.older("nobody", until=NOW, after=None, exclude=(), limit=2) == []


async def test_posts_after_the_feed_was_made_do_not_come_into_the_walk() -> None:
    told = story()
    store = ItemStore(told.pipeline, EpochGate())
    told.tell("ann", "post", "later")
    page = await store.older("vic", until=NOW - DAY, after=None, exclude=(), limit=9)
    assert [item.item_id for item in page] == ["p1", "p2", "p3", "p4", "p5"]
    assert (page[0].author_id, page[0].created_at) == ("ann", NOW - DAY)


async def test_answers_wait_for_a_fold() -> None:
    told = story()
    gate = EpochGate()
    store, explainer = ItemStore(told.pipeline, gate), PipelineExplainer(told.explainer, gate, lambda: NOW)
    async with gate.fold():
        asked = [
            asyncio.create_task(store.created_at("p1")),
            asyncio.create_task(store.older("vic", until=NOW, after=None, exclude=(), limit=1)),
            asyncio.create_task(explainer.explain("vic")),
        ]
        _, pending = await asyncio.wait(asked, timeout=0.02)
        assert len(pending) == 3
        told.tell("ann", "post", "p0")
    _, older, explained = await asyncio.gather(*asked)
    assert [item.item_id for item in older] == ["p0"]
    assert explained == told.explainer.explain("vic", NOW)
    gate.check()
