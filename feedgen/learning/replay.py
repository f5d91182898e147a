"""The feed that every login of a past period would have got: written down, and judged by what the viewers then did."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import IO, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.learning.dataset import Outcomes
from feedgen.learning.history import History
from feedgen.learning.judging import Judge, Judged
from feedgen.learning.player import Login, Player
from feedgen.learning.spans import each_span
from feedgen.models.actions import values_of
from feedgen.pipeline import Ranked

_GZIP: Final = ".gz"


@dataclass(frozen=True)
class _Task:
    history: History
    settings: Settings
    folder: Path | None
    packed: bool


def ranked_order(ranked: Ranked) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The feed as it was before diversity, best first: posts and scores. O(n); copies."""
    posts, scores = np.empty_like(ranked.posts), np.empty_like(ranked.scores)
    posts[ranked.diverse.order], scores[ranked.diverse.order] = ranked.posts, ranked.scores
    return posts, scores


class Lines:
    """Lines of the dump: one a login."""

    def __init__(self, player: Player) -> None:
        self._names = player.state.post_ids.names
        self._encoder = msgspec.json.Encoder()

    def line(self, login: Login, ranked: Ranked) -> bytes:
        """O(items)."""
        posts, scores = ranked_order(ranked)
        names = self._names
        ts = int(login.ts) if login.ts == int(login.ts) else login.ts
        fields = {
            "viewer": login.name,
            "ts": ts,
            "items_ranked": [names[post] for post in posts.tolist()],
            "scores": [round(score, 6) for score in scores.tolist()],
            "items": [names[post] for post in ranked.posts.tolist()],
        }
        return self._encoder.encode(fields) + b"\n"


def replay(
    history: History,
    settings: Settings,
    begin: float,
    until: float,
    *,
    dump: Path | None = None,
    processes: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Judged:
    """What every login in [begin, until) would have got; a line each, by time, in `dump` (gzip if it is called so).

    The file is there once all is done, or not at all. About 15 ms a login. Raises WorkerFailed, OSError.
    """
    places = history.logins(begin, until)
    if dump is None:
        spans = each_span(_replay_span, _Task(history, settings, None, False), places, processes, on_progress)
    else:
        with TemporaryDirectory(dir=dump.parent, prefix=f".{dump.name}-") as folder:
            task = _Task(history, settings, Path(folder), dump.suffix == _GZIP)
            spans = each_span(_replay_span, task, places, processes, on_progress)
            whole = Path(folder) / "whole"
            with whole.open("wb") as file:
                for part in sorted(Path(folder).glob("part-*")):
                    with part.open("rb") as opened:
                        copyfileobj(opened, file)  # gzip files one after the other are a gzip file
            whole.replace(dump)
    judged = spans[0]
    for later in spans[1:]:
        judged.extend(later)
    return cast(Judged, judged)


def _replay_span(task: _Task, places: Sequence[int], one_more: Callable[[], None]) -> Judged:
    player = Player(task.history, task.settings)
    outcomes = Outcomes.of(task.history, inf, task.settings.learning.horizon_hours)
    judge = Judge(task.history, player.state, outcomes, values_of(task.settings))

    def lines() -> Iterable[bytes]:
        written = Lines(player)
        for login in player.stops(places):
            ranked = player.pipeline.rank(login.viewer, login.ts)
            judge.judge(login, ranked, ranked_order(ranked)[0])
            yield written.line(login, ranked)
            one_more()

    if task.folder is None:
        for _ in lines():
            pass
    else:
        with _part(task.folder, task.packed, places[0]) as file:
            file.writelines(lines())
    return judge.judged


@contextmanager
def _part(folder: Path, packed: bool, first: int) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with (folder / f"part-{first:012d}").open("wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile("", "wb", 4, file, mtime=0) as zipped:
            yield zipped
