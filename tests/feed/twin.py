"""The feed map's plain twin: a list, a set, and nothing clever. What it does is what FeedMap must do."""

from collections.abc import Iterable, Sequence

from feedgen.feed.feedmap import Page
from feedgen.feed.record import FeedItem, Live


class ListFeed:
    """Every item ever here in order, and the ids that were removed."""

    def __init__(self, items: Sequence[FeedItem], capacity: int = 0) -> None:
        self.items = list(items)
        self.dead: set[str] = set()
        self.capacity = capacity or len(items)

    def living(self) -> list[FeedItem]:
        return [item for item in self.items if item.item_id not in self.dead]

    def insert(self, item: FeedItem) -> None:
        if item.item_id in {other.item_id for other in self.items}:
            return
        self.items.insert(0, item)
        living = self.living()
        if len(living) > self.capacity:
            self.dead.add(living[-1].item_id)

    def discard(self, item_id: str) -> bool:
        here = any(item.item_id == item_id for item in self.living())
        if here:
            self.dead.add(item_id)
        return here

    def discard_author(self, author_id: str) -> int:
        gone = {item.item_id for item in self.living() if item.author_id == author_id}
        self.dead |= gone
        return len(gone)

    def page(self, after: str | None, limit: int) -> Page:
        start = 0
        if after is not None:
            ids = [item.item_id for item in self.items]
            if after not in ids:
                raise KeyError(after)
            start = ids.index(after) + 1
        rest = [item for item in self.items[start:] if item.item_id not in self.dead]
        return Page(rest[:limit], len(rest) > limit)


def combined(items: Sequence[FeedItem], watermark: int, live: Iterable[Live], capacity: int = 0) -> ListFeed:
    """The twin of `combine`."""
    feed = ListFeed(items, capacity)
    for entry in sorted(live, key=lambda entry: entry.offset):
        if entry.offset <= watermark:
            continue
        if entry.op == "remove":
            feed.discard(entry.target)
        elif entry.op == "remove_author":
            feed.discard_author(entry.target)
        elif entry.item is not None:
            feed.insert(FeedItem(*entry.item))
    return feed
