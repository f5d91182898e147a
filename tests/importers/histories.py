"""Git repositories made for tests, by `git fast-import`: thousands of commits in a moment."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


class Made(NamedTuple):
    """A commit to make. Times in s."""

    message: str
    author: str = "Ann <Ann@Example.org>"
    authored_at: int = 1_700_000_000
    committed_at: int = 1_700_000_000
    files: tuple[str, ...] = ()


def git(path: Path, *args: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *args], cwd=path, input=stdin, capture_output=True, env=ENVIRONMENT, check=True)
    return done.stdout.decode("utf-8", "replace").strip()


def repository(path: Path, commits: Iterable[Made]) -> Path:
    """A repository at `path` (made if there is none) with these commits on top of what it has."""
    if not path.exists():
        path.mkdir(parents=True)
        git(path, "init", "-q", "-b", "main")
    told: list[bytes] = []
    for number, commit in enumerate(commits):
        message = commit.message.encode()
        told += [
            b"commit refs/heads/main",
            f"author {commit.author} {commit.authored_at} +0000".encode(),
            f"committer Committer <c@example.org> {commit.committed_at} +0000".encode(),
            b"data %d" % len(message),
            message,
        ]
        if number == 0 and git(path, "for-each-ref", "refs/heads/main"):
            told.append(b"from refs/heads/main^0")
        for file in commit.files:
            told += [b'M 644 inline "%s"' % file.encode(), b"data 1", b"%d" % (number % 10)]
    git(path, "fast-import", "--quiet", stdin=b"\n".join(told) + b"\n")
    git(path, "reset", "-q", "--hard")
    return path


def many(count: int, first: int = 0) -> list[Made]:
    """`count` commits by 40 people who review each other, authored out of order."""
    return [
        Made(
            message=f"area{n % 5}: change {n}\n\nText.\n\nReviewed-by: P{n * 7 % 41} <p{n * 7 % 41}@x.org>\n"
            f"Tested-by: P{n % 13} <P{n % 13}@X.org>\n",
            author=f"P{n % 40} <p{n % 40}@x.org>",
            authored_at=1_600_000_000 + n * 900 - n * 7919 % 200_000,
            committed_at=1_600_000_000 + n * 900,
            files=(f"dir{n % 3}/f",),
        )
        for n in range(first, first + count)
    ]
