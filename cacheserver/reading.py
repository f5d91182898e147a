"""From a viewer and an ask to a page: what the GET and each entry of a batch have in common."""

from typing import NamedTuple

from cacheserver.origin import Found, Origin
from cacheserver.paging import Ask, place, waiting, walk
from cacheserver.residency import Residency
from cacheserver.wire import FeedPage, Item
from feedgen.feed.roles import OlderPosts


class Reading(NamedTuple):
    """A page, how its feed was found, and how many items wait in a newer generation."""

    page: FeedPage
    found: Found
    new_items: int


class Reader:
    """Reads pages. A read changes nothing but recency and the reading session."""

    def __init__(self, origin: Origin, residency: Residency, older: OlderPosts | None) -> None:
        self._origin = origin
        self._residency = residency
        self._older = older

    async def read(self, viewer: str, ask: Ask) -> Reading:
        """The page. Raises Refusal (400) if `after` names no known post."""
        found = await self._origin.find(viewer)
        feeds = found.shelf.feeds
        trending = self._residency.trending if ask.after is not None or ask.generation is not None else None
        if trending is not None and trending is not found.shelf:
            feeds = [*feeds, *trending.feeds]  # whoever began in the fallback goes on in it
        newest = feeds[0]
        start = place(feeds, ask)
        self._residency.paged(found.shelf, start.feed)
        if trending is not None:
            self._residency.paged(trending, start.feed)
        walked = await walk(viewer, start, ask, self._older)
        feed = start.feed
        page = FeedPage(
            viewer,
            str(feed.generation),
            feed.last_generated,
            [Item(*item) for item in walked.items],
            walked.next,
        )
        return Reading(page, found, waiting(newest, feed))
