"""Rows to learn from: what was known at the login and nothing later, what came of it, and how much each stands for."""

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import pytest

from feedgen import config
from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.events import Event
from feedgen.learning import spans
from feedgen.learning.dataset import CANDIDATES, IMPRESSIONS, Made, make
from feedgen.learning.history import History
from feedgen.ranking.dataset import ACTIONS, Rows, parts, read
from feedgen.ranking.inputs import INPUTS
from tests.learning.communities import DAY, START, community, history

UNTIL = START + 9 * DAY
HALF = Settings(learning=config.Learning(negative_rate=0.5, rest_rate=0.5, shown_rate=0.5, chunk_rows=300))
ALL = Settings(learning=config.Learning(negative_rate=1.0, rest_rate=1.0, idle_rate=1.0))


def made(past: History, settings: Settings, folder: Path, until: float = UNTIL) -> tuple[Made, Rows]:
    return make(past, settings, until, folder), read(folder, INPUTS)


def same(left: Rows, right: Rows) -> bool:
    names = ("viewer", "ts", "post", "author", "done", "rate", "propensity", "picked")
    alike = all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)
    return alike and np.array_equal(left.inputs, right.inputs, equal_nan=True)


@pytest.mark.parametrize("views", [False, True])
def test_rows_say_what_came_of_each_post(tmp_path: Path, views: bool) -> None:
    past = history(10, views=views)
    said, rows = made(past, ALL, tmp_path)
    assert said.kind == (IMPRESSIONS if views else CANDIDATES)
    assert (said.rows, said.done) == (len(rows), int(rows.done.any(axis=1).sum()))
    done = defaultdict(list)
    for event in past.events:
        done[event.actor, str(event.object), event.type].append(event.ts)
    shown = {(e.actor, post) for e in past.events if e.type == "view" for post in e.attrs["objects"]}
    horizon_s = ALL.learning.horizon_hours * 3_600.0
    for at in range(0, len(rows), 7):
        viewer, post, ts = str(rows.viewer[at]), str(rows.post[at]), rows.ts[at]
        for kind in ("like", "hide"):
            within = any(ts <= when < ts + horizon_s for when in done[viewer, post, kind])
            assert rows.done[at, ACTIONS.index(kind)] == within
        assert not views or (viewer, post) in shown
    assert rows.engaged.sum() == rows.done[:, ACTIONS.index("like")].sum() > 50
    assert (rows.ts + horizon_s < UNTIL).all()
    assert (np.diff(rows.ts) >= 0).all()
    assert (rows.rate == 1.0).all()


def test_what_was_shown_past_retention_is_not_learnt_from(tmp_path: Path) -> None:
    """Of such posts state lets go at some time what was done with them, and no feed has them."""
    past, day = history(10, views=True), msgspec.structs.replace(ALL, state=config.State(retention_days=1.0))
    created = {event.object: event.ts for event in past.events if event.type == "post"}
    ages = []
    for name, settings in (("all", ALL), ("day", day)):
        _, rows = made(past, settings, tmp_path / name)
        ages.append(rows.ts - [created[str(post)] for post in rows.post])
    assert sorted(ages[1]) == sorted(age for age in ages[0] if age <= DAY)
    assert max(ages[0]) > DAY


@pytest.mark.parametrize("views", [False, True])
def test_what_comes_later_changes_no_row(tmp_path: Path, views: bool) -> None:
    events = community(10, views=views)
    cut = [event for event in events if event.ts < UNTIL]
    _, whole = made(History.of(events), HALF, tmp_path / "whole")
    _, before = made(History.of(cut), HALF, tmp_path / "cut")
    assert same(whole, before)
    earlier = UNTIL - 2 * DAY
    _, early = made(History.of(events), HALF, tmp_path / "early", earlier)
    assert len(early) > 100
    assert same(early, whole.select(whole.ts < earlier - HALF.learning.horizon_hours * 3_600.0))


