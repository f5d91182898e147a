"""The file of a network: every event back, the same bytes each time, whole or not at all."""

import gzip
from pathlib import Path

import pytest

from feedgen.events import decode_json
from feedgen.synthetic import Network, write_jsonl


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_the_file_holds_every_event_in_order(small: Network, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_jsonl(small, path) == len(small)
    data = path.read_bytes()
    lines = (gzip.decompress(data) if name.endswith(".gz") else data).splitlines(keepends=True)
    assert all(line.endswith(b"}\n") for line in lines)
    read = [decode_json(line, float(small.spec.end)) for line in lines]
    assert read == list(small.events())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_same_network_gives_the_same_bytes_under_any_name(small: Network, tmp_path: Path, suffix: str) -> None:
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    write_jsonl(small, one)
    write_jsonl(small, other)
    assert one.read_bytes() == other.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, other]


def test_a_line_has_the_shape_of_the_design(small: Network, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_jsonl(small, path)
    lines = path.read_text().splitlines()
    follow = next(line for line in lines if '"type":"follow"' in line)
    login = next(line for line in lines if '"type":"login"' in line)
    assert follow.startswith('{"id":"e')
    assert follow.endswith('"attrs":{}}')
    assert '"object":"u' in follow
    assert '"object"' not in login


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_write_that_breaks_off_leaves_what_was_there(small: Network, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    path.write_bytes(b"before")

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(small, path, stop)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_os_error(small: Network, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_jsonl(small, tmp_path / "nowhere" / "events.jsonl")
