"""The removal index against a naive twin that replays every event."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.events import Event
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import FeedItem, Generation, bulk_of
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.roles import Hidden
from tests.feed.twin import ListFeed

VIEWERS = ("v0", "v1", "v2")
POSTS = tuple(f"p{n}" for n in range(8))
ON_POST = ("delete", "review", "hide", "report", "not_interested", "like", "post")
ON_USER = ("block", "unblock", "mute", "unmute", "follow", "unfollow")


def items_of(authors: list[str]) -> list[FeedItem]:
    return [FeedItem(post, author, 0.5, "followee", 100.0) for post, author in zip(POSTS, authors, strict=True)]


def event(kind: str, actor: str, target: str | None, ts: float = 0.0, state: str = "rejected") -> Event:
    return Event("e", kind, ts, actor, target, {"state": state} if kind == "review" else {})


EVENTS = st.one_of(
    st.builds(
        event,
        st.sampled_from(ON_POST),
        st.sampled_from(VIEWERS),
        st.sampled_from(POSTS),
        st.floats(0, 1e9),
        st.sampled_from(["rejected", "pending", "approved"]),
    ),
    st.builds(event, st.sampled_from(ON_USER), st.sampled_from(VIEWERS), st.sampled_from(VIEWERS), st.floats(0, 1e9)),
    st.builds(event, st.just("login"), st.sampled_from(VIEWERS), st.none()),
)


def replay(events: list[tuple[int, Event]], since: int, viewer: str, feed: ListFeed) -> None:
    """What removals mean, word for word."""
    for offset, happened in events:
        if offset <= since:
            continue
        kind, actor, target = happened.type, happened.actor, happened.object or ""
        for_all = kind == "delete" or (kind == "review" and happened.attrs["state"] in ("rejected", "pending"))
        if for_all or (kind in ("hide", "report", "not_interested") and actor == viewer):
            feed.discard(target)
        elif kind in ("block", "mute", "unfollow") and actor == viewer:
            feed.discard_author(target)
        elif kind == "block" and target == viewer:
            feed.discard_author(actor)


def removal_count(events: list[tuple[int, Event]]) -> int:
    def weight(happened: Event) -> int:
        if happened.type == "review":
            return int(happened.attrs["state"] != "approved")
        return {"block": 2}.get(
            happened.type, int(happened.type in ("delete", "hide", "report", "not_interested", "mute", "unfollow"))
        )

    return sum(weight(happened) for _, happened in events)


@settings(max_examples=300, deadline=None)
@given(
    stream=st.lists(st.tuples(st.integers(1, 3), EVENTS), max_size=40),
    cut=st.integers(0, 40),
    kept=st.integers(1, 30),
    since=st.integers(0, 130),
    viewer=st.sampled_from(VIEWERS),
    authors=st.lists(st.sampled_from(VIEWERS), min_size=len(POSTS), max_size=len(POSTS)),
)
def test_bringing_forward_is_replaying(
    stream: list[tuple[int, Event]], cut: int, kept: int, since: int, viewer: str, authors: list[str]
) -> None:
    index = RemovalIndex(kept)
    items = items_of(authors)
    since %= 1 + sum(gap for gap, _ in stream)
    early = FeedMap(bulk_of(Generation(since, 1), items))
    events: list[tuple[int, Event]] = []
    offset = 0
    for step, (gap, happened) in enumerate(stream):
        offset += gap
        index.fold(offset, happened)
        index.advance(offset)
        events.append((offset, happened))
        index.check()
        if step == cut and since <= offset:
            brought(index, events, since, viewer, items, early)
    late = FeedMap(bulk_of(Generation(since, 1), items))
    assert len(index) == min(kept, removal_count(events))
    assert index.floor == 0 or removal_count(events) > kept
    brought(index, events, since, viewer, items, late)
    if early.brought_to > since and early.brought_to >= index.floor:
        assert index.bring_forward(viewer, early)
        assert list(early) == list(late) or late.brought_to < index.head


def brought(
    index: RemovalIndex, events: list[tuple[int, Event]], since: int, viewer: str, items: list[FeedItem], feed: FeedMap
) -> None:
    forgotten = removal_count(events) - len(index)
    assert index.bring_forward(viewer, feed) == (since >= index.floor)
    if since < index.floor:
        assert forgotten > 0
        assert (len(feed), feed.brought_to) == (len(items), since)
        return
    twin = ListFeed(items)
    replay(events, since, viewer, twin)
    assert list(feed) == twin.living()
    assert feed.brought_to == max(since, index.head)
    feed.check()
    assert index.bring_forward(viewer, feed)
    assert list(feed) == twin.living()


def test_more_removals_than_items_and_fewer_come_to_the_same() -> None:
    index = RemovalIndex(10_000)
    for offset in range(1, 1_001):
        index.fold(offset, event("delete", "x", f"other{offset}" if offset % 100 else POSTS[offset // 100 % 8]))
    index.advance(1_000)
    for since in (0, 450, 996, 1_000):
        feed = FeedMap(bulk_of(Generation(since, 1), items_of(["a"] * 8)))
        assert index.bring_forward("v", feed)
        gone = {POSTS[offset // 100 % 8] for offset in range(100, 1_001, 100) if offset > since}
        assert {item.item_id for item in feed} == set(POSTS) - gone
        assert feed.brought_to == 1_000


def test_a_feed_that_nothing_concerns_is_not_touched() -> None:
    index = RemovalIndex(100)
    index.fold(10, event("hide", "v1", "p0"))
    index.advance(20)
    feed = FeedMap(bulk_of(Generation(5, 1), items_of(["a"] * 8)))
    before = feed.nbytes
    assert index.bring_forward("v0", feed)
    assert feed.brought_to == 20
    assert feed._index is None, "no jump index was built"
    assert feed.nbytes == before


def test_the_floor_is_the_last_removal_forgotten() -> None:
    index = RemovalIndex(2)
    for offset in (3, 5, 9):
        index.fold(offset, event("delete", "x", f"q{offset}"))
    index.advance(12)
    assert (index.floor, index.head) == (3, 12)
    for since, usable in ((2, False), (3, True), (12, True), (15, True)):
        feed = FeedMap(bulk_of(Generation(since, 1), items_of(["a"] * 8)))
        assert index.bring_forward("v", feed) is usable
        assert feed.brought_to == (max(since, 12) if usable else since)


def test_what_comes_out_of_order_is_a_bug_and_says_so() -> None:
    index = RemovalIndex(10)
    index.fold(5, event("delete", "x", "p0"))
    with pytest.raises(ValueError, match="log order"):
        index.fold(4, event("delete", "x", "p1"))
    index.advance(7)
    with pytest.raises(ValueError, match="go back"):
        index.advance(6)
    with pytest.raises(ValueError, match="log order"):
        index.fold(6, event("delete", "x", "p1"))
    with pytest.raises(ValueError):
        RemovalIndex(0)


def test_a_late_event_counts_by_its_offset() -> None:
    index = RemovalIndex(10)
    index.fold(8, event("delete", "x", "p3", ts=1.0))
    index.advance(8)
    feed = FeedMap(bulk_of(Generation(7, 1_735_655_473_000), items_of(["a"] * 8)))
    assert index.bring_forward("v", feed)
    assert "p3" not in {item.item_id for item in feed}


def test_what_one_viewer_alone_is_not_to_see() -> None:
    index = RemovalIndex(100)
    told = [
        event("hide", "v0", "p1"),
        event("block", "v0", "v1"),
        event("mute", "v0", "v2"),
        event("block", "v1", "v2"),
        event("delete", "v2", "p2"),
    ]
    for offset, happened in enumerate(told, 1):
        index.fold(offset, happened)
    index.advance(len(told))
    assert index.hidden_from("v0") == Hidden(frozenset({"p1"}), frozenset({"v1", "v2"}))
    assert index.hidden_from("v2") == Hidden(frozenset(), frozenset({"v1"}))
    assert index.hidden_from("nobody") is None
    hidden = index.hidden_from("v0")
    assert hidden is not None
    assert [hidden.hides(item) for item in items_of(["a", "a", "v1", "v2", "a", "a", "a", "a"])][:5] == [
        False,
        True,
        True,
        True,
        False,
    ]
