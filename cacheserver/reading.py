"""From a viewer and an ask to a page: what the GET and each entry of a batch have in common."""

from collections.abc import MutableMapping
from typing import NamedTuple

from cacheserver.origin import Found, Origin
from cacheserver.paging import Ask, place, waiting, walk
from cacheserver.residency import Residency
from cacheserver.wire import FeedPage, Item
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.roles import OlderPosts


class Reading(NamedTuple):
    """A page, how its feed was found, how many items wait in a newer generation, if it is of the shared feed, and the
    generation it is of.
    """

    page: FeedPage
    found: Found
    new_items: int
    shared: bool
    feed: FeedMap


Fallback = MutableMapping[str, None]
"""Viewers who were lately served the trending feed, because there was no other; bounded in time and number."""


class Reader:
    """Reads pages. A read changes nothing but recency and the reading session."""

    def __init__(self, origin: Origin, residency: Residency, older: OlderPosts | None, fallback: Fallback) -> None:
        self._origin = origin
        self._residency = residency
        self._older = older
        self._fallback = fallback

    async def read(self, viewer: str, ask: Ask) -> Reading:
        """The page. Raises Refusal (400) if `after` names no known post."""
        found = await self._origin.find(viewer)
        feeds = found.shelf.feeds
        newest = feeds[0]
        trending = self._residency.trending
        if found.shelf is trending:
            self._fallback[viewer] = None
        elif trending is not None and (ask.generation is not None or viewer in self._fallback):
            feeds = [*feeds, *trending.feeds]  # whoever began in the fallback goes on in it
        start = place(feeds, ask, found.shelf.whose_end(ask.after) if ask.after is not None else None)
        for shelf in (found.shelf, trending):
            if shelf is not None:
                self._residency.paged(shelf, start.feed)
        shared = trending is not None and any(start.feed is feed for feed in trending.feeds)
        hidden = self._residency.hidden_from(viewer) if shared else None
        walked = await walk(viewer, start, ask, self._older, hidden)
        feed = start.feed
        if walked.next is not None:
            found.shelf.reached(feed, walked.next)
        page = FeedPage(
            viewer,
            str(feed.generation),
            feed.last_generated,
            [Item(*item) for item in walked.items],
            walked.next,
        )
        return Reading(page, found, waiting(newest, feed), shared, feed)
