"""`feedgen models`: what a person is told."""

import json
from pathlib import Path

from feedgen.models.registry import Registry
from tests.conftest import Feedgen
from tests.models.small import known, model


def test_list_promote_and_roll_back(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / ".forefeed").mkdir()
    assert json.loads(feedgen("models", "list")[1]) == {"promoted": None, "before": [], "versions": []}
    registry = Registry(tmp_path / ".forefeed" / "models")
    name, other = registry.add(model()), registry.add(model(4))
    status, out, err = feedgen("models", "promote", name)
    assert (status, json.loads(out), err) == (0, {"promoted": name, "before": []}, "")
    assert json.loads(feedgen("models", "promote", other)[1]) == {"promoted": other, "before": [name]}
    told = {version["name"]: version for version in json.loads(feedgen("models", "list")[1])["versions"]}
    assert [told[one]["promoted"] for one in (name, other)] == [False, True]
    assert told[name]["inputs"] == len(known())
    assert told[name]["metrics"]["like"]["positives"] > 100
    assert "refused" not in told[name]
    assert json.loads(feedgen("models", "roll-back")[1]) == {"promoted": name, "before": []}


def test_what_cannot_be_done_is_one_clear_line(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / ".forefeed").mkdir()
    status, _, err = feedgen("models", "roll-back")
    assert (status, err) == (1, "feedgen: no version is promoted; there is nothing to roll back\n")
    status, _, err = feedgen("models", "promote", "20240101T000000-00000000")
    assert status == 1
    assert err.startswith("feedgen: 20240101T000000-00000000: there is no such version in ")
    registry = Registry(tmp_path / ".forefeed" / "models")
    name = registry.add(model())
    other_settings = tmp_path / "other.yaml"
    other_settings.write_text("ranking: {freshness_hours: 13.0}")
    status, _, err = feedgen("models", "promote", name, "--config", "other.yaml")
    assert status == 1
    assert err == f"feedgen: {name} is of inputs that are computed otherwise now: freshness; train a new one\n"
    version = json.loads(feedgen("models", "list", "--config", "other.yaml")[1])["versions"][0]
    assert "freshness" in version["refused"]
