"""Removals that were kept elsewhere and given back remove the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.events import Event
from feedgen.feed.keeping import packed, unpacked
from feedgen.feed.removals import RemovalIndex
from tests.feed.test_removals import EVENTS, VIEWERS


def folded(index: RemovalIndex, events: list[Event], first: int) -> RemovalIndex:
    for offset, event in enumerate(events, first):
        index.fold(offset, event)
        index.advance(offset)
    return index


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=30), st.integers(0, 30), st.integers(1, 12))
def test_going_on_from_what_was_kept_is_never_having_stopped(events: list[Event], cut: int, kept: int) -> None:
    before = folded(RemovalIndex(kept), events[:cut], 1)
    again = RemovalIndex(kept)
    again.restore(unpacked(packed(before.kept)))
    for index in (folded(before, events[cut:], cut + 1), folded(again, events[cut:], cut + 1)):
        index.check()
        assert index.kept == before.kept
        assert (index.head, index.floor) == (before.head, before.floor)
        assert [index.hidden_from(viewer) for viewer in VIEWERS] == [before.hidden_from(viewer) for viewer in VIEWERS]


def test_an_index_that_keeps_less_has_forgotten_the_oldest() -> None:
    index = folded(RemovalIndex(9), [Event(f"e{n}", "delete", 0.0, "猫", f"p\0{n}") for n in range(5)], 1)
    smaller = RemovalIndex(2)
    smaller.restore(unpacked(packed(index.kept)))
    smaller.check()
    assert (smaller.head, smaller.floor, len(smaller)) == (5, 3, 2)
