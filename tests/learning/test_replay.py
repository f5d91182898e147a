"""The replay: it knows nothing later than the login, gives what serving gives, and is scored as the check scores it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from feedgen import config
from feedgen.config import Settings
from feedgen.events import Event
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.learning.history import History
from feedgen.learning.judging import summary
from feedgen.learning.player import Player
from feedgen.learning.replay import Scorer, ranking_by, replay
from feedgen.learning.teaching import teach
from feedgen.models.model import Model
from tests.learning.communities import DAY, START, community

CHECK = Path(__file__).parents[2] / ".." / "shared" / "check" / "rank_eval.py"
BEGIN, UNTIL = START + 8 * DAY, START + 11 * DAY
DATES = ("2022-01-16", "2022-01-19")
"""The same."""
SETTINGS = Settings(learning=config.Learning(negative_rate=0.5))
SCORERS: tuple[Scorer, ...] = ("formula", "linear", "trees", "stacked")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return community(12)


@pytest.fixture(scope="module")
def model(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Learnt from before BEGIN."""
    folder = tmp_path_factory.mktemp("rows")
    return teach(History.of(events), SETTINGS, BEGIN, folder, scorer="stacked").model


def lines(path: Path) -> list[dict[str, Any]]:
    raw = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()]


@pytest.mark.parametrize("scorer", SCORERS)
def test_cutting_the_log_off_changes_no_line_before(
    events: list[Event], model: Model, tmp_path: Path, scorer: Scorer
) -> None:
    cut_at = BEGIN + 1.7 * DAY
    cut = [event for event in events if event.ts < cut_at]
    settings = ranking_by(SETTINGS, scorer)
    replay(History.of(events), settings, BEGIN, UNTIL, model=model, dump=tmp_path / "whole")
    replay(History.of(cut), settings, BEGIN, UNTIL, model=model, dump=tmp_path / "cut")
    whole, before = lines(tmp_path / "whole"), lines(tmp_path / "cut")
    assert [line for line in whole if line["ts"] < cut_at] == before
    assert len(whole) > len(before) > 10
    assert [(line["viewer"], line["ts"]) for line in whole] == [
        (event.actor, event.ts) for event in events if event.type == "login" and BEGIN <= event.ts < UNTIL
    ]


def test_a_model_knows_nothing_of_what_came_later(events: list[Event], model: Model, tmp_path: Path) -> None:
    cut = History.of(event for event in events if event.ts < BEGIN)
    assert teach(cut, SETTINGS, BEGIN, tmp_path, scorer="stacked").model.name == model.name


def test_each_scorer_gives_an_order_of_its_own(events: list[Event], model: Model, tmp_path: Path) -> None:
    past, orders = History.of(events), set()
    for scorer in SCORERS:
        found = replay(past, ranking_by(SETTINGS, scorer), BEGIN, BEGIN + DAY, model=model, dump=tmp_path / scorer)
        assert found.judged.stood_in == 0
        orders.add((tmp_path / scorer).read_bytes())
        for line in lines(tmp_path / scorer):
            assert sorted(line["items"]) == sorted(line["items_ranked"])
            assert line["scores"] == sorted(line["scores"], reverse=True)
            assert len(line["scores"]) == len(line["items"])
    assert len(orders) == len(SCORERS)


def test_it_gives_the_feeds_that_serving_gives(events: list[Event], tmp_path: Path) -> None:
    past = History.of(events)
    replay(past, ranking_by(SETTINGS, "formula"), BEGIN, BEGIN + DAY, dump=tmp_path / "d")
    player, dumped = Player(past, SETTINGS), lines(tmp_path / "d")
    for login, line in zip(player.stops(past.logins(BEGIN, BEGIN + DAY)), dumped, strict=True):
        made = player.pipeline.generate([login.name], login.ts)[0]
        assert isinstance(made, Bulk)
        assert [item.item_id for item in FeedMap(made)] == line["items"]


def test_events_of_the_moment_count_where_they_lie_before_the_login(tmp_path: Path) -> None:
    """Of one second: a post before the login in the log may be shown, one behind it may not."""
    events = [
        Event("1", "follow", START, "v", "a"),
        Event("2", "post", START + 5, "a", "p1"),
        Event("3", "login", START + 5, "v"),
        Event("4", "post", START + 5, "a", "p2"),
        Event("5", "login", START + 5.5, "v"),
    ]
    replay(History.of(events), ranking_by(SETTINGS, "formula"), START, START + 9, dump=tmp_path / "d.gz")
    first, second = lines(tmp_path / "d.gz")
    assert (first["ts"], first["items"]) == (START + 5, ["p1"])
    assert (second["ts"], sorted(second["items"])) == (START + 5.5, ["p1", "p2"])
    assert [path.name for path in tmp_path.iterdir()] == ["d.gz"]


@pytest.mark.skipif(not CHECK.exists(), reason="the shared check is not here")
def test_the_independent_check_agrees(events: list[Event], tmp_path: Path) -> None:
    def plain(event: Event) -> dict[str, Any]:
        told = {"id": event.id, "type": event.type, "ts": event.ts, "actor": event.actor, "attrs": event.attrs}
        return told if event.object is None else {**told, "object": event.object}

    with gzip.open(tmp_path / "e.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(plain(event)) + "\n" for event in events)
    found = replay(History.of(events), ranking_by(SETTINGS, "formula"), BEGIN, UNTIL, dump=tmp_path / "d.jsonl")
    ours = summary(found.judged)["open"]
    assert isinstance(ours, dict)
    command = [sys.executable, str(CHECK), str(tmp_path / "e.jsonl.gz"), *DATES, str(tmp_path / "d.jsonl")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"queries {ours['queries']} missing 0" in said
    for name, label in (("ndcg_at_20", "NDCG@20"), ("recall_at_20", "recall@20"), ("mrr", "MRR")):
        assert float(said.split(f"{label} ")[1].split()[0]) == pytest.approx(ours["ranked"][name]["mean"], abs=1e-4)
