"""The generation benchmark, small: it runs whole, with peers that make feeds of the same posts, or a reason."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from feedgen.config import load
from feedgen.ranking.heads import configured
from loadtest.crowd import draw
from loadtest.generate_bench import YARDSTICK


def test_everyone_follows_as_many_others_each_once() -> None:
    crowd = draw(viewers=30, followees=12, posts_each=2.0, likes_each=1, seen_each=3, seed=5)
    for viewer, authors in enumerate(crowd.followees.tolist()):
        assert len({*authors} - {viewer}) == 12
    assert len(crowd.author) == 60
    assert np.array_equal(crowd.likes, draw(30, 12, 2.0, 1, 3, 5).likes)


def test_it_measures_us_and_who_is_here(tmp_path: Path) -> None:
    kept = tmp_path / "generate.json"
    command = ["generate", "--viewers", "40", "--viewers", "60", "--followees", "10", "--posts-each", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *command, "--rounds", "1", "--seconds", "0.1", "--json", str(kept)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads(kept.read_text())
    assert [size["viewers"] for size in figures["sizes"]] == [40, 60]
    for name in ("ours", "ships"):
        grown = figures["growth"][name]
        assert grown["sizes"] == [40, 60]
        assert len(grown["median"]) == len(grown["least"]) == 2
        assert grown["median"][0] == grown["least"][0] == 1.0
        assert grown["median"][1] > 0
        assert f"60  {name} " in done.stderr
    wanted = {
        "feeds_per_s",
        "us_per_feed",
        "candidates_per_feed",
        "bytes_per_follow",
        "bytes_per_post",
        "bytes_per_feed",
    }
    assert wanted <= set(figures["ours"])
    assert wanted <= set(figures["ships"])
    items = figures["ours"]["items_per_feed"]
    assert 0 < items <= figures["ships"]["items_per_feed"]
    for name in ("sql", "redis"):
        peer = figures[name]
        assert peer.get("skipped") or peer["feeds_per_s"] > 0
        assert peer.get("skipped") or peer["items_per_feed"] == items


def test_the_yardstick_is_a_configuration_with_three_heads_over_every_feature() -> None:
    settings = load(YARDSTICK)
    heads = configured(settings.ranking)
    assert heads.actions == ("like", "comment", "hide")
    assert (heads.weights != 0.0).all()
    assert settings.feed.items == settings.selection.fetch_cap == 500


def test_reading_beside_generation_is_measured(tmp_path: Path) -> None:
    kept = tmp_path / "beside.json"
    command = ["beside", "--viewers", "40", "--resident", "100", "--rate", "200", "--seconds", "0.5", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *command, "--json", str(kept)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads(kept.read_text())
    for part in ("idle", "generating"):
        assert figures[part]["answered"] > 0
        assert figures[part]["failed"] == 0
    assert figures["feeds_per_s_meanwhile"] > 0
