"""The byte-bounded LRU: its bound, its order, its sessions, its sweep."""

import asyncio
import gc
import random
import tracemalloc
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cacheserver.encoded import Encoded
from cacheserver.residency import Residency
from cacheserver.shelf import Shelf
from cacheserver.wire import FeedPage
from feedgen.config import Cache, Settings
from feedgen.events import Event
from feedgen.feed.eviction import LOOKED_AT, LookAhead
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk, FeedItem, Generation, bulk_of
from feedgen.feed.removals import RemovalIndex
from loadtest.residents import feeds
from tests.cacheserver.doubles import Hand, until


def feed(count: int, watermark: int = 1, name: str = "p") -> Bulk:
    items = [FeedItem(f"{name}{i}", f"a{i % 5}", 1.0, "followed", 1e9) for i in range(count)]
    return bulk_of(Generation(watermark, watermark), items)


def residency(max_bytes: int = 1 << 30, clock: Hand | None = None, **cache: float) -> Residency:
    settings = Settings(cache=Cache(max_bytes=max_bytes, **cache))
    return Residency(settings, clock or Hand(0.0))


def test_the_least_recently_read_leave_first_and_the_bound_is_never_passed():
    """20,000 viewers through room for 5,000, against an OrderedDict twin."""
    rng = random.Random(3)
    sizes = [feed(count) for count in (1, 2, 3)]
    cost = {len(bulk.reason_of): Shelf("viewer-00000", FeedMap(bulk), 0.0).nbytes for bulk in sizes}
    bound = 5_000 * cost[2]
    cache = residency(bound)
    twin: OrderedDict[str, int] = OrderedDict()
    held = evicted = 0
    for turn in range(40_000):
        viewer = f"viewer-{turn if turn < 20_000 else int(20_000 * rng.random() ** 3):05}"
        if cache.read(viewer) is None:
            assert viewer not in twin
            bulk = sizes[rng.randrange(3)]
            size = cost[len(bulk.reason_of)]
            while held + size > bound:
                held -= twin.popitem(last=False)[1]
                evicted += 1
            twin[viewer] = size
            held += size
            cache.admit(viewer, FeedMap(bulk))
        else:
            assert viewer in twin
            twin.move_to_end(viewer)
        assert cache.nbytes == held <= bound
    assert evicted == cache.evictions > 10_000
    assert set(twin) == {viewer for viewer in (f"viewer-{i:05}" for i in range(20_000)) if viewer in cache}
    cache.check()


def test_a_replacement_does_not_make_a_feed_recent():
    one = Shelf("a", FeedMap(feed(5)), 0.0).nbytes
    cache = residency(3 * one)
    for viewer in "abc":
        cache.admit(viewer, FeedMap(feed(5)))
    cache.replaced("a", feed(5, watermark=2))
    assert cache.read("b") is not None  # order now: a, c, b
    cache.admit("d", FeedMap(feed(5)))
    assert [viewer for viewer in "abcd" if viewer in cache] == ["b", "c", "d"]
    cache.check()


def test_a_replacement_that_grows_pushes_out_the_least_recently_read_even_if_it_is_itself():
    small, large = Shelf("a", FeedMap(feed(5)), 0.0).nbytes, Shelf("a", FeedMap(feed(50)), 0.0).nbytes
    cache = residency(3 * small + 10)
    for viewer in "abc":
        cache.admit(viewer, FeedMap(feed(5)))
    cache.replaced("c", feed(50, watermark=2))
    assert [viewer for viewer in "abc" if viewer in cache] == (["b", "c"] if small + large <= 3 * small + 10 else ["c"])
    cache.check()
    cache = residency(3 * small + 10)
    for viewer in "abc":
        cache.admit(viewer, FeedMap(feed(5)))
    cache.replaced("a", feed(50, watermark=2))
    assert [viewer for viewer in "abc" if viewer in cache] == ["b", "c"]
    cache.check()


def test_a_feed_that_outgrows_the_whole_bound_leaves_alone():
    small = Shelf("a", FeedMap(feed(5)), 0.0).nbytes
    cache = residency(3 * small)
    for viewer in "abc":
        cache.admit(viewer, FeedMap(feed(5)))
    cache.replaced("c", feed(500, watermark=2))
    assert [viewer for viewer in "abc" if viewer in cache] == ["a", "b"]
    cache.check()


