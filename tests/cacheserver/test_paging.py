"""A walk by `next` gives each item once and skips none, whatever happens to the feed between two pages."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from cacheserver.origin import Origin
from cacheserver.paging import Ask, place, waiting
from cacheserver.reading import Reader
from cacheserver.residency import Residency
from feedgen.config import Settings
from feedgen.events import Event
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import FeedItem, Generation, bulk_of
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.store import MemoryFeedStore
from tests.cacheserver.doubles import Hand, HandOlder, bulk

VIEWER = "u1"


def feeds(*contents: str) -> list[FeedMap]:
    """One generation per string, newest first; each character is an item."""
    return [FeedMap(bulk(ids, watermark=len(contents) - age)) for age, ids in enumerate(contents)]


def test_the_place_of_a_page():
    new, old = feeds("abc", "cde")
    newest, older = new.generation, old.generation
    gone = Generation(0, 5)
    assert place([new, old], Ask(None, 5, None)) == (new, False, True)
    assert place([new, old], Ask(None, 5, older)) == (old, False, True)
    assert place([new, old], Ask("c", 5, older)) == (old, False, True)
    assert place([new, old], Ask("c", 5, None)) == (new, False, True)
    assert place([new, old], Ask("d", 5, None)) == (old, False, True)
    assert place([new, old], Ask("x", 5, None)) == (new, True, True)
    assert place([new, old], Ask("x", 5, newest)) == (new, True, True)
    assert place([new, old], Ask("a", 5, older)) == (old, True, True)
    assert place([new, old], Ask("c", 5, gone)) == (new, False, False)
    assert place([new, old], Ask("d", 5, gone)) == (new, True, False)
    assert place([new, old], Ask(None, 5, gone)) == (new, False, False)


def test_what_waits_in_a_newer_generation():
    new, old = feeds("abc", "cde")
    assert waiting(new, old) == 2
    assert waiting(new, new) == 0
    assert waiting(old, new) == 0
    new.discard("a")
    assert waiting(new, old) == 1


@dataclass
class Walk:
    """A reader in the middle of a feed, and what the reader is owed."""

    owed: set[str]
    generation: Generation | None = None
    after: str | None = None
    served: list[str] = field(default_factory=list)
    ended: bool = False


class WalkMachine(RuleBasedStateMachine):
    """Two readers walk while the feed is rebuilt, posts come and posts are removed."""

    walks = Bundle("walks")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        settings = Settings()
        self.clock = Hand(1_000.0)
        self.removals = RemovalIndex(1_000)
        self.store = MemoryFeedStore()
        self.residency = Residency(settings, self.clock, self.removals)
        self.origin = Origin(settings, self.residency, self.store, None, self.clock, self.clock)
        self.older = HandOlder()
        self.reader = Reader(self.origin, self.residency, self.older, {})
        self.offset = 0
        self.begun = 0

    @initialize(count=st.integers(0, 12), data=st.data())
    def populate(self, count: int, data: st.DataObject) -> None:
        for _ in range(count):
            self.post(0.0)
        self.rebuild(data)

    @rule(age=st.sampled_from([0.0, 1.0, 500.0]))
    def post(self, age: float) -> None:
        """A new post, or one that comes late."""
        name = f"p{len(self.older.posts)}"
        self.clock.now += 0.5
        self.older.posts[name] = FeedItem(name, "a", 1.0, "older", self.clock.now - age)

    @rule(data=st.data())
    def rebuild(self, data: st.DataObject) -> None:
        self.clock.now += 0.5
        self.offset += 1
        living = [post for name, post in self.older.posts.items() if name not in self.older.gone]
        chosen = data.draw(st.lists(st.sampled_from(living), unique=True, max_size=8)) if living else []
        made = bulk_of(Generation(self.offset, int(self.clock.now * 1000)), chosen)
        assert self.loop.run_until_complete(self.store.put_many([(VIEWER, made)])) == [True]
        self.residency.replaced(VIEWER, made)

    @precondition(lambda self: self.older.posts)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.older.posts)))
        self.offset += 1
        self.older.gone.add(name)
        self.removals.fold(self.offset, Event(f"e{self.offset}", "delete", 0.0, "a", name))
        self.removals.advance(self.offset)

    @precondition(lambda self: self.begun < 2)
    @rule(target=walks, limit=st.integers(1, 5))
    def begin(self, limit: int) -> Walk:
        self.begun += 1
        walk = Walk(owed=set())
        self.page(walk, limit)
        assert walk.generation is not None
        shelf = self.residency.read(VIEWER)
        assert shelf is not None
        kept = {item.item_id for item in shelf.current}
        until = shelf.current.last_generated
        tail = {post.item_id for post in self.older.posts.values() if post.created_at <= until}
        walk.owed = (kept | (tail - shelf.current.item_ids())) - self.older.gone
        return walk

    @rule(walk=walks, limit=st.integers(1, 5))
    def page(self, walk: Walk, limit: int) -> None:
        if walk.ended:
            return
        reading = self.loop.run_until_complete(self.reader.read(VIEWER, Ask(walk.after, limit, walk.generation)))
        page = reading.page
        generation = Generation.parse(page.generation)
        assert walk.generation in (None, generation), "the walk left its generation"
        ids = [item.item_id for item in page.items]
        assert not self.older.gone.intersection(ids), "a removed item came back"
        assert not set(walk.served).intersection(ids), "an item came twice"
        assert len(set(ids)) == len(ids) <= limit
        assert all(item.created_at <= page.generated_at for item in page.items), "newer than the generation"
        walk.served += ids
        walk.generation, walk.after = generation, page.next
        if page.next is None:
            walk.ended = True
            assert walk.owed - self.older.gone <= set(walk.served), "an item was skipped"
        else:
            assert len(ids) == limit, "a short page in the middle"

    @rule(walk=walks)
    def to_the_end(self, walk: Walk) -> None:
        while not walk.ended:
            self.page(walk, 3)

    def teardown(self) -> None:
        self.loop.run_until_complete(self.origin.close())
        self.loop.close()
        self.residency.check()


TestWalkMachine = WalkMachine.TestCase
TestWalkMachine.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
