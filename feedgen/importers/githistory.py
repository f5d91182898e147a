"""The commits of a git repository, read from `git log` as a stream. Nothing of the repository is executed.

A foreign repository's configuration can name programs (hooks, a file system monitor, diff and text conversion drivers,
signature checkers, ways to fetch what is missing); all that `git log` could run is switched off.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import IO, Final, NamedTuple

from feedgen.errors import ImportFailed

_SAFE: Final = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false"),
    *("-c", "diff.orderFile=/dev/null", "-c", "core.attributesFile=/dev/null", "--no-pager"),
)
_LOG: Final = (
    *("log", "-z", "--name-only", "--use-mailmap", "--encoding=UTF-8", "--no-show-signature", "--no-ext-diff"),
    *("--no-textconv", "--no-renames", "--no-relative", "--no-color", "--no-notes", "--no-decorate"),
    *("--diff-merges=off", "--ignore-submodules=all"),
)
# A record begins with an empty field, which no file name is; its fields and then the names end with NUL.
_TRAILERS: Final = "%(trailers:key=Reviewed-by,key=Acked-by,key=Tested-by,unfold,separator=%x01)"
_FIELDS: Final = ("%at", "%ct", "%aN <%aE>", "%s", _TRAILERS)
_FORMAT: Final = "tformat:%x00%H%x00" + "%x00".join(_FIELDS)

_READ_BYTES: Final = 1 << 18
_CONTACT: Final = re.compile(r"([^<>]*)<\s*([^<>\s]+)\s*>")
_TOPS_MAX: Final = 64


class Commit(NamedTuple):
    """A commit. Times in s; `author` is "Name <address>" by the mailmap; `tops`: directories at the top it changes."""

    sha: str
    authored_at: float
    committed_at: float
    author: str
    subject: str
    trailers: list[str]
    tops: list[str]


class History:
    """The commits behind HEAD of the repository at a path, newest first. Use `opened`."""

    def __init__(self, path: str, errors: IO[bytes], running: ExitStack) -> None:
        """Starts git, whose complaints go to `errors`, and which ends with `running`. Raises OSError."""
        self._path = path
        self._errors = errors
        self._running = running
        self._log = self._start(*_LOG, f"--format={_FORMAT}", "--")
        self._mailmap = self._start("check-mailmap", "--stdin", stdin=subprocess.PIPE)
        self._mapped: dict[str, str | None] = {}

    def _start(self, *args: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        # By cwd and not by -C, and no shell: no path can be taken for an option or a command.
        process = subprocess.Popen(
            ["git", *_SAFE, *args],
            cwd=self._path,
            env=_environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._running.callback(_end, process)
        return process

    def commits(self) -> Iterator[Commit]:
        """Every commit, merges too. Holds one. Raises ImportFailed when git does."""
        fields = self._fields()
        next(fields, None)
        while (sha := next(fields, None)) is not None:
            head = [field.decode("utf-8", "replace") for field in islice(fields, len(_FIELDS))]
            tops: dict[bytes, None] = {}
            for name in iter(lambda: next(fields, b""), b""):
                top, below, _ = name.removeprefix(b"\n").partition(b"/")
                if below and len(tops) < _TOPS_MAX:
                    tops[top] = None
            if len(head) < len(_FIELDS):
                break
            authored, committed, author, subject, trailers = head
            yield Commit(
                sha=sha.decode(),
                authored_at=float(authored),
                committed_at=float(committed),
                author=author,
                subject=subject,
                trailers=[trailer for trailer in trailers.split("\1") if trailer],
                tops=[top.decode("utf-8", "replace") for top in tops],
            )
        if self._log.wait() != 0:
            raise ImportFailed(f"git:{self._path}: {self._complaint()}")

    def _fields(self) -> Iterator[bytes]:
        assert self._log.stdout is not None
        rest: list[bytes] = []
        while chunk := self._log.stdout.read(_READ_BYTES):
            first, *others = chunk.split(b"\0")
            rest.append(first)
            for other in others:
                yield b"".join(rest)
                rest = [other]

    def contact(self, text: str) -> str | None:
        """The "Name <address>" that begins `text`, by the mailmap. None if there is none. Asked of git once each."""
        if text not in self._mapped:
            found = _CONTACT.match(text)
            self._mapped[text] = None if found is None else self._asked(f"{found[1].strip() or found[2]} <{found[2]}>")
        return self._mapped[text]

    def _asked(self, contact: str) -> str:
        assert self._mailmap.stdin is not None
        assert self._mailmap.stdout is not None
        try:
            self._mailmap.stdin.write(contact.encode() + b"\n")
            self._mailmap.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._mailmap.stdout.readline()
        if not answer:
            raise ImportFailed(f"git:{self._path}: {self._complaint()}")
        return answer.decode("utf-8", "replace").rstrip("\n")

    def _complaint(self) -> str:
        self._errors.seek(0)
        said = " ".join(self._errors.read(4_096).decode("utf-8", "replace").split()).removeprefix("fatal: ")
        if "not a git repository" in said:
            return "is no git repository"
        if "does not have any commits yet" in said:
            return "has no commits yet"
        return said or "git broke off without a word"


@contextmanager
def opened(path: str) -> Iterator[History]:
    """The history of the repository at `path`, bare or not. Raises ImportFailed."""
    if not os.path.isdir(path):
        raise ImportFailed(f"git:{path}: there is no such folder")
    if shutil.which("git") is None:
        raise ImportFailed("git is not installed (no git on PATH)")
    with tempfile.TemporaryFile() as errors, ExitStack() as running:
        try:
            history = History(path, errors, running)
        except OSError as error:
            raise ImportFailed(f"git:{path}: {error.strerror or error}") from None
        yield history


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _environment() -> dict[str, str]:
    """Ours without what would point git to another repository; no fetching of missing objects, no prompts."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith("GIT_CONFIG_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
