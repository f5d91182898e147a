"""The types that cross the wire: answers and bodies. openapi.py describes exactly these.

Ids in answers are always strings: JavaScript cannot hold an int64, and 5 and "5" are the same id. In bodies they may be
strings or integers. Times are seconds since the epoch, UTC.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from feedgen.events import TYPES, OutsideId

EVENT_TYPES: Final = tuple(sorted(TYPES))

Id = Annotated[str, Meta(min_length=1, max_length=128, description="1 to 128 bytes of UTF-8", examples=["u1340"])]
ItemId = Annotated[
    str, Meta(min_length=1, max_length=128, description="1 to 128 bytes of UTF-8", examples=["2f1e4e5e8515"])
]
GenerationText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$",
        description="which build of the feed: log offset it saw, dot, ms since the epoch at which it was made",
        examples=["216388.1735603200000"],
    ),
]
Time = Annotated[float, Meta(description="seconds since the epoch, UTC", examples=[1735655473.0])]
CacheResult = Literal["hit", "stale", "miss", "fallback"]


class Item(Struct, frozen=True, gc=False):
    """A chosen post."""

    item_id: ItemId
    author_id: Id
    score: Annotated[float, Meta(description="what it is worth in this feed; items come by rank, not by score")]
    reason: Annotated[str, Meta(description="why it was chosen", examples=["followed"])]
    created_at: Time


class FeedPage(Struct, frozen=True):
    """A page of a viewer's feed, in order of rank."""

    user_id: Id
    generation: GenerationText
    generated_at: Time
    items: list[Item]
    next: Annotated[str, Meta(min_length=1, description="`after` of the next page; null at the end")] | None


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem document."""

    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="one sentence that says what to do")]
    type: str = "about:blank"
    refused: "list[Refused] | UnsetType" = UNSET


class Refused(Struct, frozen=True, omit_defaults=True):
    """An event that was not taken: `line` (from 1) of an NDJSON body, `index` (from 0) in an array."""

    reason: str
    line: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    index: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class Accepted(Struct, frozen=True):
    """Events that are on disk now. `offset`: the log's head after them."""

    offset: Annotated[int, Meta(ge=0)]
    appended: Annotated[int, Meta(ge=0, description="events that were new")]
    duplicate: Annotated[int, Meta(ge=0, description="events whose id was in the log already; they count once")]
    refused: list[Refused]


class ViewsBody(Struct, forbid_unknown_fields=True):
    """Posts a viewer has seen, in the order seen. Giving `id` makes sending it again safe."""

    user_id: OutsideId
    items: Annotated[list[OutsideId], Meta(min_length=1, max_length=1_000)]
    ts: Annotated[float, Meta(ge=0, le=1e18, description="when they were seen; default: now")] | UnsetType = UNSET
    id: OutsideId | UnsetType = UNSET


class BatchAsk(Struct, forbid_unknown_fields=True):
    """One page of a batch; what its fields mean is what the query of GET /v1/feeds/{user_id} means."""

    user_id: OutsideId
    after: OutsideId | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    generation: GenerationText | None = None


class BatchBody(Struct, forbid_unknown_fields=True):
    """As it is documented."""

    requests: Annotated[list[BatchAsk], Meta(min_length=1)]


class OpenBatchBody(Struct, forbid_unknown_fields=True):
    """As it is read: the entries are converted one by one, so that a bad one does not spoil the others."""

    requests: list[Any]


class BatchResult(Struct, frozen=True, omit_defaults=True):
    """Outcome of one entry: a page, or a problem."""

    status: int
    cache: CacheResult | UnsetType = UNSET
    page: FeedPage | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchAnswer(Struct, frozen=True):
    """Outcomes, in the order of the requests."""

    results: list[BatchResult]


class Health(Struct, frozen=True):
    """What /healthz and /readyz say."""

    status: Literal["ok", "ready"]


class PostedEvent(Struct, forbid_unknown_fields=True):
    """An event as it is documented; it is read and checked by feedgen.events, one by one."""

    id: Annotated[OutsideId, Meta(description="what makes sending an event twice safe")]
    type: Literal[EVENT_TYPES]  # type: ignore[valid-type]
    ts: Annotated[float, Meta(ge=0, description="seconds since the epoch, UTC; at most a day ahead")]
    actor: OutsideId
    object: Annotated[OutsideId | None, Meta(description="the user or post it is about, where the type has one")] = None
    attrs: dict[str, Any] = {}


JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
X_MSGPACK: Final = "application/x-msgpack"
NDJSON: Final = "application/x-ndjson"
PROBLEM: Final = "application/problem+json"
SERVER: Final = "forefeed"
"""What answers call this server: no versions, which would tell whom to attack."""

json_encoder: Final = msgspec.json.Encoder()
msgpack_encoder: Final = msgspec.msgpack.Encoder()


def encode(answer: object, media_type: str) -> bytes:
    """`answer` as `media_type` (one of JSON, MSGPACK, X_MSGPACK, PROBLEM)."""
    return (msgpack_encoder if media_type in (MSGPACK, X_MSGPACK) else json_encoder).encode(answer)
