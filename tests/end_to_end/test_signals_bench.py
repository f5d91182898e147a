"""The benchmark of the signals, small: it runs whole, and a second stage costs something."""

import json
import subprocess
import sys

from feedgen.ranking.signals import NAMES


def test_it_measures_the_signals_and_both_kinds_of_feed() -> None:
    command = ["signals", "--viewers", "64", "--followees", "20", "--posts-each", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *command], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["signals_of_each"] == len(NAMES)
    assert 0 < figures["authors"] < figures["posts"] <= 500
    spent = figures["us"]
    assert 0 < spent["likeness"] < spent["signals"]
    assert spent["feed_one_stage"] < spent["feed_two_stages"]
