"""FeedMap against its plain twin, and what it costs in memory."""

import gc
import random
import string
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feedgen.feed.feedmap import FeedMap, combine
from feedgen.feed.record import ITEMS_MAX, FeedItem, Generation, Live, bulk_of, decode_bulk, encode_bulk
from tests.feed.strategies import FEEDS
from tests.feed.twin import ListFeed, combined

IDS = st.integers(0, 30).map(lambda n: f"p{n}")
AUTHORS = st.sampled_from(["a", "b", "c"])
FORMS: dict[str, Callable[[int], str]] = {
    "alike": lambda n: "ab"[n & 1] + "ab" * 8 + "ab"[n >> 1 & 1] + f"{n:06b}".replace("0", "a").replace("1", "b"),
    "arena": lambda n: f"p{n}",
    "int": str,
    "hex": lambda n: f"{n:04x}",
    "wide": lambda n: f"é{n:05}",
}


def item(item_id: str, author: str = "a") -> FeedItem:
    return FeedItem(item_id, author, 0.5, "followee", 100.0)


ITEMS = st.builds(item, IDS, AUTHORS)


def feed_of(items: list[FeedItem], capacity: int = 0) -> FeedMap:
    return FeedMap(decode_bulk(encode_bulk(bulk_of(Generation(5, 5_000), items))), capacity)


class FeedMapMachine(RuleBasedStateMachine):
    """Every action on both; after every step they hold the same."""

    @initialize(
        numbers=st.lists(st.integers(0, 30), unique=True, max_size=20),
        spare=st.integers(0, 5),
        form=st.sampled_from(sorted(FORMS)),
        data=st.data(),
    )
    def begin(self, numbers: list[int], spare: int, form: str, data: st.DataObject) -> None:
        self.name = FORMS[form]
        items = [item(self.name(n), data.draw(AUTHORS)) for n in numbers]
        capacity = len(items) + spare
        self.feed = feed_of(items, capacity)
        self.twin = ListFeed(items, capacity)

    @rule(number=st.integers(0, 60), author=AUTHORS)
    def insert(self, number: int, author: str) -> None:
        self.feed.insert(item(self.name(number), author))
        self.twin.insert(item(self.name(number), author))

    @rule(number=st.integers(0, 60))
    def discard(self, number: int) -> None:
        assert self.feed.discard(self.name(number)) == self.twin.discard(self.name(number))

    @rule(numbers=st.sets(st.integers(0, 60), max_size=40))
    def discard_all(self, numbers: set[int]) -> None:
        names = {self.name(number) for number in numbers}
        assert self.feed.discard_all(names) == sum(self.twin.discard(name) for name in sorted(names))

    @rule(author=st.sampled_from(["a", "b", "nobody"]))
    def discard_author(self, author: str) -> None:
        assert self.feed.discard_author(author) == self.twin.discard_author(author)

    @rule(number=st.none() | st.integers(0, 60), limit=st.integers(0, 8))
    def page(self, number: int | None, limit: int) -> None:
        after = None if number is None else self.name(number)
        try:
            expected = self.twin.page(after, limit)
        except KeyError:
            with pytest.raises(KeyError):
                self.feed.page(after, limit)
        else:
            assert self.feed.page(after, limit) == expected

    @rule(number=st.integers(0, 60))
    def contains(self, number: int) -> None:
        name = self.name(number)
        assert (name in self.feed) == any(other.item_id == name for other in self.twin.items)
        living = {other.item_id: other for other in self.twin.living()}
        if name in living:
            assert self.feed[name] == living[name]
        else:
            with pytest.raises(KeyError):
                self.feed[name]

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "feed"):
            return
        assert list(self.feed) == self.twin.living()
        assert len(self.feed) == len(self.twin.living())
        assert self.feed.item_ids() == {other.item_id for other in self.twin.items}
        assert self.feed.living_ids() == {other.item_id for other in self.twin.living()}

    @precondition(lambda self: hasattr(self, "feed"))
    @rule()
    def check(self) -> None:
        """A rule, not an invariant: it builds the jump index, and much can happen before the first jump."""
        self.feed.check()

    def teardown(self) -> None:
        if hasattr(self, "feed"):
            self.feed.check()


FeedMapMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestFeedMap = FeedMapMachine.TestCase

ENTRIES = st.lists(
    st.builds(Live.insert, st.integers(0, 10), ITEMS)
    | st.builds(Live, st.integers(0, 10), st.just("remove"), IDS)
    | st.builds(Live, st.integers(0, 10), st.just("remove_author"), AUTHORS),
    max_size=12,
)


@given(items=st.lists(ITEMS, max_size=10, unique_by=lambda i: i.item_id), live=ENTRIES, capacity=st.integers(0, 12))
def test_combine_is_its_twin(items: list[FeedItem], live: list[Live], capacity: int) -> None:
    feed = combine(bulk_of(Generation(5, 1), items), live, capacity)
    assert list(feed) == combined(items, 5, live, capacity).living()
    assert (feed.generation, feed.brought_to) == (Generation(5, 1), 5)
    feed.check()


def test_combine_ignores_what_the_bulk_has_seen_and_goes_by_offset() -> None:
    bulk = bulk_of(Generation(5, 1), [item("p1"), item("p2", "b")])
    live = [
        Live.insert(9, item("p9")),
        Live(5, "remove", "p1"),
        Live(4, "remove_author", "b"),
        Live(8, "remove", "p7"),
        Live.insert(7, item("p7")),
        Live.insert(6, item("p6", "c")),
    ]
    assert [i.item_id for i in combine(bulk, live, 10)] == ["p9", "p6", "p1", "p2"]


@given(items=FEEDS, start=st.integers(-1, 19), limit=st.integers(1, 25))
def test_a_run_of_columns_is_read_as_its_items_are_one_by_one(items: list[FeedItem], start: int, limit: int) -> None:
    feed = feed_of(items)
    one_by_one = list(feed)
    after = items[start].item_id if 0 <= start < len(items) else None
    first = 0 if after is None else start + 1
    page = feed.page(after, limit)
    assert page == (one_by_one[first : first + limit], first + limit < len(items))
    assert [[type(field) for field in each] for each in page.items] == [[str, str, float, str, float]] * len(page.items)


@given(count=st.integers(0, 40), limit=st.integers(1, 7), seed=st.integers(0, 99))
def test_paging_walks_each_item_once_whatever_is_removed_on_the_way(count: int, limit: int, seed: int) -> None:
    rng = random.Random(seed)
    feed = feed_of([item(f"p{n}") for n in range(count)])
    seen: list[int] = []
    removed: set[int] = set()
    after = None
    while True:
        page = feed.page(after, limit)
        seen += [int(i.item_id[1:]) for i in page.items]
        if not page.more:
            break
        after = page.items[-1].item_id
        for n in rng.sample(range(count), rng.randrange(min(count, 4))):
            feed.discard(f"p{n}")
            if n not in seen:
                removed.add(n)
        if rng.random() < 0.5:  # the place to walk on from goes too
            feed.discard(after)
    assert seen == [n for n in range(count) if n not in removed]
    feed.check()


def test_what_is_inserted_while_paging_moves_nothing() -> None:
    feed = feed_of([item(f"p{n}") for n in range(6)], capacity=100)
    first = feed.page(None, 2)
    feed.insert(item("new"))
    feed.discard(first.items[-1].item_id)
    feed.insert(item("newer"))
    assert [i.item_id for i in feed.page(first.items[-1].item_id, 10).items] == ["p2", "p3", "p4", "p5"]
    assert [i.item_id for i in feed.page(None, 3).items] == ["newer", "new", "p0"]


