"""Work over the logins of a period, cut into spans of time that processes do side by side: each plays its own state."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from feedgen.errors import ForefeedError

LEAST: Final = 500
"""Logins below which a process of its own is not worth its start: it folds all that came before."""
_SAY_EVERY: Final = 20

Work = Callable[[Any, Sequence[int], Callable[[], None]], Any]
"""(what is shared, logins by place, to be called after each) → a result; a module's function, as it is sent by name."""


class WorkerFailed(ForefeedError):
    """A process of a replay ended before its work."""


def cut(places: Sequence[int], spans: int) -> list[Sequence[int]]:
    """The logins in at most so many spans of about equal length, none of them short without need. O(1)."""
    spans = max(1, min(spans, len(places) // LEAST))
    edges = [len(places) * number // spans for number in range(spans + 1)]
    return [places[first:last] for first, last in pairwise(edges)]


def each_span(
    work: Work, shared: Any, places: Sequence[int], processes: int, on_progress: Callable[[int, int], None]
) -> list[Any]:
    """`work` of every span, in order. One span is done in this process, several in spawned ones that end with it.

    `on_progress` gets how many logins of how many are done. Raises what a span raises, WorkerFailed if it just ended.
    """
    spans, done = cut(places, processes), [0]

    def one_more() -> None:
        done[0] += 1
        if done[0] % _SAY_EVERY == 0:
            on_progress(done[0], len(places))

    if len(spans) == 1:
        return [work(shared, spans[0], one_more)]
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in spans]
    workers = [
        context.Process(target=_span, args=(work, shared, span, sending), daemon=True)
        for span, (_, sending) in zip(spans, pipes, strict=True)
    ]
    try:
        for worker, (_, sending) in zip(workers, pipes, strict=True):
            worker.start()
            sending.close()
        return _results([receiving for receiving, _ in pipes], lambda count: on_progress(count, len(places)))
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()
        for receiving, _ in pipes:
            receiving.close()


def _results(pipes: Sequence[Connection], on_progress: Callable[[int], None]) -> list[Any]:
    results: dict[Connection, Any] = {}
    done = dict.fromkeys(pipes, 0)
    while open_ := [pipe for pipe in pipes if pipe not in results]:
        for pipe in wait(open_):
            assert isinstance(pipe, Connection)
            try:
                kind, value = pipe.recv()
            except EOFError:
                raise WorkerFailed("a process of the replay was ended from outside (out of memory?)") from None
            if kind == "failed":
                raise value
            if kind == "result":
                results[pipe] = value
            else:
                done[pipe] = value
        on_progress(sum(done.values()))
    return [results[pipe] for pipe in pipes]


def _span(work: Work, shared: Any, places: Sequence[int], pipe: Connection) -> None:
    """What a spawned process does. Ctrl-C is the parent's to answer; if the parent is gone, so is the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = [0]

    def one_more() -> None:
        done[0] += 1
        if done[0] % _SAY_EVERY == 0:
            pipe.send(("progress", done[0]))

    with suppress(BrokenPipeError):
        try:
            message: tuple[str, Any] = ("result", work(shared, places, one_more))
        except BrokenPipeError:
            raise
        except ForefeedError as error:
            message = ("failed", error)
        except Exception:
            message = ("failed", WorkerFailed(f"a process of the replay failed: {traceback.format_exc(limit=-3)}"))
        pipe.send(message)
