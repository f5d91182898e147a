"""A git history as a social feed, on real repositories: benign, odd and hostile ones."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from feedgen.errors import ImportFailed
from feedgen.events import Event
from feedgen.importers import githistory
from feedgen.importers.gitsocial import GitSocial
from feedgen.importers.intake import Refused
from tests.importers.histories import ENVIRONMENT, Made, git, many, repository

NOW = 1_735_000_000.0
T = 1_700_000_000
PROGRAMS = [
    *("core.fsmonitor", "core.pager", "pager.log", "core.editor", "core.askPass", "core.sshCommand", "core.gitProxy"),
    *("diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.smudge", "filter.evil.clean"),
    *("gpg.program", "credential.helper", "trailer.evil.command", "uploadpack.packObjectsHook"),
    *("core.alternateRefsCommand", "alias.log", "alias.check-mailmap"),
]
"""Settings that name a program."""


def read(path: Path | str, size: int = 1_000) -> tuple[list[Event], list[Refused]]:
    with githistory.opened(str(path)) as history:
        batches = list(GitSocial(history).batches(NOW, size))
    return [event for batch in batches for event in batch.events], [one for batch in batches for one in batch.refused]


def told(events: list[Event]) -> list[tuple[str, float, str, str | None]]:
    return [(event.type, event.ts - T, event.actor, event.object) for event in events]


def test_commits_trailers_follows_and_logins(tmp_path: Path) -> None:
    message = (
        "core: do it\n\nWhy.\n\nReviewed-by: Bob <BOB@x.org>\nAcked-by: Cem <cem@x.org>\nTested-by: Bob <bob@x.org>\n"
    )
    path = repository(tmp_path / "r", [Made(message, authored_at=T, committed_at=T + 60)])
    sha = git(path, "rev-parse", "HEAD")
    events, refused = read(path)
    assert refused == []
    assert told(events) == [
        ("login", -1, "ann@example.org", None),
        ("post", 0, "ann@example.org", sha),
        ("login", 59, "bob@x.org", None),
        ("login", 59, "cem@x.org", None),
        ("follow", 60, "bob@x.org", "ann@example.org"),
        ("like", 60, "bob@x.org", sha),
        ("follow", 60, "cem@x.org", "ann@example.org"),
        ("comment", 60, "cem@x.org", sha),
        ("share", 60, "bob@x.org", sha),
    ]
    assert events[1].attrs == {"topics": ["core"], "length": 11}


def test_a_burst_ends_after_six_hours_without_an_act(tmp_path: Path) -> None:
    at = [0, 6 * 3_600, 12 * 3_600 + 1, 2 * 86_400]
    path = repository(tmp_path / "r", [Made(f"m{n}", authored_at=T + ts) for n, ts in enumerate(at)])
    assert [event.ts - T for event in read(path)[0] if event.type == "login"] == [-1, at[2] - 1, at[3] - 1]


@pytest.mark.parametrize(
    ("subject", "files", "topics"),
    [
        ("soc/intel: x", ("a/b",), ["soc/intel"]),
        ("Docs, tests: x", ("a/b",), ["docs", "tests"]),
        ("no area here", ("b/c", "a/x/y", "b/d", "top"), ["a", "b"]),
        ("see http://x", (), []),
        ("odd names", ('q\\"x/f', "\\303\\251/f", "n\\nl/f"), ["n\nl", 'q"x', "é"]),
    ],
)
def test_topics(tmp_path: Path, subject: str, files: tuple[str, ...], topics: list[str]) -> None:
    [_, post] = read(repository(tmp_path / "r", [Made(subject, files=files)]))[0]
    assert post.attrs["topics"] == topics


def test_people_are_addresses_by_the_mailmap_also_in_trailers(tmp_path: Path) -> None:
    trailers = "Reviewed-by: Bobby <bob@old.org>\nAcked-by: <BOB@x.org>\nTested-by: Ann <ann@old.org>"
    path = repository(tmp_path / "r", [Made(f"m\n\n{trailers}\n", author="Ann <ann@old.org>")])
    (path / ".mailmap").write_text("Ann <Ann@x.org> <ann@old.org>\nBob <bob@x.org> <bob@old.org>\n")
    assert Counter((event.type, event.actor) for event in read(path)[0] if event.type != "login") == {
        ("post", "ann@x.org"): 1,
        ("like", "bob@x.org"): 1,
        ("comment", "bob@x.org"): 1,
        ("follow", "bob@x.org"): 1,
    }


def test_odd_people(tmp_path: Path) -> None:
    long = "x" * 200 + "@x.org"
    commits = [
        Made("one\n\nReviewed-by: nobody in particular\nAcked-by: \nTested-by: B <b@x.org> (on a Tuesday)\n"),
        Made("two", author="Only A Name <>", authored_at=T + 1),
        Made("three", author=f"L <{long}>", authored_at=T + 2),
        Made("four", author="Zukunft <z@x.org>", authored_at=int(NOW) + 100_000),
    ]
    events, refused = read(repository(tmp_path / "r", commits))
    posts = [event.actor for event in events if event.type == "post"]
    assert posts[:2] == ["ann@example.org", "only a name"]
    assert len(posts) == 3
    assert posts[2].startswith("~")
    assert ("share", "b@x.org") in {(event.type, event.actor) for event in events}
    assert [reason.partition(" in ")[0] for _, reason, _ in refused if "more than a day" not in reason] == [
        "no e-mail address",
        "no e-mail address",
    ]
    assert sum("is more than a day after now" in reason for _, reason, _ in refused) == 1
    assert all(what.startswith("commit ") for _, _, what in refused)
    assert "z@x.org" not in {event.actor for event in events}


def test_a_long_history_comes_in_order_and_a_longer_one_adds_to_it(tmp_path: Path) -> None:
    path = repository(tmp_path / "r", many(2_500))
    first, refused = read(path, size=333)
    assert refused == []
    assert [event.ts for event in first] == sorted(event.ts for event in first)
    assert len({event.id for event in first}) == len(first)
    kinds = Counter(event.type for event in first)
    assert kinds["post"] == 2_500
    pairs = {(e.actor, by) for e in first if e.type in {"like", "share"} for by in [first_author(first)[str(e.object)]]}
    assert kinds["follow"] == len(pairs)
    repository(path, many(100, first=2_500))
    second, _ = read(path)
    assert Counter(event.type for event in second)["post"] == 2_600
    acts = {event.id: event for event in first if event.type != "login" and event.type != "follow"}
    assert acts.items() <= {event.id: event for event in second}.items()
    assert read(path)[0] == second


def first_author(events: list[Event]) -> dict[str, str]:
    return {str(event.object): event.actor for event in events if event.type == "post"}


def test_bare_shallow_merged_and_in_a_subfolder(tmp_path: Path) -> None:
    path = repository(tmp_path / "r", many(50))
    git(path, "checkout", "-q", "-b", "side", "HEAD~3")
    git(path, "-c", "user.name=M", "-c", "user.email=m@x.org", "merge", "-q", "--no-ff", "-m", "Merge", "main~1")
    posts = [event.object for event in read(path)[0] if event.type == "post"]
    assert len(posts) == int(git(path, "rev-list", "--count", "HEAD")) == 50
    git(tmp_path, "clone", "-q", "--bare", str(path), "bare")
    assert read(tmp_path / "bare")[0] == read(path)[0]
    assert read(path / "dir0")[0] == read(path)[0]
    git(tmp_path, "clone", "-q", "--depth", "5", f"file://{path}", "shallow")
    assert 5 <= sum(event.type == "post" for event in read(tmp_path / "shallow")[0]) < 50


def test_what_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    (tmp_path / "torn").mkdir()
    repository(tmp_path / "torn" / "r", many(20))
    sha = git(tmp_path / "torn" / "r", "rev-parse", "HEAD~5")
    (tmp_path / "torn" / "r" / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
    monkeypatch.chdir(tmp_path)
    for name, reason in [
        ("none", "git:none: there is no such folder"),
        ("-x", "git:-x: there is no such folder"),
        ("plain", "git:plain: is no git repository"),
        ("empty", "git:empty: has no commits yet"),
        ("torn/r", "git:torn/r: "),
    ]:
        with pytest.raises(ImportFailed) as refusal:
            read(name)
        assert str(refusal.value).startswith(reason)
        assert "\n" not in str(refusal.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportFailed, match="git is not installed"):
        read("empty")


def test_a_path_is_never_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "--output=x", [Made("m")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert len(read("--output=x")[0]) == 2
    assert os.listdir(tmp_path) == ["--output=x"]


def test_nothing_of_the_repository_is_executed_and_nothing_written(tmp_path: Path) -> None:
    path = repository(tmp_path / "r", [Made("m\n\nReviewed-by: B <b@x.org>\n", files=("d/f.x",))])
    (trap := tmp_path / "trap").write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/sprung\n")
    trap.chmod(0o755)
    (path / ".gitattributes").write_text("* diff=evil filter=evil\n")
    for key in PROGRAMS:
        git(path, "config", key, f"!{trap}" if key.startswith("alias") else str(trap))
    git(path, "config", "log.showSignature", "true")
    git(path, "config", "diff.orderFile", "/nowhere")
    for name in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        hook = path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(trap.read_text())
        hook.chmod(0o755)
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    assert len(read(path)[0]) == 5
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    assert not (tmp_path / "sprung").exists()
    subprocess.run(["git", "status"], cwd=path, env=ENVIRONMENT, capture_output=True, check=False)
    assert (tmp_path / "sprung").exists(), "the trap is none"
