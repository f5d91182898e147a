"""The roles, played by hand; clocks that move when told; feeds in one line."""

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from typing import NoReturn

from feedgen.errors import LogError
from feedgen.events import Event
from feedgen.feed.record import Bulk, FeedItem, Generation, bulk_of

NOW = 1_700_000_000.0


class Hand:
    """A clock that moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class NoLog:
    """In place of an event log (`start(log=EventLog)` opens a real one): opening an SQLite file costs 30 ms."""

    async def append(self, batch: Sequence[Event]) -> NoReturn:
        raise LogError("this test has no log")


class HandGenerator:
    """Generator role: makes what `feeds` holds, once `gate` is open; counts."""

    def __init__(self) -> None:
        self.feeds: dict[str, Bulk | Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.generated: list[str] = []
        self.refreshed: list[str] = []

    async def generate(self, viewer: str) -> Bulk | None:
        self.generated.append(viewer)
        await self.gate.wait()
        made = self.feeds.get(viewer)
        if isinstance(made, Exception):
            raise made
        return made

    def refresh(self, viewer: str) -> None:
        self.refreshed.append(viewer)


class HandOlder:
    """OlderPosts role over a list of posts."""

    def __init__(self, posts: Iterable[FeedItem] = ()) -> None:
        self.posts = {post.item_id: post for post in posts}
        self.gone: set[str] = set()

    async def created_at(self, item_id: str) -> float | None:
        post = self.posts.get(item_id)
        return None if post is None else post.created_at

    async def older(
        self, viewer: str, *, until: float, after: str | None, exclude: Container[str], limit: int
    ) -> list[FeedItem]:
        def order(post: FeedItem) -> tuple[float, str]:
            return -post.created_at, post.item_id

        behind = None if after is None else order(self.posts[after])
        return [
            post
            for post in sorted(self.posts.values(), key=order)
            if post.created_at <= until
            and (behind is None or order(post) > behind)
            and post.item_id not in exclude
            and post.item_id not in self.gone
        ][:limit]


def posts(ids: Iterable[str], created: float = NOW - 100.0) -> list[FeedItem]:
    return [
        FeedItem(item_id, f"a{rank % 3}", 1.0 / (rank + 1), "followed", created - rank)
        for rank, item_id in enumerate(ids)
    ]


def bulk(ids: Iterable[str], watermark: int = 10, made: float = NOW) -> Bulk:
    return bulk_of(Generation(watermark, int(made * 1000)), posts(ids))


def event(kind: str, actor: str, target: str) -> Event:
    return Event(f"{kind}-{actor}-{target}", kind, NOW, actor, target)


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Let others run until `true()`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if true():
                return
            await asyncio.sleep(0)
