"""Switches are decided by the greatest (ts, id), and say how they stood."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from feedgen.state.returning import RETURNED
from feedgen.state.searching import ABSENT, places_of
from feedgen.state.stamps import Stamps
from feedgen.state.toggles import Toggles
from tests.worlds import batch_sizes, batches

switchings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 6),
        st.booleans(),
        st.sampled_from((0.0, 1.0, 1.5, 2.0, 2.0**31 - 1, 2.0**31, 1e17)),
        st.text(max_size=6),
    ),
    unique_by=lambda one: one[4],
    max_size=60,
)
Switching = tuple[int, int, bool, float, str]


def decide(toggles: Toggles, found: list[Switching]) -> list[tuple[bool, bool, bool, float]]:
    """What is said of each: won, first, was on, since when."""
    left, right, on, ts, ids = zip(*found, strict=True)
    decided = toggles.decide_many(np.array(left), np.array(right), np.array(on), np.array(ts), ids)
    return list(zip(*(column.tolist() for column in decided), strict=True))


def check(toggles: Toggles) -> None:
    """The rows are where they should be, ascending, and do not overlap."""
    rows = toggles._rows()
    taken: set[int] = set()
    for left in range(toggles._ons.count):
        assert rows.ons[left] + rows.offs[left] == rows.both[left] <= rows.rooms[left]
        room = set(range(rows.starts[left], rows.starts[left] + rows.rooms[left]))
        assert not room & taken
        taken |= room
        on = [entry[0] for entry in toggles.entries(left) if entry[1]]
        off = [entry[0] for entry in toggles.entries(left) if not entry[1]]
        assert on == sorted(set(on)) == toggles.ons(left).tolist()
        assert off == sorted(set(off) - set(on))
    assert max(taken, default=-1) < toggles._arena.used


@settings(deadline=None)
@given(switchings, batch_sizes)
def test_the_greatest_moment_and_id_decide(found: list[Switching], sizes: list[int]) -> None:
    toggles = Toggles()
    taken: dict[tuple[int, int], list[tuple[float, str, bool]]] = {}
    for batch in batches(found, sizes):  # type: ignore[arg-type]
        said = decide(toggles, [one for _, one in batch])  # type: ignore[misc]
        check(toggles)
        for (_, one), (won, first, was_on, was_ts) in zip(batch, said, strict=True):
            left, right, on, ts, event_id = one  # type: ignore[misc]
            before = max(taken.get((left, right), []), default=None)
            assert first == (before is None)
            assert won == (before is None or (ts, event_id) > before[:2])
            assert (was_on, was_ts) == ((before[2], before[0]) if before else (False, 0.0))
            taken.setdefault((left, right), []).append((ts, event_id, on))
    last = {pair: max(events) for pair, events in taken.items()}
    for left in range(3):
        known = {right: (on, ts, event_id) for right, on, ts, event_id in toggles.entries(left)}
        assert known == {pair[1]: (on, ts, name) for pair, (ts, name, on) in last.items() if pair[0] == left}
        assert all(toggles.is_on(left, right) == known.get(right, (False,))[0] for right in range(8))
        assert toggles.since(left).tolist() == [known[right][1] for right in toggles.ons(left).tolist()]


@settings(deadline=None)
@given(switchings, st.integers(1, 5))
def test_what_is_restored_goes_on_as_if_it_had_never_left(found: list[Switching], parts: int) -> None:
    whole, torn = Toggles(), Toggles()
    for at in range(0, len(found), parts):
        assert decide(whole, found[at : at + parts]) == decide(torn, found[at : at + parts])
        saved = {name: column.copy() for name, column in torn.columns().items()}
        for column in saved.values():
            column.flags.writeable = parts % 2 == 0
        torn = Toggles()
        torn.restore(saved)
        check(torn)
    assert [torn.entries(left) for left in range(3)] == [whole.entries(left) for left in range(3)]


def test_a_bulk_leaves_no_room_and_loses_ties() -> None:
    toggles = Toggles()
    left = np.repeat(np.arange(50), 20)
    right = np.tile(np.arange(20)[::-1] * 3, 50)
    toggles.decide_many(left, right, np.ones(1_000, np.bool_), np.full(1_000, 7.0), None)
    check(toggles)
    assert toggles._arena.used == 1_000
    assert decide(toggles, [(1, 3, False, 7.0, "a"), (1, 6, False, 6.0, "z")]) == [
        (True, False, True, 7.0),
        (False, False, True, 7.0),
    ]
    check(toggles)
    assert toggles.ons(1).tolist() == [0, *range(6, 60, 3)]


def test_pairs_of_great_indices_are_kept_apart() -> None:
    toggles = Toggles()
    decide(toggles, [(1, (1 << 31) - 1, True, 1.0, "a")])
    assert toggles.is_on(1, (1 << 31) - 1)
    assert not toggles.is_on(0, (1 << 31) - 1)


@given(st.lists(st.text(max_size=12), max_size=40))
def test_event_ids_are_given_back(ids: list[str]) -> None:
    kept = Stamps()
    handles = [kept.keep(event_id) for event_id in ids]
    assert [kept.id(handle) for handle in handles] == ids


@given(st.lists(st.floats(0, 1e18), max_size=40), st.booleans())
def test_times_are_given_back_to_the_bit(times: list[float], at_once: bool) -> None:
    stamps = Stamps()
    codes = stamps.codes(np.array(times)) if at_once else np.array([stamps.code(ts) for ts in times], np.uint32)
    assert stamps.times(codes).tolist() == times == [stamps.time(code) for code in codes.tolist()]


@pytest.mark.parametrize("ids", [["a", "abcdefgh", "b"], ["abcdefgh", "b", "abc"]])
def test_an_id_that_takes_the_place_of_a_longer_one_ends_where_it_ends(ids: list[str]) -> None:
    toggles = Toggles()
    for ts, event_id in enumerate(ids):
        decide(toggles, [(0, 0, True, float(ts), event_id), (0, 1, True, float(ts), f"other {event_id}")])
    assert [entry[3] for entry in toggles.entries(0)] == [ids[-1], f"other {ids[-1]}"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25), st.booleans()), max_size=600),
    st.integers(1, 600),
    st.booleans(),
)
def test_what_is_on_both_ways_is_marked(found: list[tuple[int, int, bool]], at_once: int, bulk: bool) -> None:
    """After each batch, of short rows and long ones."""
    toggles = Toggles()
    for first in range(0, len(found), at_once):
        left, right, on = (np.array(part) for part in zip(*found[first : first + at_once], strict=True))
        ts = np.arange(first, first + len(left), dtype=np.float64)
        decided = toggles.decide_many(left, right, on, ts, None if bulk else [str(one) for one in ts])
        changed = decided.won & (on != decided.was_on)
        toggles.mark_returned(left[changed], right[changed])
        starts, counts, values = toggles.spans
        for one, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
            row = slice(start, start + count)
            marked = (toggles.returned[row] >= RETURNED).tolist()
            assert marked == [toggles.is_on(other, one) for other in values[row].tolist()]
            assert all(name == ("" if bulk else f"{ts:.1f}") for _, _, ts, name in toggles.entries(one))


@njit
def _places(values: NDArray[np.int32], starts: Any, counts: Any, wanted: Any, into: NDArray[np.int64]) -> None:
    places_of(values, starts, counts, wanted, into)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 70), max_size=40), st.integers(0, 70)), max_size=30))
def test_many_rows_are_searched_at_once(found: list[tuple[set[int], int]]) -> None:
    rows, wanted = [sorted(row) for row, _ in found], np.array([one for _, one in found], np.int32)
    counts = np.array([len(row) for row in rows], np.int32)
    starts, places = np.cumsum(counts, dtype=np.int64) - counts, np.empty(len(rows), np.int64)
    _places(np.array([one for row in rows for one in row], np.int32), starts, counts, wanted, places)
    for row, one, start, place in zip(rows, wanted.tolist(), starts.tolist(), places.tolist(), strict=True):
        assert place == (start + row.index(one) if one in row else ABSENT)


def test_more_ids_than_a_handle_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedgen.state.toggles.HANDLE", 20)
    toggles = Toggles()
    decide(toggles, [(0, right, True, 1.0, f"event {right}") for right in range(5)])
    with pytest.raises(OverflowError, match="event ids"):
        decide(toggles, [(0, right, True, 2.0, f"event {right + 5}") for right in range(9)])
    assert toggles.ons(0).tolist() == [0, 1, 2, 3, 4]
