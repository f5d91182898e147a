"""train, replay and evaluate as a person runs them: a version in the registry, a dump, a report; and clear refusals."""

import json
from pathlib import Path

import pytest

from feedgen.events import Event
from tests.conftest import Feedgen
from tests.learning.communities import DAY, START, community

BEGIN, UNTIL = str(START + 8 * DAY), str(START + 10 * DAY)
SPAN = ("--train-until", BEGIN, "--until", UNTIL)


def write(path: Path, events: list[Event]) -> None:
    plain = (
        {"id": e.id, "type": e.type, "ts": e.ts, "actor": e.actor, "object": e.object, "attrs": e.attrs} for e in events
    )
    lines = [json.dumps({key: value for key, value in each.items() if value is not None}) for each in plain]
    path.write_text("\n".join(lines) + "\n")


def test_a_version_is_trained_and_judged(feedgen: Feedgen, tmp_path: Path) -> None:
    write(tmp_path / "e.jsonl", community(10))
    (tmp_path / "config.yaml").write_text("learning:\n  negative_rate: 0.5\n")
    (tmp_path / "d").mkdir()
    status, out, err = feedgen("train", "e.jsonl", "--until", BEGIN, "--data", "d", "--scorer", "trees", "--promote")
    assert status == 0, err
    assert "unseen candidates" in err
    trained = json.loads(out)
    status, out, err = feedgen(
        *("evaluate", "e.jsonl", *SPAN, "--scorer", "trees", "--version", trained["version"], "--data", "d"),
        *("--json", "r.json", "--html", "r.html", "--plots", "p"),
    )
    assert (status, out) == (0, ""), err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["version"] == trained["version"]
    assert report["all"]["ranked"]["ndcg_at_20"]["mean"] > report["all"]["newest"]["ndcg_at_20"]["mean"] > 0
    assert report["actions"]["like"]["auc"]["mean"] > 0.7
    assert report["actions"]["hide"]["positives"] == 0
    assert "lost to diversity" in err
    page = (tmp_path / "r.html").read_text()
    assert page.count("<table>") > 5
    assert page.count("data:image/png;base64,") == 2
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"orders.png", "calibration.png"}
    status, out, err = feedgen("replay", "e.jsonl", "--train-until", str(START + 7 * DAY), "--until", UNTIL,
                               "--version", trained["version"], "--data", "d")  # fmt: skip
    assert (status, out) == (1, "")
    assert "has learnt from what came after --train-until" in err


def test_the_log_of_a_data_folder_is_replayed_as_its_file_is(feedgen: Feedgen, tmp_path: Path) -> None:
    write(tmp_path / "e.jsonl", community(10, viewers=4))
    assert feedgen("import", "e.jsonl", "--data", "d")[0] == 0
    of_file = feedgen("evaluate", "e.jsonl", *SPAN, "--scorer", "formula")
    of_log = feedgen("evaluate", *SPAN, "--scorer", "formula", "--data", "d")
    assert of_file[0] == of_log[0] == 0
    first, second = (json.loads(said[1]) for said in (of_file, of_log))
    for answer in (first, second):
        answer.pop("seconds")
    assert first == second
    assert first["stood_in"] == 0


@pytest.mark.parametrize(
    ("args", "status", "reason"),
    [
        (("replay", "none.jsonl", *SPAN), 1, "none.jsonl: no such file"),
        (("replay", "e.jsonl", "--train-until", "9", "--until", "9"), 2, "--until must be later than --train-until"),
        (("replay", "e.jsonl", "--train-until", "2030-01-01", "--until", "2031-01-01"), 1, "no login between"),
        (("replay", "e.jsonl", *SPAN, "--scorer", "best"), 2, "is no scorer"),
        (("replay", "empty.jsonl", *SPAN), 1, "there are no events"),
        (("replay", "e.jsonl", *SPAN, "--scorer", "trees"), 1, "too few to learn from"),
        (("evaluate", "e.jsonl", *SPAN, "--scorer", "formula", "--html", "no/page"), 2, "no: no such folder; make it"),
        (("evaluate", "e.jsonl", *SPAN, "--scorer", "formula", "--json", "mine.work"), 2, "mine.work is a folder"),
        (("evaluate", "e.jsonl", *SPAN, "--scorer", "formula", "--plots", "e.jsonl"), 2, "'e.jsonl' is a file"),
        (("train", "e.jsonl", "--scorer", "formula"), 1, "not learnt"),
        (("train", "--data", "d"), 1, "no event log in d"),
        (("train", "e.jsonl", "--data", "empty.jsonl"), 1, "empty.jsonl is not a folder; --data names"),
        (("train", "e.jsonl", "--rows", "empty.jsonl"), 2, "'empty.jsonl' is a file"),
        (("replay", "e.jsonl", *SPAN, "--scorer", "formula", "--dump", "no/such/file"), 2, "no/such: no such folder"),
        (("replay", "e.jsonl", *SPAN, "--scorer", "formula", "--dump", "/dev/null"), 1, "/dev/null is no file"),
        (("replay", "e.jsonl", *SPAN, "--scorer", "formula", "--dump", "mine"), 1, "mine.work is in the way"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    feedgen: Feedgen, tmp_path: Path, args: tuple[str, ...], status: int, reason: str
) -> None:
    write(tmp_path / "e.jsonl", community(10, viewers=1, authors=2))
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "mine.work").mkdir()
    (tmp_path / "mine.work" / "novel.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = feedgen(*args)
    assert (code, out) == (status, ""), err
    assert reason in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before
