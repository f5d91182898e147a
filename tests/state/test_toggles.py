"""Switches are decided by the greatest (ts, id), and say how they stood."""

from hypothesis import given
from hypothesis import strategies as st

from feedgen.state.columns import EventIds
from feedgen.state.toggles import NEVER, Before, Toggles

switchings = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.booleans(), st.integers(0, 3), st.text(max_size=3)),
    unique_by=lambda one: one[4],
    max_size=30,
)


@given(switchings)
def test_the_greatest_moment_and_id_decide(found: list[tuple[int, int, bool, int, str]]) -> None:
    toggles = Toggles()
    taken: dict[tuple[int, int], list[tuple[int, str, bool]]] = {}
    for left, right, on, ts, event_id in found:
        before = max(taken.get((left, right), []), default=None)
        wins = before is None or (ts, event_id) > before[:2]
        told = toggles.decide(left, right, on, float(ts), event_id)
        if not wins:
            assert told is None
        elif before is None:
            assert told is NEVER
        else:
            assert told == Before(before[2], float(before[0]))
        taken.setdefault((left, right), []).append((ts, event_id, on))
    for left in range(2):
        for right in range(2):
            last = max(taken.get((left, right), []), default=None)
            assert toggles.is_on(left, right) == (last is not None and last[2])


def test_pairs_of_great_indices_are_kept_apart() -> None:
    toggles = Toggles()
    toggles.decide(1, (1 << 31) - 1, True, 1.0, "a")
    assert toggles.is_on(1, (1 << 31) - 1)
    assert not toggles.is_on((1 << 31) - 1, 1)
    assert not toggles.is_on(0, (1 << 31) - 1)


@given(st.lists(st.text(max_size=12), max_size=40))
def test_event_ids_are_given_back(ids: list[str]) -> None:
    kept = EventIds()
    assert [kept.append(event_id) for event_id in ids] == list(range(len(ids)))
    assert [kept[number] for number in range(len(ids))] == ids
