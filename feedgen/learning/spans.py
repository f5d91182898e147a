"""Work over the logins of a period, in pieces that several processes do side by side: each plays its own state."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from feedgen.errors import ForefeedError

PIECE: Final = 250
"""Logins of a piece: what each process loses, at most, of a job that is cut off."""
LEAST: Final = 500
"""Logins below which a process of its own is not worth its start: it folds all that came before."""
_SAY_EVERY: Final = 20

Piece = Sequence[int]
"""Logins by place, ascending."""
Work = Callable[[Piece, Callable[[], None]], Any]
"""(logins, to be called after each) → a result. It is given pieces in ascending order, not all of them."""
Begin = Callable[[Any], Work]
"""From what all processes share to the work of one; a module's function, as it is sent by name."""


class WorkerFailed(ForefeedError):
    """A process of a replay ended before its work."""


def cut(places: Sequence[int]) -> list[Piece]:
    """The logins in pieces, the same however many processes there are. O(1)."""
    return [places[first : first + PIECE] for first in range(0, len(places), PIECE)]


def each_piece(
    begin: Begin,
    shared: Any,
    pieces: Sequence[Piece],
    processes: int,
    on_result: Callable[[int, Any], None],
    on_progress: Callable[[int], None],
) -> None:
    """Do all pieces; `on_result` gets the number and the result of each as it ends, in any order.

    In this process, or, if they are many, in spawned ones that end with it. `on_progress` gets the logins done so far.
    Raises what a piece raises, WorkerFailed if a process just ended.
    """
    processes = min(processes, sum(map(len, pieces)) // LEAST, len(pieces))
    if processes <= 1:
        done = [0]
        work = begin(shared)
        for number, piece in enumerate(pieces):
            on_result(number, work(piece, _counting(done, on_progress)))
        return
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(processes)]
    workers = [context.Process(target=_serve, args=(begin, shared, pieces, theirs), daemon=True) for _, theirs in pipes]
    try:
        for worker, (_, theirs) in zip(workers, pipes, strict=True):
            worker.start()
            theirs.close()
        _hand_out([ours for ours, _ in pipes], len(pieces), on_result, on_progress)
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()
        for ours, _ in pipes:
            ours.close()


def _counting(done: list[int], on_progress: Callable[[int], None]) -> Callable[[], None]:
    def one_more() -> None:
        done[0] += 1
        if done[0] % _SAY_EVERY == 0:
            on_progress(done[0])

    return one_more


class Shares:
    """Who does which pieces: each process a run of its own, and when that is done, half of what another has left.

    A state is played forward only, so nobody is given a piece before one that it has done.
    """

    def __init__(self, pieces: int, processes: int) -> None:
        edges = [pieces * number // processes for number in range(processes + 1)]
        self._left = [[first, end] for first, end in pairwise(edges)]
        self._at = [-1] * processes

    def next_of(self, who: int) -> int | None:
        """The piece that this process is to do now; None where nothing is left for it. O(processes)."""
        if self._left[who][0] == self._left[who][1]:
            ahead = [each for each in self._left if each[0] > self._at[who] and each[1] > each[0]]
            if not ahead:
                return None
            most = max(ahead, key=lambda each: each[1] - each[0])
            middle = sum(most) // 2
            self._left[who], most[1] = [middle, most[1]], middle
        self._at[who] = self._left[who][0]
        self._left[who][0] += 1
        return self._at[who]


def _hand_out(
    pipes: "Sequence[Connection[Any, Any]]",
    pieces: int,
    on_result: Callable[[int, Any], None],
    on_progress: Callable[[int], None],
) -> None:
    shares, done = Shares(pieces, len(pipes)), [0] * len(pipes)
    busy = {pipe: who for who, pipe in enumerate(pipes)}
    for pipe, who in busy.items():
        pipe.send(shares.next_of(who))
    while busy:
        ready = wait(list(busy))
        for pipe in [pipe for pipe in busy if pipe in ready]:
            try:
                kind, value = pipe.recv()
            except EOFError:
                raise WorkerFailed("a process of the replay was ended from outside (out of memory?)") from None
            if kind == "failed":
                raise value
            if kind == "progress":
                done[busy[pipe]] = value
                continue
            on_result(*value)
            following = shares.next_of(busy[pipe])
            pipe.send(following)
            if following is None:
                del busy[pipe]
        on_progress(sum(done))


def _serve(begin: Begin, shared: Any, pieces: Sequence[Piece], pipe: "Connection[Any, Any]") -> None:
    """What a spawned process does. Ctrl-C is the parent's to answer; if the parent is gone, so is the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_more = _counting([0], lambda count: pipe.send(("progress", count)))
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):
        try:
            work = begin(shared)
            while (number := pipe.recv()) is not None:
                pipe.send(("result", (number, work(pieces[number], one_more))))
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise
        except (ForefeedError, OSError) as error:
            pipe.send(("failed", error))
        except Exception:
            pipe.send(("failed", WorkerFailed(f"a process of the replay failed: {traceback.format_exc(limit=-3)}")))
