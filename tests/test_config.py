"""Settings: the file and the defaults say the same, and what is wrong is named by its path."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from feedgen import config
from feedgen.config import Settings, load, parse
from feedgen.errors import ConfigError

SHIPPED = Path(__file__).parents[1] / "config.yaml"
DEFAULTS: dict[str, Any] = msgspec.to_builtins(Settings())


def leaves(tree: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        found += leaves(value, f"{above}{key}.") if isinstance(value, dict) else [(above + key, value)]
    return found


LEAVES = leaves(DEFAULTS)


def at(path: str, value: Any) -> str:
    """YAML with `value` at that path and nothing else."""
    tree: Any = value
    for key in reversed(path.split(".")):
        tree = {key: tree}
    return yaml.safe_dump(tree)


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_the_shipped_file_and_the_defaults_say_the_same_key_for_key() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert leaves(shipped) == LEAVES
    assert load(SHIPPED) == Settings()


def test_every_setting_has_a_comment_with_its_meaning() -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    for path, _ in LEAVES:
        key = re.escape(path.rpartition(".")[2])
        of_key = [line for line in lines if re.match(rf"\s*{key}:", line)]
        assert of_key, path
        assert all(re.search(r"#\s*\S.{8,}", line) for line in of_key), path


def test_every_setting_can_be_given_alone() -> None:
    for path, value in LEAVES:
        assert parse(at(path, value)) == Settings()


@pytest.mark.parametrize("wrong", [[], {"a": 1}, True, None, "many"], ids=str)
def test_a_wrong_type_names_its_path(wrong: Any) -> None:
    for path, value in LEAVES:
        if type(value) is not type(wrong):
            assert f"`{path}`" in refused(at(path, wrong)), path


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf"), -1e300, 1e300])
def test_an_impossible_number_names_its_path(wrong: float) -> None:
    for path, value in LEAVES:
        if not isinstance(value, str):
            assert f"`{path}`" in refused(at(path, wrong)), path


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour: red", "unknown key `colour`"),
        ("cache: {max_byte: 5}", "unknown key `cache.max_byte`; did you mean `max_bytes`?"),
        ("feeed: {items: 5}", "unknown key `feeed`; did you mean `feed`?"),
        ("cache: 5", "`cache`"),
        ("server: {port: 65536}", "`server.port`"),
        ("server: {port: 80.5}", "`server.port`"),
        ("feed: {items: 0}", "`feed.items`"),
        ("data_dir: ''", "`data_dir`"),
        ("cache: {fresh_s: 10, stale_s: 9}", "`cache.stale_s` is less than `cache.fresh_s`"),
        ("server: {page_items: 101}", "`server.page_items` is more than `server.page_items_max`"),
        ("selection: {new_cap: 2001}", "`selection.new_cap`"),
        ("feed: {items: 2001}", "`feed.items`"),
        (
            "ranking: {heads: {like: {value: 1, weights: {charm: 2}}}}",
            "`heads.like.weights.charm`: there is no feature",
        ),
        ("ranking: {heads: {like: {weights: {topic: 2}}}}", "`ranking.heads.like`"),
        ("ranking: {heads: {like: {value: 1, weights: {topic: .inf}}}}", "`ranking.heads.like.weights.topic`"),
        ("selection: {fetch_cap: 250, new_cap: 9}\nfeed: {items: 9}", "leave nothing of `selection.fetch_cap`"),
        ("worker: {backoff_s: 31.0}", "`worker.backoff_max_s`"),
        ("feed: {items: 1}\nfeed: {items: 2}", "`feed` is given twice (line 2)"),
        ("feed:\n  items: 1\n  items: 2", "`items` is given twice (line 3)"),
        ("feed: {items", "not YAML"),
        ("feed: !!python/object:os.system {}", "not YAML"),
        ("? [a]\n: 1", "config.yaml"),
        ("{{a: 1}: 2}", "config.yaml"),
        ("[1, 2]", "config.yaml"),
        ("just text", "config.yaml"),
        ("[" * 5_000, "config.yaml"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    assert named in refused(text)


def test_a_section_with_every_key_commented_out_is_its_defaults() -> None:
    assert parse("cache:\n  # max_bytes: 5\nserver:\n") == Settings()


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("") == parse("# nothing\n") == Settings()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"data_dir: \xe9t\xe9")
    for name, reason in [("none", "no such file"), (".", "cannot be read"), ("latin", "cannot be read")]:
        with pytest.raises(ConfigError, match=reason):
            load(tmp_path / name)


def test_without_a_path_the_file_beside_us_counts_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load() == Settings()
    (tmp_path / "config.yaml").write_text("feed: {items: 7}")
    assert load().feed.items == 7
    (tmp_path / "config.yaml").write_text("feed: {itms: 7}")
    with pytest.raises(ConfigError, match=r"config\.yaml: unknown key `feed\.itms`"):
        load()


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        config.Settings().feed.items = 3  # type: ignore[misc]
