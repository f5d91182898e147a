"""Events: whatever comes from outside ends as an Event or as a BadEvent with one reason."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen import events
from feedgen.errors import BadEvent
from feedgen.events import Event, decode, decode_json, encode, from_object

NOW = 1_735_000_000.0


def one(**changes: Any) -> dict[str, Any]:
    raw = {"id": "e1", "type": "like", "ts": 1_734_000_000.0, "actor": "u1", "object": "p1"} | changes
    return {key: value for key, value in raw.items() if value is not ...}


wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=[]))
    | st.binary()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=12,
)
ids = st.text(alphabet=st.characters(exclude_categories=[]), max_size=140) | st.integers()
near_events = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(events.TYPES)), "ts": st.floats() | st.integers(), "actor": ids},
    optional={
        "id": ids,
        "object": ids,
        "attrs": wild
        | st.dictionaries(st.sampled_from(["topics", "value", "objects", "state", "media", "x"]), wild, max_size=3),
        "extra": wild,
    },
)


def accepted(call: Any, *args: Any) -> Event | None:
    """The event or None; anything but a BadEvent escapes and fails the test."""
    try:
        event = call(*args, derive_from="source.jsonl")
    except BadEvent:
        return None
    assert isinstance(event, Event)
    return event


@given(st.binary() | st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_bytes_are_an_event_or_refused(line: bytes | str) -> None:
    accepted(decode_json, line, NOW)


@given(near_events | wild)
def test_any_object_is_an_event_or_refused_and_survives_the_log(raw: Any) -> None:
    event = accepted(from_object, raw, NOW)
    if event is not None:
        assert decode(encode(event)) == event
        assert json.loads(json.dumps(event.attrs, allow_nan=False)) == event.attrs
        assert 1 <= len(event.id.encode()) <= 128


@given(near_events)
def test_json_and_object_form_agree(raw: Any) -> None:
    try:
        line = json.dumps(raw)
        plain = json.loads(line)
    except (TypeError, ValueError):
        return
    by_line = accepted(decode_json, line, NOW)
    if by_line is not None:
        assert by_line == from_object(plain, NOW, derive_from="source.jsonl")
        assert decode(encode(by_line)) == by_line


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1))
def test_an_integer_id_is_the_same_id_as_its_digits(number: int) -> None:
    as_int = from_object(one(id=number, actor=number, object=number + 0), NOW)
    as_text = from_object(one(id=str(number), actor=str(number), object=str(number)), NOW)
    assert as_int == as_text
    assert as_int.id == str(number)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (one(type="likes"), "unknown type 'likes'"),
        (one(object=...), "a like needs an object"),
        (one(type="login"), "a login has no object"),
        (one(type="follow", object="u1"), "same user"),
        (one(id=...), "no id"),
        (one(id=""), "Expected `str` of length >= 1"),
        (one(id="é" * 65), "130 bytes"),
        (one(id=True), "Expected `int | str | null`"),
        (one(ts=NOW + 86_401), "more than a day after now"),
        (one(ts=NOW * 1000), "seconds are meant, not milliseconds"),
        (one(ts=math.nan), "ts"),
        (one(ts=math.inf), "ts"),
        (one(ts=-1.0), "ts"),
        (one(colour="red"), "unknown field `colour`"),
        (one(type="dwell", attrs={"value": math.nan}), "attrs of dwell: Expected `float` >= 0.0"),
        (one(type="dwell"), "attrs of dwell: Object missing required field `value`"),
        (one(attrs={"a": [{"b": math.inf}]}), "not finite"),
        (one(type="view", object=..., attrs={"objects": ["p1"], "x": math.nan}), "not finite"),
        (one(type="view", object=..., attrs={"objects": []}), "attrs of view"),
        (one(type="serve", object=..., attrs={"objects": ["p1"], "propensities": []}), "one of each of `objects`"),
        (one(type="view", object=..., attrs={"objects": ["p1"], "propensities": [0.0]}), "attrs of view"),
        (one(attrs={"a": 1 << 64}), "does not fit in 64 bits"),
        (one(attrs={"a": b"raw"}), "no JSON kind"),
        (one(attrs={"a": {1: "b"}}), "not a string"),
        (one(attrs={"a": "\ud800"}), "surrogate"),
        (one(actor="\ud800"), "surrogate"),
        (one(type="post", attrs={"media": "hologram"}), "media"),
        (one(type="review", attrs={"state": "maybe"}), "state"),
        ([], "Expected `object`"),
    ],
)
def test_a_refused_event_says_why(raw: Any, reason: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        from_object(raw, NOW)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("depth", [33, 400, 2_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_deep_attrs_are_refused(depth: int, opening: str, closing: str) -> None:
    deep = opening * depth + "1" + closing * depth
    line = json.dumps(one(attrs={"a": 0}))[:-2].removesuffix("0") + deep + "}}"
    with pytest.raises(BadEvent, match="nested"):
        decode_json(line, NOW)


def test_attrs_at_the_deepest_allowed_are_read_back_from_a_deep_stack() -> None:
    line = json.dumps(one(attrs={"a": 0}))[:-2].removesuffix("0") + "[" * 31 + "]" * 31 + "}}"
    payload = encode(decode_json(line, NOW))

    def from_below(frames: int) -> Event:
        return from_below(frames - 1) if frames else decode(payload)

    assert from_below(600).attrs["a"]


def test_a_derived_id_follows_source_and_content() -> None:
    def derived(source: str, **changes: Any) -> str:
        return from_object(one(id=..., **changes), NOW, derive_from=source).id

    assert derived("a.jsonl") == derived("a.jsonl")
    assert derived("a.jsonl", actor=5, object=7) == derived("a.jsonl", actor="5", object="7")
    assert derived("a.jsonl", attrs={"x": 1, "y": 2}) == derived("a.jsonl", attrs={"y": 2, "x": 1})
    assert (
        len({derived("a.jsonl"), derived("b.jsonl"), derived("a.jsonl", ts=1.0), derived("a.jsonl", actor="u2")}) == 4
    )


def test_an_event_without_attrs_and_ids_with_any_character() -> None:
    event = decode_json(json.dumps(one(id="a\0b ~\n", actor="日本")), NOW)
    assert (event.id, event.actor, event.attrs) == ("a\0b ~\n", "日本", {})
    assert decode(encode(event)) == event


def test_viewed_posts_become_strings() -> None:
    event = from_object(one(type="view", object=..., attrs={"objects": [5, "p"], "place": "home"}), NOW)
    assert event.attrs == {"objects": ["5", "p"], "place": "home"}


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x93\x01\x02\x03", msgspec.msgpack.encode({"id": "x"})])
def test_foreign_bytes_in_the_log_are_refused(payload: bytes) -> None:
    with pytest.raises(BadEvent, match="no event"):
        decode(payload)