def test_a_missing_feed_stays_missing_and_an_older_one_is_refused():
    cache = residency()
    cache.replaced("a", feed(5))
    assert "a" not in cache
    cache.admit("a", FeedMap(feed(5, watermark=7)))
    cache.replaced("a", feed(3, watermark=6))
    shelf = cache.admit("a", FeedMap(feed(3, watermark=7)))
    assert shelf is not None
    assert len(shelf.current) == 5


def test_generations_are_kept_while_their_session_is_open_and_not_otherwise():
    clock = Hand(0.0)
    cache = residency(clock=clock, session_s=100.0, session_generations=2)
    shelf = cache.admit("a", FeedMap(feed(5, watermark=1)))
    assert shelf is not None
    cache.replaced("a", feed(5, watermark=2))  # nobody paged the first
    assert [each.generation.watermark for each in shelf.feeds] == [2]
    for watermark in (3, 4, 5, 6):
        cache.paged(shelf, shelf.current)
        clock.now += 10
        cache.replaced("a", feed(5, watermark=watermark))
    assert [each.generation.watermark for each in shelf.feeds] == [6, 5, 4]
    cache.paged(shelf, shelf.feeds[2])
    cache.paged(shelf, shelf.current)
    cache.replaced("a", feed(5, watermark=7))  # 5 was paged least recently
    assert [each.generation.watermark for each in shelf.feeds] == [7, 6, 4]
    cache.check()
    before = cache.nbytes
    clock.now += 101
    cache.expire(["a"])
    assert [each.generation.watermark for each in shelf.feeds] == [7]
    assert cache.nbytes < before
    cache.check()


def test_sessions_are_given_up_before_the_feed_is():
    one = Shelf("a", FeedMap(feed(50)), 0.0).nbytes
    cache = residency(one + 100)
    shelf = cache.admit("a", FeedMap(feed(50, watermark=1)))
    assert shelf is not None
    cache.paged(shelf, shelf.current)
    cache.replaced("a", feed(50, watermark=2))
    assert "a" in cache
    assert [each.generation.watermark for each in shelf.feeds] == [2]
    cache.check()


def test_who_does_not_read_leaves_after_idle_s():
    clock = Hand(0.0)
    cache = residency(clock=clock, idle_s=50.0)
    for viewer in "ab":
        cache.admit(viewer, FeedMap(feed(5)))
    clock.now = 40.0
    cache.read("b")
    clock.now = 51.0
    cache.expire("abz")
    assert ("a" in cache, "b" in cache, cache.expiries, cache.evictions) == (False, True, 1, 0)
    cache.check()


class Expects:
    """roles.NextAccess by a table: the higher, the sooner."""

    def __init__(self, worth: dict[str, float] | None = None) -> None:
        self.worth = worth or {}
        self.asked: list[list[str]] = []

    async def soon(self, viewers: Sequence[str], tau_s: float) -> list[float]:
        self.asked.append(list(viewers))
        if not self.worth:
            raise ZeroDivisionError("nothing is known")
        return [self.worth.get(viewer, 0.5) for viewer in viewers]


def full_of(viewers: str, clock: Hand) -> Residency:
    """Room for these, each read at another moment."""
    cache = residency(len(viewers) * Shelf("a", FeedMap(feed(5)), 0.0).nbytes, clock)
    for viewer in viewers:
        clock.now += 1.0
        cache.admit(viewer, FeedMap(feed(5)))
    return cache


async def test_who_is_expected_last_leaves_first_and_equals_as_they_were_read():
    clock = Hand(0.0)
    cache = full_of("abcdefghijklmnopqrstuvwxyzABCDEF", clock)  # 32: four are chosen at a time
    await cache.choose_leaving(Expects({"d": 0.1, "b": 0.2, "a": 0.9}))
    for number, gone in enumerate("dbce"):  # c and e are equals, a is expected soon
        cache.admit(f"{number}", FeedMap(feed(5)))
        assert gone not in cache
        assert "a" in cache
    cache.admit("9", FeedMap(feed(5)))  # nobody else was chosen: the least recently read
    assert "a" not in cache
    assert (cache.evictions, cache.foreseen) == (5, 4)
    cache.check()


