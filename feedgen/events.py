"""Events: types, decoding, validation. One shape everywhere (JSON Lines, msgpack, HTTP body).

    {"id": "e17", "type": "like", "ts": 1735655473.0, "actor": "u1", "object": "p9", "attrs": {}}

Ids are strings of 1 to 128 bytes (UTF-8) or 64-bit integers; 5 and "5" are the same id, and inside forefeed every id
is a string. Everything that comes from outside passes `validate`, so that what is in the log is known to be good.
"""

import math
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from feedgen.errors import BadEvent

ID_MAX_BYTES: Final = 128
FUTURE_MAX_S: Final = 86_400.0
DEPTH_MAX: Final = 32

ON_USER: Final = frozenset({"follow", "unfollow", "block", "unblock", "mute", "unmute"})
ENGAGEMENTS: Final = frozenset({"like", "unlike", "comment", "share", "save", "click", "dwell"})
FEEDBACK: Final = frozenset({"hide", "report", "not_interested"})
ON_POST: Final = frozenset({"post", "edit", "delete", "review"}) | ENGAGEMENTS | FEEDBACK
LISTS: Final = frozenset({"view", "serve"})
ALONE: Final = frozenset({"user", "login", "logout"}) | LISTS
TYPES: Final = ON_USER | ON_POST | ALONE

OutsideId = (
    Annotated[str, Meta(min_length=1, max_length=ID_MAX_BYTES)] | Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
)
_Timestamp = Annotated[float, Meta(ge=0, le=1e18)]
_Text = Annotated[str, Meta(max_length=256)]


class WireEvent(Struct, forbid_unknown_fields=True):
    """An event as it comes from outside, its fields typed, its meaning not yet checked."""

    type: str
    ts: _Timestamp
    actor: OutsideId
    id: OutsideId | None = None
    object: OutsideId | None = None
    attrs: dict[str, Any] = {}


class Event(Struct, frozen=True, array_like=True, gc=False):
    """A valid event. `attrs` holds what came with it, checked where its keys are known. Not to be mutated."""

    id: str
    type: str
    ts: float
    actor: str
    object: str | None = None
    attrs: dict[str, Any] = {}


class PostAttrs(Struct):
    """attrs of `post` and `edit`; in an edit only the keys that are given change."""

    topics: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=64)] | UnsetType = UNSET
    media: Literal["none", "image", "video", "link"] | UnsetType = UNSET
    language: _Text | UnsetType = UNSET
    length: Annotated[int, Meta(ge=0, le=1 << 40)] | UnsetType = UNSET
    min_age: Annotated[int, Meta(ge=0, le=200)] | UnsetType = UNSET
    sensitive: bool | UnsetType = UNSET
    location: _Text | UnsetType = UNSET
    embedding: Annotated[list[Annotated[float, Meta(ge=-1e9, le=1e9)]], Meta(max_length=1_024)] | UnsetType = UNSET


class UserAttrs(Struct):
    """attrs of `user`; only the keys that are given change."""

    utc_offset_min: Annotated[int, Meta(ge=-1_440, le=1_440)] | UnsetType = UNSET
    language: _Text | UnsetType = UNSET
    birth_year: Annotated[int, Meta(ge=1_850, le=2_200)] | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    location: _Text | UnsetType = UNSET


class LoginAttrs(Struct):
    """attrs of `login`."""

    device: _Text | UnsetType = UNSET


class ReviewAttrs(Struct):
    """attrs of `review`."""

    state: Literal["pending", "approved", "rejected"]


class DwellAttrs(Struct):
    """attrs of `dwell`."""

    value: Annotated[float, Meta(ge=0, le=86_400)]


class ListAttrs(Struct):
    """attrs of `view` and `serve`: the posts in the order they were seen, or sent; of each, how likely it was there."""

    objects: Annotated[list[OutsideId], Meta(min_length=1, max_length=1_000)]
    propensities: Annotated[list[Annotated[float, Meta(gt=0, le=1)]], Meta(max_length=1_000)] | UnsetType = UNSET


ATTRS: Final[dict[str, type[Struct]]] = {
    "post": PostAttrs,
    "edit": PostAttrs,
    "user": UserAttrs,
    "login": LoginAttrs,
    "review": ReviewAttrs,
    "dwell": DwellAttrs,
    "view": ListAttrs,
    "serve": ListAttrs,
}

_json_wire = msgspec.json.Decoder(WireEvent)
_msgpack_event = msgspec.msgpack.Decoder(Event)
_event_encoder = msgspec.msgpack.Encoder()


def outside_id(raw: str | int) -> str:
    """The one inside form of an outside id. Raises BadEvent if it is empty, too long or not UTF-8."""
    if isinstance(raw, int):
        return str(raw)
    try:
        size = len(raw) if raw.isascii() else len(raw.encode())
    except UnicodeEncodeError:
        raise BadEvent("an id holds half a surrogate pair, which is not UTF-8") from None
    if not 1 <= size <= ID_MAX_BYTES:
        raise BadEvent(f"an id is {size} bytes long; 1 to {ID_MAX_BYTES} are possible")
    return raw


