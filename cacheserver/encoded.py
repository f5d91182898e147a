"""A page as it goes out: encoded once, kept with the feed it is of."""

from collections.abc import Hashable
from sys import getsizeof
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cacheserver.negotiation import etag_of
from cacheserver.wire import JSON, BatchResult, FeedPage, encode

if TYPE_CHECKING:
    from cacheserver.shelf import Shelf

_MSGPACK_RESULTS: Final = b"\x81\xa7results"


class Encoded:
    """A page's bytes, ready to be sent behind the headers that change with the second.

    `tail`: the headers that last and the body, as they stand on the wire; the first `head_end` bytes of it are a 304's.
    For an entry of a batch, the entry alone. `at`: which of the shelf's generations it is of, made at `made_at` (s,
    UTC). `last`: the item the next page comes after, None at the end. All that is immutable. Once the page is kept,
    `shelf` is whose it is, and it stands in `index` under `key`.
    """

    __slots__ = ("at", "etag", "head_end", "index", "key", "last", "made_at", "shelf", "tail")

    index: "PageIndex"
    key: Hashable
    shelf: "Shelf"

    def __init__(self, page: FeedPage, at: int, tail: bytes, head_end: int = 0, etag: str = "") -> None:
        self.tail = tail
        self.head_end = head_end
        self.etag = etag
        self.at = at
        self.made_at = page.generated_at
        self.last = page.next

    @property
    def nbytes(self) -> int:
        """Bytes of what goes out."""
        return getsizeof(self.tail)


PageIndex = dict[Hashable, Encoded]
"""Every page that is kept, by what was asked: one look-up from the request to the page, whoever's it is."""


def answer_of(page: FeedPage, at: int, new_items: int, media_type: str, limit: int | None) -> Encoded:
    """The answer that carries `page`. `limit`: None if the request named none. O(bytes)."""
    body = encode(page, media_type)
    etag = etag_of(body, media_type)
    headers = lasting_headers(page, new_items, limit) | {"ETag": etag}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    own = f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return Encoded(page, at, b"".join((head, own, body)), len(head), etag)


def entry_of(page: FeedPage, at: int, media_type: str) -> Encoded:
    """A batch's entry that carries `page`, a hit. O(bytes)."""
    return Encoded(page, at, encode(BatchResult(200, "hit", page), media_type))


def batch_of(entries: list[bytes], media_type: str) -> bytes:
    """The body of a batch's answer from its encoded entries, as wire.BatchAnswer is encoded. O(bytes)."""
    if media_type == JSON:
        return b'{"results":[' + b",".join(entries) + b"]}"
    count = len(entries)
    size = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return b"".join((_MSGPACK_RESULTS, size, *entries))


def lasting_headers(page: FeedPage, new_items: int, limit: int | None) -> dict[str, str]:
    """Those that stay as they are while the feed does; they come after those that change with the second."""
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept", "Feed-New-Items": str(new_items)}
    if page.next is not None:
        headers["Link"] = next_link(page.user_id, page.next, page.generation, limit)
    return headers


def next_link(viewer: str, after: str, generation: str, limit: int | None) -> str:
    """Link to the next page (RFC 8288), every id percent-encoded. `limit`: None if the request named none."""
    segment = quote(viewer, safe="") if viewer not in (".", "..") else viewer.replace(".", "%2E")
    size = "" if limit is None else f"&limit={limit}"
    return f'</v1/feeds/{segment}?after={quote(after, safe="")}{size}&generation={generation}>; rel="next"'
