"""Readers as Locust users: visits that page on, views and events between them; one page a request, or 32 viewers.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 PageReader          (from its web page, port 8089)
    locust -f loadtest/locustfile.py --host … --headless -u 50 -t 30s --processes 2 BatchReader

FOREFEED_VIEWERS names how many viewers there are, FOREFEED_PATTERN their ids ({} standing for 0 … n-1),
FOREFEED_PACE how fast a day goes by (0: as fast as the server answers; 1: in real time).
"""

import math
import os
import random
import time
from typing import Any

import msgspec
import numpy as np
from locust import FastHttpUser, events, task

from loadtest.visits import MEAN_DEPTH, drawn_viewers

VIEWERS = int(os.environ.get("FOREFEED_VIEWERS", "5000"))
PATTERN = os.environ.get("FOREFEED_PATTERN", "u{}")
PACE = float(os.environ.get("FOREFEED_PACE", "0"))
LIMIT = 20
BATCH = 32
WRITES = 0.05
VISITS_A_DAY = 10.0


class Item(msgspec.Struct, gc=False):
    """Of an item, what a reader checks."""

    item_id: str


class Page(msgspec.Struct, gc=False):
    """Of a page, what a reader checks."""

    user_id: str
    generated_at: float
    items: list[Item]
    next: str | None


class Entry(msgspec.Struct, gc=False):
    """Of a batch's entry, what a reader checks."""

    status: int
    page: Page | None = None


class Batch(msgspec.Struct, gc=False):
    """A batch's answer."""

    results: list[Entry]


_page = msgspec.json.Decoder(Page).decode
_batch = msgspec.msgpack.Decoder(Batch).decode
_crowd: list[str] = []
_asks: list[tuple[list[str], bytes]] = []
_BATCH_HEADERS = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
_READ_BYTES = 1 << 17
"""A batch's answer has 90 KB; geventhttpclient reads 4 KB at a time unless it is told otherwise."""


@events.init.add_listener
def _draw(**_: Any) -> None:
    """Once for each process: what is drawn and encoded request by request is the readers' time, not the server's."""
    drawn = drawn_viewers(VIEWERS, 200_000, np.random.default_rng(os.getpid()))
    _crowd[:] = [PATTERN.replace("{}", str(number)) for number in drawn]
    _asks[:] = [_ask(_crowd[at : at + BATCH]) for at in range(0, len(_crowd) - BATCH, BATCH)]


def _ask(viewers: list[str]) -> tuple[list[str], bytes]:
    """The viewers of a batch, and the body that asks for their first pages."""
    return viewers, msgspec.msgpack.encode({"requests": [{"user_id": each, "limit": LIMIT} for each in viewers]})


def pause_s(now: float, rng: random.Random) -> float:
    """Until a user's next visit: ten a day, most of them in the evening (s), at the pace that is set."""
    if PACE <= 0:
        return 0.0
    hour = now % 86_400 / 3_600
    busy = 1.0 + 0.8 * math.cos((hour - 20.0) / 24.0 * 2.0 * math.pi)
    return rng.expovariate(VISITS_A_DAY * busy / 86_400) / PACE


class Reader(FastHttpUser):
    """What both kinds do."""

    abstract = True
    network_timeout = 10.0
    connection_timeout = 10.0

    def wait_time(self) -> float:
        """Between two visits."""
        return pause_s(time.time(), self.rng)

    def on_start(self) -> None:
        """Each user draws on its own."""
        self.rng = random.Random()
        self.client.client.clientpool.client_args["block_size"] = _READ_BYTES

    def write(self, page: Page) -> None:
        """Views of what was read, or a like, in the server's own time: it may be serving another day."""
        items = [item.item_id for item in page.items]
        if self.rng.random() < 0.5:
            self.client.post("/v1/views", json={"user_id": page.user_id, "items": items}, name="POST /v1/views")
            return
        event = {
            "id": f"load-{self.rng.getrandbits(64):016x}",
            "type": "like",
            "ts": page.generated_at,
            "actor": page.user_id,
            "object": items[0],
        }
        self.client.post("/v1/events", json=[event], name="POST /v1/events")


class PageReader(Reader):
    """One page a request; a visit goes on after each page with probability 0.6, so 2.5 pages in the mean."""

    @task
    def visit(self) -> None:
        """One visit, every body checked, and now and then a write."""
        viewer = self.rng.choice(_crowd)
        target: str | None = f"/v1/feeds/{viewer}?limit={LIMIT}"
        seen: set[str] = set()
        while target is not None:
            with self.client.get(target, name="GET /v1/feeds", catch_response=True) as response:
                page = _checked(response, viewer, seen)
            if page is None:
                return
            ids = [item.item_id for item in page.items]
            seen.update(ids)
            if ids and self.rng.random() < WRITES:
                self.write(page)
            goes_on = page.next is not None and self.rng.random() > 1 / MEAN_DEPTH
            target = f"/v1/feeds/{viewer}?after={page.next}&limit={LIMIT}" if goes_on else None


def _checked(response: Any, viewer: str, seen: set[str]) -> Page | None:
    """The page if it is right; else a failure is counted."""
    try:
        page = _page(response.content) if response.status_code == 200 else None
    except msgspec.DecodeError as error:
        response.failure(f"not a page: {error}")
        return None
    if page is None:
        response.failure(f"status {response.status_code}")
        return None
    ids = {item.item_id for item in page.items}
    if page.user_id != viewer or len(ids) != len(page.items) or ids & seen or len(ids) > LIMIT:
        response.failure("another viewer's page, or an item that came twice")
        return None
    return page


class BatchReader(Reader):
    """First pages of 32 viewers in one request, msgpack both ways."""

    @task
    def batch(self) -> None:
        """One batch, every entry of it checked, and now and then a write."""
        viewers, body = self.rng.choice(_asks)
        with self.client.post(
            "/v1/feeds:batchGet", data=body, headers=_BATCH_HEADERS, name="POST /v1/feeds:batchGet", catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            try:
                results = _batch(response.content).results
            except msgspec.DecodeError as error:
                response.failure(f"not a batch: {error}")
                return
            pages = [entry.page for entry in results if entry.page is not None]
            if [page.user_id for page in pages] != viewers or any(entry.status != 200 for entry in results):
                response.failure("an entry is missing, or another viewer's")
                return
        if pages[0].items and self.rng.random() < WRITES:
            self.write(pages[0])
