"""The fast lane: pages of resident, fresh feeds, answered before the framework is entered.

It reads whole requests in a narrow grammar and leaves everything else to the ordinary path, which would have answered
the same, byte for byte (but for Date, and where Server stands). What the ordinary path does for an access is done here
too: recency, reading sessions, removals, counters.
"""

import re
import time
from collections.abc import Callable, Hashable, Iterator
from email.utils import formatdate
from typing import Final

import msgspec

from cacheserver.auth import Verifier
from cacheserver.encoded import Encoded, answer_of, batch_of, entry_of
from cacheserver.framing import SHORT
from cacheserver.metrics import Metrics
from cacheserver.negotiation import matches
from cacheserver.origin import BUSY, Origin
from cacheserver.paging import Ask, place, waiting
from cacheserver.problems import Refusal, problem
from cacheserver.query import a_generation, a_limit, an_id, ask_from
from cacheserver.services import Services
from cacheserver.shelf import Shelf
from cacheserver.wire import (
    JSON,
    MSGPACK,
    PROBLEM,
    SERVER,
    X_MSGPACK,
    BatchAsk,
    BatchBody,
    FeedPage,
    Item,
    json_encoder,
)
from cacheserver.wish import Wish, wish_of

_GET: Final = b"GET /v1/feeds/"
BATCH: Final = b"POST /v1/feeds:batchGet HTTP/1.1"
"""The line of a batch's request."""
_VERSION: Final = b" HTTP/1.1\r\n"
_AUTHORIZATION: Final = b"\r\nAuthorization: "
_END: Final = b"\r\n\r\n"
_plain: Final = re.compile(rb"[0-9A-Za-z_~-][0-9A-Za-z._~-]*").fullmatch
"""A user id that is its own percent-encoding, and no dot segment."""
_query: Final = re.compile(rb"[0-9A-Za-z._~%=&-]{0,512}").fullmatch
_BUSY_BODY: Final = json_encoder.encode(problem(BUSY.status, str(BUSY)))
_BUSY: Final = (
    f"Retry-After: {BUSY.retry_after_s}\r\nContent-Type: {PROBLEM}\r\nCache-Control: no-store\r\n"
    f"Content-Length: {len(_BUSY_BODY)}\r\n\r\n"
).encode() + _BUSY_BODY
_OK: Final = len(b"HTTP/1.1 200 OK")
_KNOWN: Final = 4_096
"""Header blocks that are remembered: clients send few different ones. At most 4 MB."""
_SAMPLE: Final = 64
"""Answers until the next one is timed and all are counted: done for each, that takes 0.5 µs of the 3 it all takes."""
_ALIKE: Final = 32
"""Requests in a row that are looked at together."""
_BURST_BYTES: Final = 65_536
"""Answers that are written at once; then the connection may have become slow."""
_READERS: Final = {
    JSON: msgspec.json.Decoder(BatchBody).decode,
    MSGPACK: msgspec.msgpack.Decoder(BatchBody).decode,
    X_MSGPACK: msgspec.msgpack.Decoder(BatchBody).decode,
}