def test_rows_left_out_are_counted_for_by_those_kept(tmp_path: Path) -> None:
    """Everything in which something was done is kept; of the rest, as much as the rates say, and it stands for all."""
    past = history(10)
    _, every = made(past, ALL, tmp_path / "all")
    said, some = made(past, HALF, tmp_path / "some")
    assert some.engaged.sum() == every.engaged.sum()
    assert len(some) < 0.6 * len(every)
    assert some.weight.sum() == pytest.approx(len(every), rel=0.05)
    assert (some.rate[some.engaged] == 1.0).all()
    sizes = [len(part) for part in parts(tmp_path / "some", INPUTS)]
    assert sum(sizes) == said.rows
    assert len(sizes) > 1
    assert all(size >= 300 for size in sizes[:-1])
    assert not list((tmp_path / "some").glob("*.writing"))


def test_less_is_kept_of_what_stage_two_does_not_see(tmp_path: Path) -> None:
    learning = config.Learning(negative_rate=0.8, rest_rate=0.1, idle_rate=1.0)
    few = config.Feed(items=10)
    _, every = made(history(10), Settings(learning=ALL.learning, feed=few), tmp_path / "all")
    _, some = made(history(10), Settings(learning=learning, feed=few), tmp_path / "some")
    nothing = ~some.done.any(axis=1)
    assert (some.rate[nothing & some.picked] == np.float32(0.8)).all()
    assert (some.rate[nothing & ~some.picked] == np.float32(0.1)).all()
    assert np.count_nonzero(nothing & ~some.picked) > 100
    assert some.weight.sum() == pytest.approx(len(every), rel=0.1)


def test_what_was_drawn_to_explore_has_its_propensity(tmp_path: Path) -> None:
    events = community(5, views=True)
    at = next(at for at, event in enumerate(events) if event.type == "view")
    view = events[at]
    shown = view.attrs["objects"]
    sent = Event("s", "serve", view.ts, view.actor, None, {"objects": shown[:2], "propensities": [0.25, 0.5]})
    _, rows = made(History.of([*events[:at], sent, *events[at:]]), ALL, tmp_path, START + 4 * DAY)
    ours = (rows.viewer == view.actor) & (rows.ts < view.ts) & (rows.ts > view.ts - 60)
    by_post = dict(zip(rows.post[ours].tolist(), rows.propensity[ours].tolist(), strict=True))
    assert by_post == {post: {shown[0]: 0.25, shown[1]: 0.5}.get(post, 1.0) for post in shown}
    assert (rows.propensity[~ours] == 1.0).all()
    assert rows.weight[ours].sum() == len(shown) - 2 + 4 + 2


def test_spans_side_by_side_give_the_rows_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past = history(7, viewers=6)
    monkeypatch.setattr(spans, "LEAST", 10)
    monkeypatch.setattr(spans, "PIECE", 7)
    until = START + 6 * DAY
    one = make(past, HALF, until, tmp_path / "one")
    two = make(past, HALF, until, tmp_path / "two", processes=2)
    assert one == two
    assert same(read(tmp_path / "one", INPUTS), read(tmp_path / "two", INPUTS))
    assert len(list((tmp_path / "two").glob("*.parquet"))) >= 2


def test_what_cannot_be_learnt_from_is_said(tmp_path: Path) -> None:
    past = history(4, viewers=2)
    with pytest.raises(ModelError, match="no login in the 1825 days before"):
        make(past, HALF, START, tmp_path)
    idle = History.of(event for event in past.events if event.type != "like")
    with pytest.raises(ModelError, match="nothing was done in the 6 hours after any login"):
        make(idle, ALL, START + 4 * DAY, tmp_path / "idle")
    make(past, HALF, START + 4 * DAY, tmp_path)
    with pytest.raises(ModelError, match="holds rows already, of other"):
        make(past, ALL, START + 4 * DAY, tmp_path)
    with pytest.raises(ModelError, match="other inputs"):
        read(tmp_path, INPUTS[1:])
    with pytest.raises(ModelError, match="nothing to learn from"):
        read(tmp_path / "none", INPUTS)