async def test_who_reads_after_the_choice_stays():
    clock = Hand(0.0)
    cache = full_of("abcdefghijklmnop", clock)
    await cache.choose_leaving(Expects({"c": 0.1, "f": 0.2}))
    clock.now += 1.0
    cache.read("c")
    cache.drop("f")
    for number in range(2):
        cache.admit(f"{number}", FeedMap(feed(5)))
    assert "c" in cache
    assert "a" not in cache
    assert cache.foreseen == 0


async def test_the_choice_is_made_while_the_cache_is_full_and_what_fails_leaves_it_to_recency(caplog):
    clock = Hand(0.0)
    cache, expects = full_of("abcdefgh", clock), Expects()
    task = asyncio.create_task(cache.look_ahead(expects))
    await until(lambda: len(expects.asked) >= 2)
    assert caplog.text.count("nothing can be expected") == 1
    cache.admit("z", FeedMap(feed(5)))
    assert "a" not in cache
    expects.worth = {"g": 0.0}
    await until(lambda: bool(cache._lru.leaving))
    asked = len(expects.asked)
    cache.admit("y", FeedMap(feed(5)))
    assert "g" not in cache
    for viewer in "bcdefhyz":
        cache.drop(viewer)
    await asyncio.sleep(0.12)
    assert len(expects.asked) <= asked + 1  # an empty cache has nobody to choose
    task.cancel()


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.floats(0, 1)), max_size=200), st.integers(1, 3))
def test_the_policy_is_a_plain_sort_of_the_least_recently_read(found, leaving):
    policy = LookAhead()
    names = list(dict.fromkeys(name for name, _ in found))
    worth = dict(found)
    asked = policy.candidates(names, leaving)
    assert asked == names[: LOOKED_AT * leaving]
    chosen = policy.choose(asked, [worth[name] for name in asked], leaving)
    assert chosen == sorted(asked, key=lambda name: (worth[name], names.index(name)))[:leaving]


async def test_the_sweep_looks_at_everyone_in_slices():
    clock = Hand(0.0)
    cache = residency(clock=clock, idle_s=0.02)
    for number in range(2_500):
        cache.admit(f"v{number}", FeedMap(feed(1)))
    clock.now = 1.0
    cache.read("v7")
    task = asyncio.create_task(cache.sweep())
    await until(lambda: len(cache) == 1)
    task.cancel()
    assert "v7" in cache
    assert cache.expiries == 2_499


def test_what_is_removed_is_gone_from_every_kept_generation_and_accounted_for():
    removals = RemovalIndex(10)
    cache = Residency(Settings(), Hand(0.0), removals)
    shelf = cache.admit("a", FeedMap(feed(5, watermark=1)))
    assert shelf is not None
    cache.paged(shelf, shelf.current)
    cache.replaced("a", feed(5, watermark=2))
    removals.fold(3, Event("e", "delete", 0.0, "a1", "p2"))
    removals.advance(3)
    assert cache.read("a") is shelf
    assert [len(each) for each in shelf.feeds] == [4, 4]
    cache.check()


def test_the_trending_feed_is_taken_over_unasked_and_is_nobody_s_resident():
    cache = residency()
    assert cache.trending is None
    cache.replaced("", feed(5))
    assert cache.trending is not None
    assert "" not in cache
    assert cache.nbytes == 0


@pytest.mark.parametrize("items", [0, 20, 500])
def test_what_is_accounted_is_what_is_allocated(items):
    """nbytes is not below what tracemalloc sees, and not far above it."""
    bulks = [feed(items, name=f"post-{number:06}-") for number in range(60)]
    names = [f"viewer-{number:05}" for number in range(60)]
    cache = residency()
    gc.collect()
    tracemalloc.start()
    for name, bulk in zip(names, bulks, strict=True):
        cache.admit(name, FeedMap(bulk))
        shelf = cache.read(name)
        assert shelf is not None
        assert "nowhere" not in shelf.current  # builds the jump index, where there is one
    allocated = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    shared = sum(len(bulk.items.data) + len(bulk.items.ends) + len(bulk.authors.data) for bulk in bulks)
    assert allocated <= cache.nbytes <= 1.5 * (allocated + shared) + 60 * 1_000


