"""One page of a feed: where it starts, what is on it, and where the next one starts.

A walk goes on in the generation it began in. Behind the last kept item, older posts of the viewer's network follow,
newest first, without those that are (or were) in that generation. So every item comes once and none is skipped, also
when the feed is rebuilt or items are removed between two pages.
"""

from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from cacheserver.problems import Refusal
from feedgen.feed.feedmap import FeedMap, Page
from feedgen.feed.record import FeedItem, Generation
from feedgen.feed.roles import Hidden, OlderPosts

_NOTHING: Final[frozenset[str]] = frozenset()


class Ask(NamedTuple):
    """Which page: `limit` items after `after` (None: from the top), in `generation` (None: the newest that fits).

    `sized`: the request named the limit, so the link to the next page does, too.
    """

    after: str | None
    limit: int
    generation: Generation | None
    sized: bool = False


class Place(NamedTuple):
    """Where a page starts. `in_tail`: behind the kept items. `exclude`: what the tail leaves out."""

    feed: FeedMap
    in_tail: bool
    exclude: bool


class Walked(NamedTuple):
    """Items in order, and the item the next page comes after (None: there is none)."""

    items: list[FeedItem]
    next: str | None


def place(feeds: Sequence[FeedMap], ask: Ask, begun: FeedMap | None = None) -> Place:
    """The place `ask` means among `feeds`, the kept generations, newest first. O(generations).

    `begun`: the generation whose last page ended at `ask.after`, if there is one; a walk without a generation goes on
    in it, be the feed rebuilt meanwhile or not.
    """
    if ask.generation is not None:
        asked = [feed for feed in feeds if feed.generation == ask.generation]
        for feed in asked:  # a viewer's feed and the trending one can be of one generation
            if ask.after is None or ask.after in feed:
                return Place(feed, in_tail=False, exclude=True)
        if asked:
            return Place(asked[0], in_tail=True, exclude=True)
        newest = feeds[0]
        return Place(newest, in_tail=ask.after is not None and ask.after not in newest, exclude=False)
    if ask.after is None:
        return Place(feeds[0], in_tail=False, exclude=True)
    if begun is not None:
        return Place(begun, in_tail=ask.after not in begun, exclude=True)
    for feed in feeds:
        if ask.after in feed:
            return Place(feed, in_tail=False, exclude=True)
    return Place(feeds[0], in_tail=True, exclude=True)


async def walk(viewer: str, start: Place, ask: Ask, older: OlderPosts | None, hidden: Hidden | None = None) -> Walked:
    """The page from `start`. Looks one item ahead, so that `next` never leads to an empty page.

    `hidden`: what of a feed that was made for everyone this viewer is not to see.

    Raises Refusal (400) if `after` names no known post.
    """
    if start.in_tail:
        if older is None:
            raise Refusal(400, f"`after` {ask.after!r} is not in this feed any more; begin again without `after`")
        assert ask.after is not None
        if await older.created_at(ask.after) is None:
            raise Refusal(400, f"`after` {ask.after!r} names no known post; use `next` of the page before")
        return await _tail(viewer, start, [], ask.after, ask.limit, older)
    page = start.feed.page(ask.after, ask.limit) if hidden is None else _page_without(hidden, start.feed, ask)
    if page.more:
        return Walked(page.items, page.items[-1].item_id)
    if older is None:
        return Walked(page.items, None)
    return await _tail(viewer, start, page.items, None, ask.limit, older)


def _page_without(hidden: Hidden, feed: FeedMap, ask: Ask) -> Page:
    """As `feed.page`, in O(items)."""
    seen = [item for item in feed.page(ask.after, len(feed)).items if not hidden.hides(item)]
    return Page(seen[: ask.limit], len(seen) > ask.limit)


async def _tail(
    viewer: str, start: Place, kept: list[FeedItem], after: str | None, limit: int, older: OlderPosts
) -> Walked:
    """`kept`, filled up to `limit` with older posts behind `after`."""
    exclude: Container[str] = start.feed.item_ids() if start.exclude or after is None else _NOTHING
    wanted = limit - len(kept) + 1
    found = await older.older(viewer, until=start.feed.last_generated, after=after, exclude=exclude, limit=wanted)
    items = [*kept, *found[: wanted - 1]]
    if len(found) < wanted or not items:
        return Walked(items, None)
    return Walked(items, items[-1].item_id)


def waiting(newest: FeedMap, paged: FeedMap) -> int:
    """Items of `newest` that `paged`, an older generation, lacks. O(items)."""
    if newest.generation <= paged.generation:
        return 0
    return len(newest.living_ids() - paged.item_ids())
