"""Signals against their plain twin, in any order of events, and whatever comes after `now`."""

import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import feedgen.ranking.signals
from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.ranking.groups.compiled import compiled
from feedgen.ranking.groups.kept import CODES, PLACES, Kept, lay, room_to_keep
from feedgen.ranking.groups.sweep import KEPT
from feedgen.ranking.signals import NAMES, SIGNALS, Signals
from feedgen.selection.context import ViewerContext
from feedgen.state.state import State
from feedgen.turning import SIDE
from tests.ranking.signals_twin import Twin
from tests.worlds import DAY, NOW, SMALL, Story, events, folded, seeds, shuffled

UNMOVED: Final = (HealthCheck.function_scoped_fixture,)
"""`places` is the same for all examples of a test."""
FEW: Final = settings(max_examples=15, deadline=None, suppress_health_check=UNMOVED)
MANY: Final = settings(FEW, max_examples=25)
SEEN_AT: Final = (NOW, NOW + 0.5, NOW + 1.0, NOW - DAY)


def _context(state: State, viewer: int, now: float) -> ViewerContext:
    return Pipeline(state, SMALL)._context(viewer, now)


@pytest.fixture(params=[PLACES, 4], autouse=True)
def places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as are kept; and so few that posts are in each other's way."""
    monkeypatch.setattr(feedgen.ranking.signals, "PLACES", request.param)


def _posts(state: State) -> NDArray[np.int32]:
    """Every post that has its own event, by outside id."""
    known = np.flatnonzero(state.posts.author >= 0)
    return np.array(sorted(known.tolist(), key=state.post_ids.name), np.int32)


def _every_matrix(state: State, now: float) -> dict[str, NDArray[np.float32]]:
    """Of each viewer, over all posts."""
    signals, posts = Signals(state, SMALL.ranking), _posts(state)
    return {name: signals.matrix(_context(state, index, now), posts) for index, name in enumerate(state.users.names)}


@MANY
@given(events(80), st.sampled_from((NOW, NOW + 0.75)))
def test_what_is_compiled_is_what_the_table_says(found: list[Event], now: float) -> None:
    state = folded(found)
    posts = _posts(state)
    for index, matrix in enumerate(_every_matrix(state, now).values()):
        for row, wanted in zip(matrix, Twin(_context(state, index, now)).rows(posts.tolist()), strict=True):
            for name, value in zip(NAMES, row.tolist(), strict=True):
                np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-5, err_msg=name)


@FEW
@given(events(80), st.lists(st.tuples(st.integers(0, 4), st.sampled_from(SEEN_AT), st.integers(0, 15)), max_size=12))
def test_what_is_kept_for_one_viewer_is_what_another_would_find(
    found: list[Event], looks: list[tuple[int, float, int]]
) -> None:
    state = folded(found)
    signals, posts, pipeline = Signals(state, SMALL.ranking), _posts(state), Pipeline(state, SMALL)
    for viewer, now, first in looks:
        if viewer < len(state.users):
            context = pipeline._context(viewer, now)
            alone = Signals(state, SMALL.ranking).matrix(context, posts[first:])
            assert signals.matrix(context, posts[first:]).tobytes() == alone.tobytes()


@FEW
@given(events(80), seeds)
def test_the_order_of_events_changes_no_bit(found: list[Event], seed: int) -> None:
    one, other = folded(found), folded(shuffled(found, seed), (7,))
    matrices = _every_matrix(other, NOW)
    for name, matrix in _every_matrix(one, NOW).items():
        assert matrix.tobytes() == matrices[name].tobytes()


def _up_to(found: Sequence[Event], now: float) -> State:
    """As replay and `--now` have it: what is dated later is not folded."""
    return folded([event for event in found if event.ts <= now])


@FEW
@given(events(80), events(40), st.sampled_from((NOW, NOW - DAY, NOW - 2 * DAY)))
def test_another_future_changes_nothing(past: list[Event], future: list[Event], now: float) -> None:
    later = [Event(f"f{e.id}", e.type, e.ts, e.actor, e.object, e.attrs) for e in future if e.ts > now]
    before = [event for event in past if event.ts <= now]
    known = _every_matrix(_up_to(past, now), now)
    for name, matrix in _every_matrix(_up_to([*before, *later], now), now).items():
        assert matrix.tobytes() == known[name].tobytes()