def validate(wire: WireEvent, now: float, *, derive_from: str | None = None) -> Event:
    """The event that `wire` means, or BadEvent with the reason.

    `now`: domain time in seconds; an event more than a day after it is refused. `derive_from`: the name of the source
    from which, with the content, the id of an event without one is derived; None refuses such an event.
    """
    kind = wire.type
    if kind not in TYPES:
        raise BadEvent(f"unknown type {kind[:40]!r}")
    if wire.ts > now + FUTURE_MAX_S:
        hint = "; seconds are meant, not milliseconds" if wire.ts > 1e11 else ""
        raise BadEvent(f"ts {wire.ts:.0f} is more than a day after now ({now:.0f}){hint}")
    target = None if wire.object is None else outside_id(wire.object)
    if kind in ALONE:
        if target is not None:
            raise BadEvent(f"a {kind} has no object")
    elif target is None:
        raise BadEvent(f"a {kind} needs an object: the {'user' if kind in ON_USER else 'post'} it is about")
    actor = outside_id(wire.actor)
    if kind in ON_USER and actor == target:
        raise BadEvent(f"{kind}: actor and object are the same user")
    attrs = _checked_attrs(kind, wire.attrs)
    if wire.id is not None:
        return Event(outside_id(wire.id), kind, wire.ts, actor, target, attrs)
    if derive_from is None:
        raise BadEvent("no id; it is what makes sending an event twice safe")
    return Event(_derived_id(derive_from, kind, wire, actor, target, attrs), kind, wire.ts, actor, target, attrs)


def _checked_attrs(kind: str, attrs: dict[str, Any]) -> dict[str, Any]:
    spec = ATTRS.get(kind)
    if spec is not None:
        try:
            msgspec.convert(attrs, spec)
        except msgspec.ValidationError as error:
            raise BadEvent(f"attrs of {kind}: {error}".replace("`$.", "`")) from None
    if attrs:
        _check_plain(attrs, kind)
    if kind in LISTS:
        if len(attrs.get("propensities", attrs["objects"])) != len(attrs["objects"]):
            raise BadEvent(f"attrs of {kind}: `propensities` has to say one of each of `objects`")
        return {**attrs, "objects": [outside_id(item) for item in attrs["objects"]]}
    return attrs


def _check_plain(value: dict[str, Any] | list[Any], kind: str, depth: int = 1) -> None:
    """Refuse what JSON and msgpack cannot both hold, and nesting that a deeper stack could not read back."""
    if depth > DEPTH_MAX:
        raise BadEvent(f"attrs of {kind}: nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise BadEvent(f"attrs of {kind}: a key is not a string")
            if not key.isascii() and (reason := _not_plain(key)) is not None:
                raise BadEvent(f"attrs of {kind}: {reason}")
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, str) and item.isascii():  # nearly all of them
            continue
        if isinstance(item, (dict, list)):
            _check_plain(item, kind, depth + 1)
        elif (reason := _not_plain(item)) is not None:
            raise BadEvent(f"attrs of {kind}: {reason}")


def _not_plain(value: object) -> str | None:
    if isinstance(value, str):
        if value.isascii():
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            return "a string holds half a surrogate pair, which is not UTF-8"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return "a number is not finite"
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            return "an integer does not fit in 64 bits"
    elif value is not None:
        return "a value is of no JSON kind"
    return None


def _derived_id(source: str, kind: str, wire: WireEvent, actor: str, target: str | None, attrs: dict[str, Any]) -> str:
    content = msgspec.json.encode([source, kind, wire.ts, actor, target, attrs], order="deterministic")
    return "~" + blake2b(content, digest_size=12).hexdigest()


def decode_json(line: bytes | str, now: float, *, derive_from: str | None = None) -> Event:
    """One event from one JSON object. Raises BadEvent with the reason, whatever the bytes are."""
    try:
        return validate(_json_wire.decode(line), now, derive_from=derive_from)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadEvent(reason_of(error)) from None


def from_object(raw: object, now: float, *, derive_from: str | None = None) -> Event:
    """One event from an already decoded object (an element of a JSON or msgpack array). Raises BadEvent."""
    try:
        return validate(msgspec.convert(raw, WireEvent), now, derive_from=derive_from)
    except (msgspec.ValidationError, RecursionError, UnicodeError) as error:
        raise BadEvent(reason_of(error)) from None


def reason_of(error: Exception) -> str:
    """A decoder's complaint as a reason a person understands."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeError):
        return "not UTF-8"
    return str(error).replace("`$.", "`").replace(" - at `$`", "")


def encode(event: Event) -> bytes:
    """The event as the log keeps it (msgpack array)."""
    return _event_encoder.encode(event)


def decode(payload: bytes) -> Event:
    """The event from `encode`d bytes. Raises BadEvent if they are not."""
    try:
        return _msgpack_event.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadEvent(f"the log holds bytes that are no event: {error}") from None
