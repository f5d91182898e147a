"""Which commands make a data folder: those that fill one. The others say what to do about a name that is not there."""

from pathlib import Path

import pytest

from tests.conftest import Feedgen

SPAN = ("--train-until", "2024-12-01", "--until", "2025-01-01")
VERSION = "20240101T000000-00000000"
READERS = {
    "generate": ("generate", "--all"),
    "explain": ("explain", "ann"),
    "status": ("status",),
    "train": ("train",),
    "train on a file": ("train", "e.jsonl"),
    "refresh": ("train", "e.jsonl", "--refresh"),
    "evaluate": ("evaluate", *SPAN),
    "evaluate a version": ("evaluate", "e.jsonl", *SPAN, "--version", VERSION),
    "replay a version": ("replay", "e.jsonl", *SPAN, "--version", VERSION),
    "models list": ("models", "list"),
    "models promote": ("models", "promote", VERSION),
    "models roll-back": ("models", "roll-back"),
}
EVENT = '{"id": "1", "type": "login", "ts": 1733000000, "actor": "ann"}\n'


@pytest.mark.parametrize("args", READERS.values(), ids=READERS)
@pytest.mark.parametrize("data", [("--data", "mistyped"), ()], ids=["named", "default"])
def test_who_only_reads_or_adds_makes_no_folder(
    feedgen: Feedgen, tmp_path: Path, args: tuple[str, ...], data: tuple[str, ...]
) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    folder = data[-1] if data else ".forefeed"
    status, out, err = feedgen(*args, *data)
    assert (status, out) == (1, "")
    assert err == f"feedgen: no event log in {folder}; fill one with: feedgen import SOURCE --data {folder}\n"
    assert not (tmp_path / folder).exists()


def test_an_import_makes_one(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    assert feedgen("import", "e.jsonl", "--data", "new/folder")[0] == 0
    assert (tmp_path / "new" / "folder").is_dir()
    assert feedgen("models", "list", "--data", "new/folder")[0] == 0