@FEW
@given(events(80))
def test_every_signal_is_within_its_range_or_missing(found: list[Event]) -> None:
    for matrix in _every_matrix(folded(found), NOW).values():
        for column, signal in zip(matrix.T, SIGNALS, strict=True):
            present = column[~np.isnan(column)]
            assert ((present >= signal.least) & (present <= signal.most)).all(), signal.name
            assert signal.missing != "never" or len(present) == len(column), signal.name


def test_one_viewer_leaves_nothing_behind_for_the_next() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=2, topics=["tea"])
    story.tell("ann", "post", "q", days=1, topics=["tea"])
    story.tell("vic", "like", "p", days=0.5)
    signals = Signals(story.state, story.settings.ranking)
    contexts = [story.pipeline._context(index, NOW) for index in range(len(story.state.users))]
    posts = np.array([0, 1], np.int32)
    alone = [Signals(story.state, story.settings.ranking).matrix(context, posts) for context in contexts]
    for context, wanted in zip(contexts, alone, strict=True):
        np.testing.assert_array_equal(signals.matrix(context, posts), wanted)


def test_a_burst_is_told_from_its_neighbours() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    for number, minutes in enumerate((200, 120, 110, 100, 10)):
        story.tell("ann", "post", f"p{number}", days=minutes / 1440)
    story.tell("wes", "like", "p1", days=30 / 1440)
    context = story.pipeline._context(0, NOW)
    matrix = Signals(story.state, story.settings.ranking).matrix(context, np.arange(5, dtype=np.int32))
    row = dict(zip(NAMES, matrix[2].tolist(), strict=True))
    assert (row["burst"], row["burst_place"]) == (3, 1)
    np.testing.assert_allclose([row["burst_met_ago"], row["before_met_ago"], row["age"]], [0.5, 0.5, 110 / 60])
    assert np.isnan(row["after_met_ago"])
    assert row["newer"] == 2
    assert row["hour_posts"] == 2


@compiled
def _laid(kept: Kept, made: Any, where: Any, codes: Any, out: Any) -> None:
    lay(kept, made, where, codes, out, 3)


@pytest.mark.parametrize("count", [0, 1, SIDE - 1, SIDE, SIDE + 1, 500])
def test_kept_rows_and_new_ones_are_laid_out_as_columns(count: int) -> None:
    rng, wide = np.random.default_rng(count), KEPT
    kept, made = room_to_keep(64, wide), rng.normal(size=(count, wide)).astype(np.float32)
    kept.rows[:], kept.codes[:] = rng.normal(size=kept.rows.shape), rng.integers(0, 99, kept.codes.shape)
    where = rng.integers(-count, 64, count)
    codes, out = np.full((count, CODES), -1, np.int32), np.zeros((wide + 5, count), np.float32)
    _laid(kept, made, where, codes, out)
    for row, place in enumerate(where.tolist()):
        assert out[3 : wide + 3, row].tolist() == (kept.rows[place] if place >= 0 else made[~place]).tolist()
        assert codes[row].tolist() == [*(kept.codes[place].tolist() if place >= 0 else [-1] * (CODES - 1)), -1]
    assert not out[:3].any()
    assert not out[wide + 3 :].any()


def test_whom_both_follow_is_counted_among_many() -> None:
    rng, story = random.Random(1), Story()
    people = [f"n{number}" for number in range(70)]
    for person in people:
        for other in rng.sample(people, rng.randrange(50)):
            if other != person:
                story.tell(person, "follow", other, days=9)
        story.tell(person, "post", f"p of {person}", days=1)
    posts = _posts(story.state)
    matrix = Signals(story.state, SMALL.ranking).matrix(_context(story.state, 3, NOW), posts)
    follows = [set(story.state.graph.followees(user).tolist()) for user in range(len(story.state.users))]
    wanted = [len(follows[author] & follows[3]) for author in story.state.posts.author[posts].tolist()]
    assert max(wanted) > 16
    assert matrix[:, NAMES.index("common")].tolist() == wanted
