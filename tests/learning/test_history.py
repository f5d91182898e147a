"""The log in the order of time, and what viewers did after a login: plain counts beside the fast ones."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.errors import ImportFailed
from feedgen.events import Event
from feedgen.learning.deeds import Deeds
from feedgen.learning.history import History, read

kinds = st.sampled_from(["login", "like", "view", "post"])
drawn = st.lists(st.tuples(st.integers(0, 9), kinds, st.sampled_from("ab"), st.integers(0, 7)), max_size=30)


def events(found: list[tuple[int, str, str, int]]) -> list[Event]:
    """Ids may come twice."""
    return [
        Event(f"e{number}", kind, float(ts), who, None if kind in ("login", "view") else f"p{number}",
              {"objects": [f"p{number}"]} if kind == "view" else {})
        for ts, kind, who, number in found
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(drawn)
def test_events_come_by_time_each_once_those_of_a_moment_as_they_lay(found: list[tuple[int, str, str, int]]) -> None:
    past = History.of(events(found))
    first = {event.id: event for event in reversed(events(found))}
    assert sorted(event.id for event in past.events) == sorted(first)
    assert all(first[event.id] == event for event in past.events)
    places = [event.id for event in events(found)]
    keys = [(event.ts, places.index(event.id)) for event in past.events]
    assert keys == sorted(keys)


@settings(max_examples=50, deadline=None)
@given(drawn, st.integers(0, 9), st.integers(0, 9))
def test_logins_and_deeds_are_plain_counts(found: list[tuple[int, str, str, int]], one: int, other: int) -> None:
    past = History.of(events(found))
    begin, until = float(min(one, other)), float(max(one, other))
    logins = [at for at, event in enumerate(past.events) if event.type == "login" and begin <= event.ts < until]
    assert past.logins(begin, until) == logins
    deeds = Deeds(past, ("like", "view"))
    for at in logins:
        who = past.events[at].actor
        later = [
            (place, event.type)
            for place, event in enumerate(past.events)
            if place > at and event.actor == who and event.ts < until and event.type in ("like", "view")
        ]
        assert [(deed.place, deed.kind) for deed in deeds.after(who, at, until)] == later
        assert all(len(deed.posts) == 1 for deed in deeds.after(who, at, until))
        before = [
            place
            for place, event in enumerate(past.events)
            if place <= at and event.actor == who and event.ts >= begin and event.type in ("like", "view")
        ]
        assert deeds.between(who, begin, at) == len(before)


def test_a_file_is_read_as_the_importer_reads_it(tmp_path: Path) -> None:
    lines = ['{"id":"b","type":"login","ts":9,"actor":"v"}', "nonsense", '{"id":"a","type":"login","ts":3,"actor":"w"}']
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    refused: list[str] = []
    past = read(str(tmp_path / "e.jsonl.gz"), on_refused=refused.append)
    assert [event.actor for event in past.events] == ["w", "v"]
    assert len(refused) == 1
    assert refused[0].startswith("line 2: ")
    (tmp_path / "cut.gz").write_bytes(gzip.compress("\n".join(lines * 99).encode())[:60])
    with pytest.raises(ImportFailed, match="cut short"):
        read(str(tmp_path / "cut.gz"))
    with pytest.raises(ImportFailed, match="no such file"):
        read(str(tmp_path / "none"))
