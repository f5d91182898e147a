"""Which commands make a data folder: those that fill one. The others say what to do about a name that is not there,
and it helps: tests/learning/test_commands.py trains in a folder that was made so."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Feedgen

SPAN = ("--train-until", "2024-12-01", "--until", "2025-01-01")
VERSION = "20240101T000000-00000000"
OF_THE_LOG = {
    "generate": ("generate", "--all"),
    "explain": ("explain", "ann"),
    "status": ("status",),
    "train": ("train",),
    "refresh": ("train", "--refresh"),
    "evaluate": ("evaluate", *SPAN),
    "evaluate a version": ("evaluate", *SPAN, "--version", VERSION),
}
OF_THE_MODELS = {
    "train on a file": ("train", "e.jsonl"),
    "refresh on a file": ("train", "e.jsonl", "--refresh"),
    "evaluate a version on a file": ("evaluate", "e.jsonl", *SPAN, "--version", VERSION),
    "replay a version": ("replay", "e.jsonl", *SPAN, "--version", VERSION),
    "models list": ("models", "list"),
    "models promote": ("models", "promote", VERSION),
    "models roll-back": ("models", "roll-back"),
}
EVENT = '{"id": "1", "type": "login", "ts": 1733000000, "actor": "ann"}\n'


FOLDERS = pytest.mark.parametrize(("folder", "data"), [("mis/typed it", ("--data", "mis/typed it")), (".forefeed", ())])


@pytest.mark.parametrize("args", OF_THE_LOG.values(), ids=OF_THE_LOG)
@FOLDERS
def test_who_only_reads_the_log_or_adds_to_it_makes_no_folder(
    feedgen: Feedgen, tmp_path: Path, args: tuple[str, ...], folder: str, data: tuple[str, ...]
) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    status, out, err = feedgen(*args, *data)
    assert (status, out) == (1, "")
    named = shlex.quote(folder)
    assert err == f"feedgen: no event log in {folder}; fill one with: feedgen import SOURCE --data {named}\n"
    assert [*tmp_path.iterdir()] == [tmp_path / "e.jsonl"]


@pytest.mark.parametrize("args", OF_THE_MODELS.values(), ids=OF_THE_MODELS)
@FOLDERS
def test_nor_does_who_wants_the_models_and_doing_what_is_advised_takes_it_further(
    feedgen: Feedgen, tmp_path: Path, args: tuple[str, ...], folder: str, data: tuple[str, ...]
) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    status, out, err = feedgen(*args, *data)
    assert (status, out) == (1, "")
    reason, _, advice = err.rstrip().partition("; name yours with --data, or make it: ")
    assert reason == f"feedgen: no data folder {folder} for models"
    assert [*tmp_path.iterdir()] == [tmp_path / "e.jsonl"]
    subprocess.run(shlex.split(advice), cwd=tmp_path, check=True)
    assert "no data folder" not in feedgen(*args, *data)[2]


def test_an_import_makes_one(feedgen: Feedgen, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    assert feedgen("import", "e.jsonl", "--data", "new/folder")[0] == 0
    assert (tmp_path / "new" / "folder").is_dir()
    assert feedgen("models", "list", "--data", "new/folder")[0] == 0