def test_past_the_capacity_the_last_item_leaves_and_the_removed_stay_removed() -> None:
    feed = feed_of([item("p0"), item("p1"), item("p2")])
    feed.discard("p2")
    feed.insert(item("new"))
    feed.insert(item("newer"))
    assert [i.item_id for i in feed] == ["newer", "new", "p0"]
    feed.insert(item("p2"))
    assert "p2" in feed
    assert [i.item_id for i in feed.page("p1", 5).items] == []
    feed.check()


def test_the_slots_are_used_up_only_at_the_bound() -> None:
    feed = feed_of([item(str(n)) for n in range(ITEMS_MAX - 1)])
    feed.insert(item("new"))
    with pytest.raises(ValueError, match="takes no more live items"):
        feed.insert(item("one more"))
    assert len(feed) == ITEMS_MAX - 1
    assert feed.page("new", 1).items == [item("0")]
    assert feed.page(str(ITEMS_MAX - 3), 5).items == []


@pytest.mark.parametrize("form", sorted(FORMS))
def test_many_live_items_are_found_too(form: str) -> None:
    name = FORMS[form]
    feed, twin = (make([item(name(n)) for n in range(4)], 50) for make in (feed_of, ListFeed))
    for number in range(4, 60):
        for each in (feed, twin):
            each.insert(item(name(number)))
            each.discard(name(number - 3))
        assert feed.discard_all({name(2), name(number + 1)}) == twin.discard(name(2))
        for other in range(61):
            assert (name(other) in feed) == any(known.item_id == name(other) for known in twin.items)
        feed.check()
    assert list(feed) == twin.living()


def test_an_empty_feed() -> None:
    feed = feed_of([])
    assert feed.page(None, 5) == ([], False)
    assert list(feed) == []
    assert feed.discard_author("a") == 0
    assert not feed.discard("p")
    with pytest.raises(KeyError):
        feed.page("p", 5)
    feed.check()


def text16(rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_letters) for _ in range(16))


ID_FORMS: dict[str, Callable[[random.Random], str]] = {
    "12 hexadecimal digits": lambda rng: f"{rng.getrandbits(48):012x}",
    "int64": lambda rng: str(rng.getrandbits(62)),
    "16 bytes": text16,
    "1 to 16 bytes": lambda rng: text16(rng)[: rng.randrange(6, 17)],
}


def blob(form: str, items: int, authors: int = 200) -> bytes:
    """An encoded feed with ids of that form; float64 times."""
    rng = random.Random(form)
    make = ID_FORMS[form]
    names = [make(rng) for _ in range(authors)]
    reasons = ("followee", "trending")
    bulk = bulk_of(
        Generation(1, 2),
        [FeedItem(make(rng), rng.choice(names), rng.random(), rng.choice(reasons), 1e9 + n) for n in range(items)],
    )
    return encode_bulk(msgspec.structs.replace(bulk, explore_share=0.05, explored=rng.randbytes((items + 7) // 8)))


@pytest.mark.parametrize("changed", [False, True], ids=["as built", "changed"])
@pytest.mark.parametrize("items", [1, 500])
@pytest.mark.parametrize("form", ID_FORMS)
def test_nbytes_is_an_upper_bound_close_to_what_is_measured(form: str, items: int, changed: bool) -> None:
    data = blob(form, items)
    copies = 40

    def admit() -> FeedMap:
        feed = FeedMap(decode_bulk(data))
        last = [i.item_id for i in feed][-1]
        feed.page(last, 20)  # builds the jump index, where there is one
        if changed:
            feed.discard(last)
            feed.insert(item("live"))
        return feed

    admit()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        feeds = [admit() for _ in range(copies)]
        gc.collect()
        measured = (tracemalloc.get_traced_memory()[0] - before) / copies
    finally:
        tracemalloc.stop()
    assert measured <= feeds[0].nbytes
    if items == 500:
        assert feeds[0].nbytes <= 1.15 * measured
