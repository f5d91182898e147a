"""A server that goes on learning: the same log teaches the same, nothing later is known, and a restart goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec.structs import replace as changed

from feedgen.commands.modelled import Modelled
from feedgen.config import Models, Settings
from feedgen.events import Event, from_object
from feedgen.learning.live import LiveLearner
from feedgen.models.registry import Registry
from feedgen.models.scorers import StackedScorer
from tests.models.small import known, model
from tests.worlds import DAY, HOUR, NOW, Story

SETTINGS = Settings(models=Models(scorer="stacked", learn_views=100))


def world(views: bool = True) -> Story:
    told = Story(SETTINGS)
    for number in range(8):
        told.tell(f"a{number}", "post", f"p{number}", days=0.1 * number + 0.1)
        for viewer in ("v", "w"):
            told.tell(viewer, "follow", f"a{number}", days=9)
    if views:  # else a log that is read one event after the other does not say so at its first login
        told.tell("v", "view", days=0.01, objects=["p7"])
    return told


def later(told: Story, views: bool = True) -> list[tuple[int, Event]]:
    """Two visits: `v` likes the first of what is shown, `w` nothing; and somebody comes a day later."""
    shown = [f"p{number}" for number in range(4)]
    rows: list[tuple[str, str, float, dict[str, object]]] = []
    for viewer in ("v", "w"):
        rows.append(("login", viewer, NOW + 1, {}))
        if views:
            rows.append(("view", viewer, NOW + 2, {"attrs": {"objects": shown}}))
    rows.append(("like", "v", NOW + HOUR, {"object": "p0"}))
    rows.append(("comment", "v", NOW + 9 * HOUR, {"object": "p1"}))  # past the horizon
    rows.append(("login", "v", NOW + DAY, {}))
    first = told.state.watermark + 1
    return [
        (first + at, from_object({"id": f"x{at}", "type": kind, "actor": actor, "ts": ts, **more}, NOW + 2 * DAY))
        for at, (kind, actor, ts, more) in enumerate(rows)
    ]


def learner(told: Story) -> LiveLearner:
    stacked = model().stacked
    assert stacked is not None
    return LiveLearner(told.pipeline, told.state, model(), SETTINGS, stacked)


def test_what_was_shown_is_learnt_from_once_its_outcome_is_known() -> None:
    told, found = world(), learner(world())
    batch = later(told)
    assert not found.take(batch[:-2])
    assert found.take(batch[-2:])
    assert found.learnt == 8
    assert found.stacked.offset == batch[-1][0]
    stacked = model().stacked
    assert stacked is not None
    assert not np.array_equal(found.stacked.z, stacked.z)


def test_the_same_log_teaches_the_same_however_it_is_cut() -> None:
    told = world()
    batch = later(told)
    whole, cut = learner(world()), learner(world())
    whole.take(batch)
    for one in batch:
        cut.take([one])
    cut.take(batch)  # again: what it has learnt from, it knows
    assert whole.learnt == cut.learnt == 8
    assert np.array_equal(whole.stacked.z, cut.stacked.z)
    assert np.array_equal(whole.stacked.n, cut.stacked.n)


def test_without_views_the_candidates_of_a_login_are_what_was_shown() -> None:
    told = world(views=False)
    found = learner(world(views=False))
    found.take(later(told, views=False))
    assert found.learnt >= 1  # the liked post at least; of the others a share
    assert found.learnt < 16


def test_what_is_foreseen_moves_towards_what_happens(tmp_path: Path) -> None:
    """Through the commands' part: taken up, taught, published, kept, and gone on from after a restart."""
    registry = Registry(tmp_path / "models")
    name = registry.add(model())
    registry.promote(name, known())
    said: list[str] = []
    told = world()
    modelled = Modelled(SETTINGS, tmp_path, told.pipeline, told.state, said.append)
    modelled.look()
    assert said == [f"feedgen: model {name} ranks"]
    assert modelled.until == model().meta.until
    before = told.pipeline.ranker.line_up.versions[0].stage_two
    batch = later(told)
    modelled.learn(batch)
    told.state.fold(batch)
    modelled._step()
    after = told.pipeline.ranker.line_up.versions[0].stage_two
    assert isinstance(before, StackedScorer)
    assert isinstance(after, StackedScorer)
    assert not np.array_equal(before._weights, after._weights)
    assert (modelled.learnt, modelled.offset) == (8, batch[-1][0])
    modelled.save()
    kept = registry.stacked(name)
    assert kept is not None
    assert kept.offset == batch[-1][0]
    again = Modelled(SETTINGS, tmp_path, told.pipeline, told.state, said.append)
    again.look()
    taken_up = told.pipeline.ranker.line_up.versions[0].stage_two
    assert isinstance(taken_up, StackedScorer)
    assert np.array_equal(taken_up._weights, after._weights)
    (tmp_path / "models" / f"{name}.learnt.npz").write_bytes(b"nothing")
    Modelled(SETTINGS, tmp_path, told.pipeline, told.state, said.append).look()
    assert "is broken" in said[-2]
    assert replace(told.pipeline.ranker.line_up, missing=True).versions[0].name == name


def test_with_learning_off_nothing_is_learnt(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.promote(registry.add(model()), known())
    told = world()
    off = changed(SETTINGS, models=Models(learn_views=0))
    modelled = Modelled(off, tmp_path, told.pipeline, told.state, lambda _: None)
    modelled.look()
    modelled.learn(later(told))
    assert (modelled.learnt, modelled.offset) == (0, 0)