def test_a_resident_feed_of_500_items_with_ids_of_8_bytes_takes_12_kb_at_most():
    """The feeds that reading is measured on, and a share of each explored."""
    cache = residency()
    for viewer, bulk in feeds(20, 500, 1, 1.7e9):
        cache.admit(viewer, FeedMap(msgspec.structs.replace(bulk, explore_share=0.05, explored=bytes(63))))
        shelf = cache.read(viewer)
        assert shelf is not None
        last = list(shelf.current)[-1].item_id
        cache.paged(shelf, shelf.current)
        shelf.reached(shelf.current, last)
        assert last in shelf.current
    assert cache.nbytes / 20 <= 12_288


class ResidencyMachine(RuleBasedStateMachine):
    """Random actions; the books add up after each."""

    viewers = st.sampled_from("abcdef")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Hand(0.0)
        self.removals = RemovalIndex(6)
        settings = Settings(cache=Cache(max_bytes=10_000, idle_s=50.0, session_s=20.0, session_generations=2))
        self.cache = Residency(settings, self.clock, self.removals)
        self.offset = 0

    @rule(viewer=viewers, count=st.integers(0, 60))
    def admit(self, viewer: str, count: int) -> None:
        self.offset += 1
        order, leaving = dict(self.cache._order), list(self.cache._lru.leaving)
        self.cache.admit(viewer, FeedMap(feed(count, self.offset)))
        if viewer not in order:  # chosen ones who have not read since leave first, then the least recently read
            chosen = [name for name, at in leaving if name in order and order[name].read_at <= at]
            others = [name for name in order if name not in chosen]
            gone = {name for name in order if name not in self.cache}
            assert gone == set([*chosen, *others][: len(gone)])

    @rule(worth=st.dictionaries(viewers, st.floats(0, 1), min_size=1))
    def choose(self, worth: dict[str, float]) -> None:
        with suppress(StopIteration):  # it waits for nothing here, and a loop for each choice takes long
            self.cache.choose_leaving(Expects(worth)).send(None)

    @rule(viewer=viewers, count=st.integers(0, 400))
    def replaced(self, viewer: str, count: int) -> None:
        self.offset += 1
        self.cache.replaced(viewer, feed(count, self.offset))

    @rule(viewer=viewers, which=st.integers(0, 2))
    def read(self, viewer: str, which: int) -> None:
        shelf = self.cache.read(viewer)
        if shelf is not None:
            assert all("p1" not in each or each.brought_to >= self.removals.head for each in shelf.feeds)
            self.cache.paged(shelf, shelf.feeds[which % len(shelf.feeds)])

    @rule(viewer=viewers, number=st.integers(0, 30))
    def keep(self, viewer: str, number: int) -> None:
        shelf = self.cache.read(viewer)
        key = (viewer, number)
        if shelf is not None and self.cache.page_at(key, self.clock()) is None:
            page = FeedPage(viewer, "1.1", 1.0, [], None)
            self.cache.keep_page(viewer, shelf, key, Encoded(page, 0, bytes(10 * number)))

    @rule(viewer=viewers, number=st.integers(0, 30))
    def page_at(self, viewer: str, number: int) -> None:
        page = self.cache.page_at((viewer, number), self.clock())
        if page is not None:
            shelf = self.cache.read(viewer)
            assert (page.shelf, len(page.tail)) == (shelf, 10 * number), "the viewer's own page"
            assert page in shelf.pages, "nothing that it says has changed since"
            assert list(self.cache)[-1] == viewer, "the most recent"

    @rule(post=st.sampled_from(["p0", "p1", "p7"]))
    def remove(self, post: str) -> None:
        self.offset += 1
        self.removals.fold(self.offset, Event("e", "delete", 0.0, "a1", post))
        self.removals.advance(self.offset)

    @rule(viewer=viewers)
    def drop(self, viewer: str) -> None:
        self.cache.drop(viewer)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.cache.expire("abcdef")

    @invariant()
    def check(self) -> None:
        self.cache.check()


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
