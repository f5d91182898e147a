"""FeedMap: the linked ordered map that a resident feed is.

Order is a singly linked list over slots, so a removed item keeps its own link and stays a place to walk on from; until
the first change the slots follow one another and no link is stored. An item is looked up by its id in the packed
column: up to 8 KB of ids of one width are searched in C, which takes 3 µs; else an open-addressing hash of slot numbers
in one uint16 array is built at the first jump. So a feed of 500 items owns a dozen Python objects, not thousands. Not
thread-safe: one event loop owns it.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import partial
from typing import Any, Final, NamedTuple

from feedgen.errors import BadRecord
from feedgen.feed.ids import IdColumn
from feedgen.feed.record import ITEMS_MAX, Bulk, FeedItem, Live, propensity
from feedgen.feed.rows import Rows

_NIL: Final = 0xFFFF
_OBJECT_BYTES: Final = 640
"""Fixed cost of the map, its columns and its slots, measured with tracemalloc (tests/feed/test_feedmap.py)."""
_ARRAY_BYTES: Final = 96
"""Header of an array or bytearray."""
_SEARCHED_EXTRA: Final = 16
"""Live items among which one is looked for in turn; with more of them there is an index."""
_EXTRA_BYTES: Final = 400
"""Upper bound of one live-inserted FeedItem with ids of 128 bytes."""
_item_of: Final[Callable[[tuple[Any, ...]], FeedItem]] = partial(tuple.__new__, FeedItem)
"""As FeedItem._make, which is written in Python and takes three times as long."""


class Page(NamedTuple):
    """Items in order; `more` says whether the map has another one after the last."""

    items: list[FeedItem]
    more: bool


class FeedMap:
    """Ordered item_id → FeedItem of one viewer and one generation."""

    __slots__ = (
        "_authors", "_capacity", "_dead", "_extra", "_head", "_ids", "_index", "_links", "_rows", "alive", "brought_to",
        "generation",
    )  # fmt: skip

    def __init__(self, bulk: Bulk, capacity: int = 0) -> None:
        """The map of `bulk`'s items, best first. `capacity`: items kept when live ones are inserted (0: as many as now)

        O(n) in C, without touching an item. Raises BadRecord if the columns do not fit together.
        """
        self._ids = IdColumn(bulk.items)
        self._authors = IdColumn(bulk.authors)
        count = len(self._ids)
        if count > ITEMS_MAX or len(self._authors) > count:
            raise BadRecord("a record's columns differ in length")
        self._rows = Rows(bulk, count, len(self._authors))
        self._links: array[int] | None = None
        self._head = 0 if count else _NIL
        self._dead: bytearray | None = None
        self._extra: list[FeedItem] | None = None
        self._index: array[int] | None = None
        self._capacity = capacity or count
        self.alive = count
        self.generation = bulk.generation
        self.brought_to = bulk.watermark
        """Log offset up to which removals have been applied to this map."""

    @property
    def last_generated(self) -> float:
        """When this generation was made (s, UTC)."""
        return self.generation.generated_at_ms / 1000

    def __len__(self) -> int:
        return self.alive

    def __contains__(self, item_id: str) -> bool:
        """Whether the item was ever in this map; a removed one still is a place to walk on from. O(1)."""
        return self._find(item_id) is not None

    def __iter__(self) -> Iterator[FeedItem]:
        """Living items, best first. O(n)."""
        slot = self._living(self._head)
        while slot != _NIL:
            yield self._item(slot)
            slot = self._living(self._following(slot))

    def item_ids(self) -> set[str]:
        """Every id ever in this map, removed ones included. O(n); copies."""
        ids = set(self._ids.texts())
        ids.update(item.item_id for item in self._extra or ())
        return ids

    def living_ids(self) -> set[str]:
        """Ids of the items that were not removed. O(n); copies."""
        if self._dead is None:
            return self.item_ids()
        ids = self._ids.texts() + [item.item_id for item in self._extra or ()]
        return {item_id for item_id, dead in zip(ids, self._dead, strict=True) if not dead}

    def page(self, after: str | None, limit: int) -> Page:
        """Up to `limit` living items after the item `after` (None: from the top).

        Jumps in O(1), walks in O(limit), amortised over removed items. Raises KeyError if `after` was never here.
        """
        if after is None:
            slot = self._head = self._living(self._head)
        else:
            start = self._find(after)
            if start is None:
                raise KeyError(after)
            slot = self._step(start)
        if self._links is None:
            return self._run(slot, limit)
        items: list[FeedItem] = []
        while slot != _NIL and len(items) < limit:
            items.append(self._item(slot))
            slot = self._step(slot)
        return Page(items, slot != _NIL)

    def __getitem__(self, item_id: str) -> FeedItem:
        """The living item. O(1). Raises KeyError if it is not here or was removed."""
        slot = self._find(item_id)
        if slot is None or (self._dead is not None and self._dead[slot]):
            raise KeyError(item_id)
        return self._item(slot)

    def propensity(self, item_id: str) -> float:
        """How likely the item, removed or not, was to be at its place when the feed was made; 1 for a live one. O(1).

        Given the items above it then (record.propensity). Raises KeyError if it was never here.
        """
        slot = self._find(item_id)
        if slot is None:
            raise KeyError(item_id)
        if slot >= self._rows.count:
            return 1.0
        return propensity(self._rows.explore_share, self._rows.count - slot, self._rows.explored(slot))

    @property
    def nbytes(self) -> int:
        """Bytes this map owns; a jump index that it will need is counted whether or not it is built yet."""
        columns = self._ids.nbytes + self._authors.nbytes + self._rows.nbytes
        if self._index is not None:
            columns += _ARRAY_BYTES + 2 * len(self._index)
        elif not self._searched:
            columns += _ARRAY_BYTES + 2 * _table_size(self._slots)
        if self._links is not None:
            columns += _ARRAY_BYTES + 2 * len(self._links) * 9 // 8  # arrays and bytearrays grow by an eighth
        if self._dead is not None:
            columns += _ARRAY_BYTES + len(self._dead) * 9 // 8
        return _OBJECT_BYTES + columns + len(self._extra or ()) * _EXTRA_BYTES

    @property
    def _slots(self) -> int:
        """Items ever in this map."""
        return self._rows.count + len(self._extra or ())

    def insert(self, item: FeedItem) -> None:
        """Put `item` at the front; one that is or was here keeps its place (and stays removed, if it was).

        Amortised O(1); past the capacity the last item leaves, in O(n). Raises ValueError when the slots are used up.
        """
        if item.item_id in self:
            return
        slot = self._slots
        if slot >= ITEMS_MAX:
            raise ValueError("a feed map takes no more live items; generate the feed anew")
        links = self._linked()
        if self._extra is None:
            self._extra = []
        self._extra.append(item)
        links.append(self._head)
        if self._dead is not None:
            self._dead.append(0)
        self._head = slot
        self.alive += 1
        if self._index is not None:
            if 4 * self._slots > 3 * len(self._index):
                self._index = None
            else:
                _enter(self._index, item.item_id, slot)
        if self.alive > self._capacity:
            self._drop_last()

    def discard(self, item_id: str) -> bool:
        """Remove the item if it is here; says whether it was. O(1)."""
        slot = self._find(item_id)
        return slot is not None and self._kill(slot)

    def discard_all(self, item_ids: Set[str]) -> int:
        """Remove those that are here; says how many. O(n), or O(given) if they are few.

        Does not build the jump index: a feed brought forward on its way into memory may never be jumped into.
        """
        if (self._index is not None or self._searched) and 8 * len(item_ids) < self._slots:
            return sum(map(self.discard, item_ids))
        found = [slot for slot, item_id in enumerate(self._ids.texts()) if item_id in item_ids]
        found += [slot for slot in range(self._rows.count, self._slots) if self._id(slot) in item_ids]
        return sum(map(self._kill, found))

    def discard_author(self, author_id: str) -> int:
        """Remove every item by the author; says how many. O(n)."""
        gone = 0
        authors = self._authors.texts()
        if author_id in authors:
            gone = sum(map(self._kill, self._rows.by_author(authors.index(author_id))))
        for offset, item in enumerate(self._extra or ()):
            if item.author_id == author_id:
                gone += self._kill(self._rows.count + offset)
        return gone

    def _item(self, slot: int) -> FeedItem:
        if slot >= self._rows.count:
            assert self._extra is not None
            return self._extra[slot - self._rows.count]
        score, author, reason, created_at = self._rows[slot]
        return FeedItem(self._ids[slot], self._authors[author], score, reason, created_at)

    def _run(self, slot: int, limit: int) -> Page:
        """As a walk from `slot` while nothing has changed: the slots follow one another, and columns are read whole."""
        count = self._rows.count
        start = min(slot, count)  # there is none
        stop = min(start + limit, count)
        rows = self._rows.between(start, stop)
        authors = self._authors.at(rows.authors)
        columns = (self._ids.between(start, stop), authors, rows.scores, rows.reasons, rows.created)
        return Page(list(map(_item_of, zip(*columns, strict=True))), stop < count)

    def _id(self, slot: int) -> str:
        if slot >= self._rows.count:
            assert self._extra is not None
            return self._extra[slot - self._rows.count].item_id
        return self._ids[slot]

    def _linked(self) -> "array[int]":
        """The links, written down at the first change. O(n) once."""
        if self._links is None:
            self._links = array("H", range(1, self._rows.count + 1))
            if self._rows.count:
                self._links[-1] = _NIL
        return self._links

    def _following(self, slot: int) -> int:
        """The slot behind `slot`, living or not."""
        if self._links is not None:
            return self._links[slot]
        return slot + 1 if slot + 1 < self._rows.count else _NIL

    def _living(self, slot: int) -> int:
        """`slot`, or the first living one behind it."""
        dead = self._dead
        if dead is not None:
            while slot != _NIL and dead[slot]:
                slot = self._following(slot)
        return slot

    def _step(self, slot: int) -> int:
        """The living slot behind `slot`; links past the dead between, so that they are walked once."""
        following = self._living(self._following(slot))
        if self._links is not None:
            self._links[slot] = following
        return following

    def _kill(self, slot: int) -> bool:
        if self._dead is None:
            self._dead = bytearray(self._slots)
            self._linked()
        if self._dead[slot]:
            return False
        self._dead[slot] = 1
        self.alive -= 1
        return True

    def _drop_last(self) -> None:
        slot = last = self._living(self._head)
        while slot != _NIL:
            last = slot
            slot = self._step(slot)
        self._kill(last)

    @property
    def _searched(self) -> bool:
        """Whether ids are looked for one after the other."""
        return self._ids.searched and (self._extra is None or len(self._extra) <= _SEARCHED_EXTRA)

    def _find(self, item_id: str) -> int | None:
        table = self._index
        if table is None:
            if self._searched:
                return self._search(item_id)
            table = self._build_index()
        at = hash(item_id) % len(table)
        while (entry := table[at]) != _NIL:
            if self._id(entry) == item_id:
                return entry
            at = at + 1 if at + 1 < len(table) else 0
        return None

    def _search(self, item_id: str) -> int | None:
        slot = self._ids.find(item_id)
        if slot is None and self._extra is not None:
            found = (at for at, item in enumerate(self._extra, self._rows.count) if item.item_id == item_id)
            return next(found, None)
        return slot

    def _build_index(self) -> "array[int]":
        """The jump index, built at the first jump: most readers of a first page never need it. O(n)."""
        table = array("H", [_NIL]) * _table_size(self._slots)
        ids = self._ids.texts() + [item.item_id for item in self._extra or ()]
        for slot, item_id in enumerate(ids):
            _enter(table, item_id, slot)
        self._index = table
        return table

    def check(self) -> None:
        """Assert every invariant of the structure. For tests. O(n)."""
        total = self._slots
        gone = {slot for slot in range(total) if self._dead is not None and self._dead[slot]}
        assert len(gone) + self.alive == total
        assert self._dead is None or len(self._dead) == total
        assert self._links is None or len(self._links) == total
        assert self._links is not None or not (gone or self._extra), "a change without links"
        seen: set[int] = set()
        slot = self._head
        while slot != _NIL:
            assert slot < total, "a link leaves the map"
            assert slot not in seen, "the links run in a circle"
            seen.add(slot)
            slot = self._following(slot)
        assert seen | gone == set(range(total)), "a living item is not linked"
        assert len(self.item_ids()) == total, "an id is held twice"
        for slot in range(total):
            assert self._find(self._id(slot)) == slot, "the jump index misses an item"


def _table_size(slots: int) -> int:
    """Entries of the jump index: at most three quarters used, so 2.5 probes for an id that is here, 8.5 for another.

    In steps of a sixteenth, so that it is not built anew for each live item.
    """
    step = 1 << max(0, slots.bit_length() - 5)
    return (slots + step) // step * step * 4 // 3 + 1


def _enter(table: "array[int]", item_id: str, slot: int) -> None:
    at = hash(item_id) % len(table)
    while table[at] != _NIL:
        at = at + 1 if at + 1 < len(table) else 0
    table[at] = slot


def combine(bulk: Bulk, live: Iterable[Live], capacity: int = 0) -> FeedMap:
    """The feed a reader sees: the bulk column, then the live entries above its watermark by offset. O(n + live)."""
    feed = FeedMap(bulk, capacity)
    fresh: Sequence[Live] = sorted((e for e in live if e.offset > bulk.watermark), key=lambda e: e.offset)
    for entry in fresh:
        if entry.op == "insert" and entry.item is not None:
            feed.insert(FeedItem(*entry.item))
        elif entry.op == "remove":
            feed.discard(entry.target)
        elif entry.op == "remove_author":
            feed.discard_author(entry.target)
    return feed
