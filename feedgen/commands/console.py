"""What a command says to people, on stderr: one-line messages and progress. Data goes to stdout and nowhere else."""

import errno
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

MESSAGE_MAX: Final = 200
_BAR_AFTER_S: Final = 2.0
_LINE_EVERY_S: Final = 10.0


def one_line(text: str, limit: int | None = None) -> str:
    """`text` without control characters (escaped) and cut at `limit` characters, so that it stays one harmless line."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def to_stderr(message: str) -> None:
    """One line for people. Nobody listening is no error."""
    with suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()


def put_json(data: dict[str, Any]) -> None:
    """One JSON object on stdout, one line. Raises OSError when stdout is closed or full."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    try:
        sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
        sys.stdout.flush()
    except OSError as error:
        raise OSError(error.errno, f"standard output: {error.strerror}") from None


class Terminated(Exception):
    """SIGTERM ended the command."""


@contextmanager
def terminable() -> Iterator[None]:
    """Within, SIGTERM is raised as Terminated: what was begun is cleaned up. For commands without an event loop."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Reporter:
    """Messages and the progress of one long piece of work.

    On a terminal a bar appears once the work takes longer than 2 s; elsewhere there is a line every 10 s at most.
    """

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`title` says what is being done. `clock`: seconds, monotonic."""
        self._title = title
        self._clock = clock
        self._console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._started = self._said = clock()

    def say(self, message: str) -> None:
        """One line, above the bar if there is one."""
        if self._bar is None:
            to_stderr(message)
        else:
            self._console.print(message)

    def progress(self, done: float, total: float | None, text: str) -> None:
        """The work stands at `done` of `total` (None: not known); `text` is what people read."""
        now = self._clock()
        if self._console.is_terminal:
            if now - self._started >= _BAR_AFTER_S:
                self._show(done, total, text)
        elif now - self._said >= _LINE_EVERY_S:
            self._said = now
            self.say(f"{self._title}: {text}")

    def _show(self, done: float, total: float | None, text: str) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Progress(
                *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console, transient=True
            )
            self._bar.add_task(self._title, total=total, text=text)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, text=text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
