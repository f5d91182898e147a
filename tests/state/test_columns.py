"""The state as arrays: taken out, put back, and gone on with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.state.columns import Arrays
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate
from tests.whole import feeds, told, whole
from tests.worlds import NOW, SMALL, Story, events, folded


def restored(columns: Arrays) -> State:
    """A new state with these columns."""
    state = State(SMALL.state, SMALL.ranking)
    state.restore(columns)
    return state


@settings(max_examples=60, deadline=None)
@given(events(), st.floats(0, 1), st.booleans())
def test_a_restored_state_goes_on_as_if_it_had_never_left(found: list[Event], share: float, frozen: bool) -> None:
    cut = int(len(found) * share)
    first, rest = folded(found[:cut]), list(enumerate(found[cut:], start=cut + 1))
    columns = {name: values.copy() for name, values in first.columns().items()}
    for values in columns.values():
        values.flags.writeable = not frozen
    again = restored(columns)
    assert whole(again, NOW) == whole(first, NOW)
    for state in (first, again):
        state.fold(rest)
    assert told(again, NOW) == told(first, NOW)
    assert feeds(again, Pipeline(again, SMALL), NOW) == feeds(first, Pipeline(first, SMALL), NOW)


def test_writable_columns_are_taken_over_and_frozen_ones_copied() -> None:
    columns = folded([Event("1", "login", NOW, "v")]).columns()
    kept = columns["logins.last"].copy()
    frozen = columns["logins.active"].copy()
    frozen.flags.writeable = False
    state = restored({**columns, "logins.last": kept, "logins.active": frozen})
    state.fold([(2, Event("2", "login", NOW + 1, "v"))])
    assert kept.tolist() == [NOW + 1] == [state.logins.last(0)]
    assert frozen.tolist() == [NOW]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"graph.follows.rows.right": None}, r"missing or unknown: graph\.follows\.rows\.right"),
        ({"graph.lives": np.zeros(3)}, r"missing or unknown: graph\.lives"),
        ({"posts.created": np.zeros(0, np.float32)}, r"posts\.created.*float32"),
        ({"logins.last": np.zeros((2, 2))}, r"logins\.last"),
    ],
)
def test_other_columns_are_refused_with_their_names(change: Arrays, said: str) -> None:
    columns = {**State(SMALL.state, SMALL.ranking).columns(), **change}
    with pytest.raises(ValueError, match=said):
        restored({name: values for name, values in columns.items() if values is not None})


def test_a_cache_of_popularity_is_not_taken_for_that_of_another_state() -> None:
    story = Story(SMALL)
    story.tell("a", "post", "p")
    story.tell("v", "like", "p")
    state = story.state
    hour = int(NOW // 3_600)
    before = state.engagement.popularity(hour, 1).tolist()
    columns = {name: values.copy() for name, values in state.columns().items()}
    story.tell("w", "like", "p")
    assert state.engagement.popularity(hour, 1).tolist() > before
    state.restore(columns)
    assert state.engagement.popularity(hour, 1).tolist() == before


def test_every_byte_of_a_network_is_counted_under_its_part() -> None:
    spec = NetworkSpec(viewers=300, days=10, followees_mean=20.0, history_days=10.0, seed=1)
    state = folded(list(generate(spec).events()), settings=Settings())
    nbytes = state.nbytes()
    assert sum(nbytes.values()) == sum(values.nbytes for values in state.columns().values())
    assert nbytes["graph"] <= state.graph.follow_count * (24 + 12) + len(state.users) * 150
    assert not any(values.dtype.hasobject for values in state.columns().values())
