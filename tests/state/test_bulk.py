"""A bulk of arrays is the same state as the events folded one by one."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.state.attributes import MEDIA, NONE, Described
from feedgen.state.bulk import Bulk
from feedgen.state.engagement import KIND
from feedgen.state.logins import device_code
from feedgen.state.state import State
from tests.whole import feeds, told
from tests.worlds import NOW, SMALL, events, folded

ONCE = {"post": "object", "user": "actor"}
"""Types of which a bulk has one event for each of these."""


def nameless(found: Sequence[Event]) -> list[Event]:
    """Those that can be in a bulk, without their ids."""
    kept, once = [], set()
    for event in found:
        if event.type in {"follow", "post", "user", "view", "login", *KIND}:
            key = (event.type, getattr(event, ONCE[event.type])) if event.type in ONCE else id(event)
            if key not in once:
                once.add(key)
                attrs = {name: value for name, value in event.attrs.items() if name != "embedding"}
                kept.append(msgspec.structs.replace(event, id="", attrs=attrs))
    return kept


def about(state: State, posts: Sequence[Event]) -> Described:
    """What the posts say, in indices."""
    topics = [list(dict.fromkeys(event.attrs.get("topics", ()))) for event in posts]
    places = [event.attrs.get("location") for event in posts]
    languages = [event.attrs.get("language") for event in posts]
    return Described(
        np.array([NONE if name is None else state.languages.intern(name) for name in languages], np.int32),
        np.array([event.attrs.get("min_age", 0) for event in posts], np.uint8),
        np.array([event.attrs.get("sensitive", False) for event in posts], np.bool_),
        np.array([MEDIA.index(event.attrs.get("media", "none")) for event in posts], np.uint8),
        np.array([event.attrs.get("length", NONE) for event in posts], np.int32),
        np.array([state.about_users.locations.intern(name) if name else NONE for name in places], np.int32),
        np.cumsum([0, *map(len, topics)]),
        state.topic_names.intern_many([name for names in topics for name in names]),
    )


def load(state: State, found: Sequence[Event]) -> None:
    """Type by type, as arrays."""
    bulk, by_type = Bulk(state), dict[str, list[Event]]()
    for event in found:
        by_type.setdefault("engagement" if event.type in KIND else event.type, []).append(event)

    def columns(kind: str) -> tuple[NDArray[np.int32], list[str], NDArray[np.float64]]:
        rows = by_type.get(kind, [])
        actors = state.users.intern_many([event.actor for event in rows])
        return actors, [event.object or "" for event in rows], np.array([event.ts for event in rows], np.float64)

    actors, names, ts = columns("post")
    bulk.posts(state.post_ids.intern_many(names), actors, ts, about(state, by_type.get("post", [])))
    actors, names, ts = columns("follow")
    bulk.follows(actors, state.users.intern_many(names), ts)
    actors, _, ts = columns("login")
    devices = [device_code(event.attrs.get("device")) for event in by_type.get("login", [])]
    bulk.logins(actors, ts, np.array(devices, np.uint8))
    actors, names, ts = columns("engagement")
    kinds = np.array([KIND[event.type] for event in by_type.get("engagement", [])], np.int64)
    bulk.engagements(actors, state.post_ids.intern_many(names), kinds, ts)
    actors, _, ts = columns("view")
    lists = [event.attrs["objects"] for event in by_type.get("view", [])]
    row = np.repeat(np.arange(len(lists)), [len(objects) for objects in lists]).astype(int)
    bulk.views(actors[row], state.post_ids.intern_many([name for names in lists for name in names]), ts[row])
    _load_users(state, bulk, by_type.get("user", []))


def _load_users(state: State, bulk: Bulk, found: Sequence[Event]) -> None:
    names = {"language": state.languages, "location": state.about_users.locations}
    for event in found:  # each says other fields
        said = {
            name: np.array([names[name].intern(value) if name in names else value])
            for name, value in event.attrs.items()
        }
        bulk.users(state.users.intern_many([event.actor]), np.array([event.ts]), said)


@settings(max_examples=100, deadline=None)
@given(events(), st.integers(1, 3))
def test_a_bulk_is_what_folding_makes_of_its_events(found: list[Event], parts: int) -> None:
    nameless_ones = nameless(found)
    loaded = State(SMALL.state, SMALL.ranking)
    size = -(-len(nameless_ones) // parts) or 1
    for at in range(0, len(nameless_ones), size):
        load(loaded, nameless_ones[at : at + size])
    loaded.watermark = len(nameless_ones)
    plain = folded(nameless_ones)
    assert told(loaded, NOW) == told(plain, NOW)
    assert feeds(loaded, Pipeline(loaded, SMALL), NOW) == feeds(plain, Pipeline(plain, SMALL), NOW)
    rest = [(number, event) for number, event in enumerate(found, start=len(nameless_ones) + 1)]
    for state in (loaded, plain):
        state.fold(rest)
    assert told(loaded, NOW) == told(plain, NOW)


def test_what_cannot_be_a_bulk_is_refused() -> None:
    state = folded([Event("1", "post", NOW, "a", "p"), Event("2", "user", NOW, "a", None, {"verified": True})])
    bulk = Bulk(state)
    one, ts = np.zeros(1, np.int32), np.full(1, NOW)
    with pytest.raises(ValueError, match="there twice"):
        bulk.posts(one, one, ts)
    with pytest.raises(ValueError, match="verified is known"):
        bulk.users(one, ts, {"verified": one})
    posts = state.post_ids.intern_many(["q"])
    twice = Described(
        one, one.astype(np.uint8), one > 0, one.astype(np.uint8), one, one, np.array([0, 2]), np.array([0, 0], np.int32)
    )
    with pytest.raises(ValueError, match="a topic twice"):
        bulk.posts(posts, one, ts, twice)
    state.fold([(3, Event("3", "edit", NOW, "a", "p", {"media": "image"}))])
    with pytest.raises(ValueError, match="before any edit"):
        bulk.posts(posts, one, ts, twice._replace(topic_bounds=np.array([0, 0]), topics=one[:0]))