class Lane:
    """Answers requests from memory. One event loop owns it; nothing in it waits."""

    def __init__(self, services: Services, origin: Origin, metrics: Metrics, verifier: Verifier | None) -> None:
        self._verifier = verifier
        self._clock = services.clock
        self._monotonic = services.monotonic
        self._residency = services.residency
        self._read_at = services.residency.read_at
        self._page_at = services.residency.page_at
        self._tailless = services.older is None
        self._settings = services.settings.server
        self._fresh_s = services.settings.cache.fresh_s
        self.real = 0.0
        """The real clock when the latest answers were given (s)."""
        self.in_line: Callable[[], int] = int
        """How many requests wait for the ordinary path; each may be a miss."""
        self._origin = origin
        self._page_counts = metrics.of("/v1/feeds/{user_id}")
        self._batch_counts = metrics.of("/v1/feeds:batchGet")
        self._pages = self._unchanged = self._refused = self._batches = self._entries = 0  # answered since `count`
        metrics.before_scrape.append(self.count)
        self._took_s = 0.0
        self._age_s = 0.0
        self._known: dict[bytes, Wish] = {}
        self._second_ends = float("-inf")
        self._common = b""
        self._fronts: dict[int, bytes] = {}

    def page(self, data: bytes) -> bytes | None:
        """The answer to `data` if that is one GET of a page, whole and alone, its header fields known; else None."""
        space = data.find(b" ", 14)
        rest = data[space:]
        if self._verifier is not None:
            rest = self._verified(data[4:space], rest)
        wish = self._known.get(rest)
        if wish is None:
            return None
        self.real = real = self._monotonic()
        if real >= self._second_ends:
            self._new_second()
        found = self._hit(data[:space], wish, self._clock())
        if found is None:
            return None
        if self._pages >= _SAMPLE:
            self._took_s = self._monotonic() - real
            self.count()
        return found[0] + found[1]

    def answer(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Answer the requests that `data` holds from `at` on, as far as can be: (answers, where the rest begins).

        About 64 KB of answers at most; a rest that can be answered is taken up by calling again.
        """
        self.real = self._monotonic()
        if self.real >= self._second_ends:
            self._new_second()
        parts: list[bytes] = []
        size = answered = 0
        for taken, found in self._answers(data, at, self._clock()):
            parts += found
            size += len(found[-1])
            answered += 1
            at += taken
            if size >= _BURST_BYTES:
                break
        if answered and (self._pages >= _SAMPLE or self._batches):
            self._took_s = (self._monotonic() - self.real) / answered
            self.count()
        return b"".join(parts), at

    def _answers(self, data: bytes, at: int, now: float) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """(bytes of the request, its answer), one after the other, as far as can be."""
        wish, rest, alike = self._alike(data, at)
        for asked in alike:
            page = None if wish is None else self._hit(asked, wish, now)
            if page is None:
                break
            at += len(asked) + len(rest)
            yield len(asked) + len(rest), page
        while (end := data.find(_END, at)) >= 0:
            answer, after = self._one(data, at, end, now)
            if answer is None:
                return
            yield after - at, answer
            at = after

    def _alike(self, data: bytes, at: int) -> tuple[Wish | None, bytes, list[bytes]]:
        """Requests in a row that differ in nothing but the page: (what they wish for, how each ends, how each begins).

        So a client pipelines, and what is the same need not be read again: that takes a third off the time. None of
        them if there is but one, or where each is signed, and so another.
        """
        space = data.find(b" ", at + len(_GET))
        end = data.find(_END, at) + len(_END)
        rest = data[space:end]
        wish = self._known.get(rest)
        if wish is None or end == len(data) or self._verifier is not None:
            return None, rest, []
        return wish, rest, data[at:].split(rest, _ALIKE)[:-1]

    def _one(self, data: bytes, at: int, end: int, now: float) -> tuple[tuple[bytes, ...] | None, int]:
        """The answer to the request whose header fields end at `end`, if there is one, and where the next begins."""
        after = end + len(_END)
        space = data.find(b" ", at + len(_GET), after)
        rest = data[space:after]
        if data.startswith(_GET, at):
            if self._verifier is not None:
                rest = self._verified(data[at + 4 : space], rest)
            wish = self._known.get(rest) or self._wish(rest)
            if wish is not None:
                asked = data[at:space]
                return self._hit(asked, wish, now) or self._page(asked, wish, now), after
        elif data.startswith(BATCH, at) and self._verifier is None:
            wish = self._wish(rest)
            if wish is not None:
                after += wish.length or 0
                return self._batch(data[end + len(_END) : after], wish, now), after
        return None, after

    def count(self) -> None:
        """Put what was answered into the books. Each 64th answer, its time and age, stands for those before it."""
        answered = self._pages + self._unchanged + self._entries
        self._origin.counts["hit"] += answered
        if answered:
            self._origin.read_at_age(max(0.0, self._age_s), answered)
        for counts, status, answers in (
            (self._page_counts, 200, self._pages),
            (self._page_counts, 304, self._unchanged),
            (self._page_counts, 503, self._refused),
            (self._batch_counts, 200, self._batches),
        ):
            if answers:
                counts.observe(status, self._took_s * answers, answers)
        self._pages = self._unchanged = self._refused = self._batches = self._entries = 0

    def _verified(self, target: bytes, rest: bytes) -> bytes:
        """`rest` without its Authorization if that fits a read without a body; else one that is no request's.

        Each signature is another, so with them no header block would be known again.
        """
        assert self._verifier is not None
        start = rest.find(_AUTHORIZATION) + 2
        end = rest.find(b"\r\n", start)
        if start == 1:
            return b""
        try:
            signed = self._verifier.check(b"GET", target, rest[start + len(_AUTHORIZATION) - 2 : end])
        except Refusal:
            return b""
        return rest[:start] + rest[end + 2 :] if signed.nonce == b"" and signed.no_body else b""

    def _wish(self, rest: bytes) -> Wish | None:
        """What a request asks for whose line and header fields end like this, from the blank before its version on.

        Remembered if others may ask the same.
        """
        wish = self._known.get(rest)
        if wish is None and len(rest) <= SHORT and rest.startswith(_VERSION):
            wish = wish_of(rest[len(_VERSION) : -2])
            if wish is not None and wish.authorized and self._verifier is not None:
                return None  # a second one, or one that is written in another way
            if wish is not None and wish.etags is None:
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[rest] = wish
        return wish

    def _hit(self, asked: bytes, wish: Wish, now: float) -> tuple[bytes, bytes] | None:
        """A page of the current generation that is encoded already, in two parts; None for whatever else it is.

        `asked`: the request line up to the version. Nine of ten requests end here, so that this is as short as it can
        be: under what is kept, whole requests are found that went through `_page` before.
        """
        if wish.etags is not None or wish.length is not None:
            return None
        real = self.real
        page = self._page_at(asked if wish.is_json else (wish.media_type, asked), real)
        if page is None:
            return None
        shelf = page.shelf
        age_s = now - shelf.made_at
        if page.at or age_s > self._fresh_s:
            return None
        shelf.paged_at = real
        if page.last is not None:
            shelf.end = page.last
        self._pages += 1
        age = int(age_s)
        return self._fronts.get(age) or self._kept_front(age), page.tail

    def _page(self, asked: bytes, wish: Wish, now: float) -> tuple[bytes, ...] | None:
        """As `_hit`, for pages that must be encoded, older generations, and readers who may have the page already."""
        name, _, query = asked[len(_GET) :].partition(b"?")
        if not (name.isalnum() or _plain(name)) or wish.length is not None:
            return None
        viewer = name.decode()
        shelf = self._read_at(viewer, self.real)
        if shelf is None:
            return self._shed(viewer, query)
        self._age_s = age_s = now - shelf.made_at
        if age_s > self._fresh_s:
            return None
        key = asked if wish.is_json else (wish.media_type, asked)
        page = self._page_at(key, self.real)
        if page is None:
            page = self._encode(viewer, shelf, query, wish.media_type, key)
            if page is None:
                return None
        shelf.walked(page.at, self.real, page.last)
        front = self._front(max(0, int(now - page.made_at)), max(0, int(age_s)))
        if wish.etags is not None and matches(wish.etags, page.etag):
            self._unchanged += 1
            return b"HTTP/1.1 304 Not Modified", front[_OK:], page.tail[: page.head_end], b"\r\n"
        self._pages += 1
        return front, page.tail

    def _shed(self, viewer: str, query: bytes) -> tuple[bytes, ...] | None:
        """The refusal of a miss that would not be gone after; None if the ordinary path is to see to it.

        Hits pay for misses with the loop's time: this takes 5 µs, the ordinary path some 100 to say the same.
        """
        if not self._origin.sheds(viewer, self.in_line()) or self._ask(query) is None:
            return None
        self._origin.shed += 1
        self._refused += 1
        return b"HTTP/1.1 503 Service Unavailable", self._common, _BUSY

    def _ask(self, query: bytes) -> Ask | None:
        if not _query(query):
            return None
        try:
            return ask_from(query.decode(), self._settings)
        except Refusal:
            return None

    def _batch(self, body: bytes, wish: Wish, now: float) -> tuple[bytes, ...] | None:
        if wish.sent_as not in _READERS or len(body) != wish.length:
            return None
        try:
            asks = _READERS[wish.sent_as](body).requests
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        if len(asks) > self._settings.batch_feeds_max:
            return None
        media_type = wish.media_type
        entries: list[bytes] = []
        for ask in asks:
            viewer = ask.user_id if type(ask.user_id) is str else str(ask.user_id)
            key = (media_type, viewer, ask.after, ask.limit, ask.generation)
            entry = self._page_at(key, self.real)
            shelf = self._read_at(viewer, self.real) if entry is None else entry.shelf
            if shelf is None or now - shelf.made_at > self._fresh_s:
                return None
            self._age_s = now - shelf.made_at
            if entry is None:
                entry = self._encode_entry(viewer, shelf, ask, media_type, key)
                if entry is None:
                    return None
            shelf.walked(entry.at, self.real, entry.last)
            entries.append(entry.tail)
        self._batches += 1
        self._entries += len(entries)
        answer = batch_of(entries, media_type)
        own = f"Content-Type: {media_type}\r\nVary: Accept\r\nCache-Control: no-store\r\nContent-Length: {len(answer)}"
        return b"HTTP/1.1 200 OK", self._common, own.encode(), _END, answer

    def _encode(self, viewer: str, shelf: Shelf, query: bytes, media_type: str, key: Hashable) -> Encoded | None:
        ask = self._ask(query)
        if ask is None:
            return None
        found = self._walk(viewer, shelf, ask)
        if found is None:
            return None
        page, at, new_items = found
        answer = answer_of(page, at, new_items, media_type, ask.limit if ask.sized else None)
        self._residency.keep_page(viewer, shelf, key, answer)
        return answer

    def _encode_entry(self, viewer: str, shelf: Shelf, raw: BatchAsk, media_type: str, key: Hashable) -> Encoded | None:
        try:
            ask = Ask(
                None if raw.after is None else an_id(raw.after, "after"),
                self._settings.page_items if raw.limit is None else a_limit(raw.limit, self._settings),
                None if raw.generation is None else a_generation(raw.generation),
            )
        except Refusal:
            return None
        found = self._walk(viewer, shelf, ask)
        if found is None:
            return None
        entry = entry_of(found[0], found[1], media_type)
        self._residency.keep_page(viewer, shelf, key, entry)
        return entry

    def _walk(self, viewer: str, shelf: Shelf, ask: Ask) -> tuple[FeedPage, int, int] | None:
        """The page, which generation it is of, and how many new items wait; None if more than memory is asked for."""
        if ask.after is not None and ask.generation is None and shelf.older:
            return None  # where it goes on changes with every page that is read
        feeds = shelf.feeds
        start = place(feeds, ask)
        feed = start.feed
        if start.in_tail or (ask.generation is not None and feed.generation != ask.generation):
            return None
        items, more = feed.page(ask.after, ask.limit)
        if not (more or self._tailless):
            return None
        page = FeedPage(
            viewer,
            str(feed.generation),
            feed.last_generated,
            [Item(*item) for item in items],
            items[-1].item_id if more else None,
        )
        at = next(at for at, kept in enumerate(feeds) if kept is feed)
        return page, at, waiting(shelf.current, feed)

    def _new_second(self) -> None:
        now = time.time()
        self._second_ends = self.real + 1 - now % 1
        self._common = f"\r\nDate: {formatdate(now, usegmt=True)}\r\nServer: {SERVER}\r\n".encode()
        self._fronts.clear()

    def _kept_front(self, age: int) -> bytes:
        front = self._fronts[age] = self._front(max(0, age), max(0, age))
        return front

    def _front(self, age: int, current_age: int) -> bytes:
        """What changes with the second: of a page `age` seconds old, of a feed of which the newest is `current_age`."""
        ttl = int(self._fresh_s - current_age)
        changing = f"Cache-Status: forefeed; hit; ttl={ttl}\r\nAge: {min(age, 1 << 31)}\r\n"
        return b"".join((b"HTTP/1.1 200 OK", self._common, changing.encode()))
