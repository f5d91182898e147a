"""Engagements have bounds: of a viewer the latest, of a post as long as it can be shown."""

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.state.engagement import HOUR_MASK, POST_SHIFT
from feedgen.state.state import State
from tests.whole import feeds
from tests.worlds import DAY, NOW, SMALL, batch_sizes, events, folded


def keeping(per_viewer: int) -> Settings:
    """SMALL, with so many engagements of a viewer."""
    return msgspec.structs.replace(SMALL, state=msgspec.structs.replace(SMALL.state, engaged_per_viewer=per_viewer))


def entries(state: State) -> dict[str, list[tuple[int, str, int]]]:
    """By viewer what is kept, the latest first, then by the post's id: hour, post, kind and whether taken back."""
    found = {}
    for viewer, name in enumerate(state.users.names):
        packed = state.engagement._by_viewer.of(viewer).tolist()
        found[name] = sorted(
            (-(one >> 5 & HOUR_MASK), state.post_ids.name(one >> POST_SHIFT), one & 31) for one in packed
        )
    return found


@settings(max_examples=100, deadline=None)
@given(events(), batch_sizes, st.integers(1, 5))
def test_of_a_viewer_the_latest_are_kept_however_events_are_batched(
    found: list[Event], sizes: list[int], count: int
) -> None:
    every = entries(folded(found))
    assert entries(folded(found, sizes, keeping(count))) == {name: rows[:count] for name, rows in every.items()}


@settings(max_examples=100, deadline=None)
@given(events(), st.integers(1, 5))
def test_what_an_older_version_kept_of_a_viewer_is_cut_when_it_is_read(found: list[Event], count: int) -> None:
    whole, state = folded(found), State(keeping(count).state, SMALL.ranking)
    state.restore({name: column.copy() for name, column in whole.columns().items()})
    assert entries(state) == entries(folded(found, settings=keeping(count)))


@settings(max_examples=100, deadline=None)
@given(events(), batch_sizes)
def test_no_feed_sees_that_what_was_done_with_posts_of_long_ago_is_forgotten(
    found: list[Event], sizes: list[int]
) -> None:
    state = folded(found, sizes)
    with_all = State(SMALL.state, SMALL.ranking)
    with_all.engagement.forget = lambda posts: None  # type: ignore[method-assign]
    with_all.fold(enumerate(found, start=1))
    assert feeds(state, Pipeline(state, SMALL), NOW) == feeds(with_all, Pipeline(with_all, SMALL), NOW)


def day_of_deeds(day: int, deeds: int) -> list[Event]:
    """One post a day, with which everyone does something."""
    at = NOW + day * DAY
    post = Event(f"post{day}", "post", at, "ann", f"p{day}", {})
    return [post, *(Event(f"{day}.{n}", "comment", at + n, f"u{n}", f"p{day}", {}) for n in range(deeds))]


def test_what_is_kept_of_engagements_does_not_grow_with_the_years() -> None:
    state, held, offset = State(keeping(10).state, SMALL.ranking), [], 0
    for day in range(120):
        batch = list(enumerate(day_of_deeds(day, 50), start=offset + 1))
        state.fold(batch)
        offset += len(batch)
        columns = state.engagement.columns()
        held.append(sum(columns[f"{part}.values"].nbytes for part in ("by_post", "by_viewer")))
    assert max(held[60:]) <= 1.5 * max(held[20:60])
    places, _ = state.engagement.of_posts(np.arange(len(state.post_ids)))
    shown = SMALL.state.retention_days + 3
    assert len(set(places.tolist())) <= shown + 2
    assert len(state.posts.expired()) >= 120 - shown - 2
