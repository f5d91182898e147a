"""Presence: visits made out of events, whatever batches they come in; the journal: a bounded, even sample of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.state.habits import SILENT_S, Habits
from feedgen.state.journal import Journal
from feedgen.state.presence import DEED, VISITS, Presence
from tests.login.communities import DAY, START
from tests.worlds import Story

KINDS = ("logout", "login", "like")
deeds = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3 * DAY)), max_size=40)


def fold(presence: Presence, *events: tuple[int, float, str]) -> None:
    """Tell of (viewer, ts, type) as State.fold does."""
    viewers, ts, kinds = zip(*events, strict=True)
    presence.add(np.array(viewers), np.floor(ts), np.array([VISITS.get(kind, DEED) for kind in kinds], np.int8))


def visits_of(times: list[int]) -> list[tuple[int, int]]:
    """(first, last) deed of each visit, one by one."""
    visits: list[tuple[int, int]] = []
    for ts in times:
        if visits and ts - visits[-1][1] <= SILENT_S:
            visits[-1] = visits[-1][0], ts
        else:
            visits.append((ts, ts))
    return visits


@given(deeds, st.sets(st.integers(1, 40), max_size=5))
def test_deeds_make_visits_where_no_login_is_reported(found: list[tuple[int, int]], cuts: set[int]) -> None:
    found.sort(key=lambda deed: deed[1])
    presence = Presence()
    events = [(viewer, START + ts + 0.5, "like") for viewer, ts in found]
    for first, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]):
        if first < end:
            fold(presence, *events[first:end])
    rows = presence.habits.rows
    kept = presence.journal.visits()
    for viewer in {viewer for viewer, _ in found}:
        visits = visits_of([START + ts for who, ts in found if who == viewer])
        assert kept.ts[(kept.viewers == viewer) & kept.came].tolist() == [first for first, _ in visits]
        assert rows["total"][viewer] == len(visits)
        first, last = visits[-1]
        assert rows["came"][viewer] == first
        assert max(rows["came"][viewer], rows["left"][viewer]) == last
        everyone = np.array([viewer])
        assert not presence.habits.away(everyone, last + SILENT_S - 1)[0]
        assert presence.habits.away(everyone, last + SILENT_S)[0]
    assert not kept.told.any()
    assert presence.habits.online == 0


def test_where_logins_are_reported_deeds_are_no_visits() -> None:
    presence = Presence()
    for after, kind in ((0, "like"), (7_200, "login"), (10_800, "post"), (14_400, "like")):
        fold(presence, (5, START + after, kind))
    kept = presence.journal.visits()
    assert kept.ts.tolist() == [START, START + 7_200]
    assert kept.told.tolist() == [False, True]
    fold(presence, (5, START + 14_500, "logout"))
    assert presence.habits.away(np.array([5]), START + 14_500)[0]


def test_what_is_new_is_taken_once() -> None:
    presence = Presence()
    fold(presence, (1, START, "login"))
    assert not len(presence.take().ts)  # nobody had asked to be told
    presence.followed = True
    fold(presence, (1, START + 60, "logout"), (2, START + 61, "login"))
    taken = presence.take()
    assert sorted(zip(taken.viewers.tolist(), taken.came.tolist(), strict=True)) == [(1, False), (2, True)]
    assert not len(presence.take().ts)


@pytest.mark.parametrize("ts", [0.0, -1.0, 2.0**32, 253_402_300_799.0])
def test_times_out_of_reach_are_no_visits(ts: float) -> None:
    presence = Presence()
    fold(presence, (0, ts, "login"))
    assert len(presence.journal) == 0


def test_the_state_notes_who_comes_and_where_they_live() -> None:
    story = Story()
    story.tell("ann", "user", utc_offset_min=-300, days=9)
    story.tell("ann", "login", days=8)
    story.tell("bob", "post", "p", days=8)
    story.tell("bob", "serve", objects=["p"], days=2)
    rows = story.state.presence.habits.rows
    assert rows["offset"].tolist() == [-300, 0]
    assert rows["told"].tolist() == [True, False]
    assert rows["total"].tolist() == [2, 1]  # to describe oneself is a deed; what is sent to a viewer is none


@given(deeds, st.integers(1, 30))
def test_the_journal_keeps_some_viewers_whole(found: list[tuple[int, int]], most: int) -> None:
    journal = Journal(most)
    for viewer, ts in found:
        one = np.array([True])
        journal.add(np.array([viewer]), np.array([float(START + ts)]), one, one)
    kept = journal.visits()
    assert len(kept.ts) == len(journal) <= most
    assert (np.diff(kept.ts) >= 0).all()
    for viewer in set(kept.viewers.tolist()):
        assert kept.ts[kept.viewers == viewer].tolist() == sorted(START + ts for who, ts in found if who == viewer)
    if len(found) <= most:
        assert len(journal) == len(found)


def test_the_sample_is_even() -> None:
    journal = Journal(10_000)
    everyone = np.arange(80_000)
    journal.add(everyone, np.full(80_000, float(START)), everyone >= 0, everyone >= 0)
    assert 4_000 < len(journal) <= 10_000
    assert len(np.unique(journal.visits().viewers // 8_000)) == 10


@given(deeds)
def test_columns_bring_everything_back(found: list[tuple[int, int]]) -> None:
    presence = Presence()
    if found:
        fold(presence, *[(viewer, START + ts, KINDS[ts % 3]) for viewer, ts in found])
    habits, journal = Habits(), Journal()
    habits.restore({name: column.copy() for name, column in presence.habits.columns().items()})
    journal.restore({name: column.copy() for name, column in presence.journal.columns().items()})
    for more, past in ((habits, journal), (presence.habits, presence.journal)):  # both go on as one
        more.absorb(np.array([9]), np.array([START + 4.0 * DAY]), np.array([True]))
        past.add(np.array([9]), np.array([START + 4.0 * DAY]), np.array([True]), np.array([True]))
    assert habits.rows.tobytes() == presence.habits.rows.tobytes()
    assert (habits.online, habits.first, list(habits.recent)) == (
        presence.habits.online, presence.habits.first, list(presence.habits.recent),
    )  # fmt: skip
    for one, other in zip(journal.visits(), presence.journal.visits(), strict=True):
        assert one.tolist() == other.tolist()
