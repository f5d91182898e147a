"""What one process of a replay does: the feeds of pieces of a period written down as lines, and judged."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from feedgen.config import Settings
from feedgen.learning.dataset import Outcomes, RowMaker
from feedgen.learning.evaluation import Foreseer
from feedgen.learning.history import History
from feedgen.learning.judging import Judge, Judged
from feedgen.learning.kept import Done
from feedgen.learning.online import Online
from feedgen.learning.player import Login, Player
from feedgen.learning.spans import Piece
from feedgen.models.actions import values_of
from feedgen.models.lining import version_of
from feedgen.models.model import Model
from feedgen.models.ranker import LineUp
from feedgen.ondisk import put_whole
from feedgen.shortlist import Shortlist

LINES: Final = ".lines"
"""How the files of lines end."""


@dataclass(frozen=True)
class Task:
    """What is replayed, see replay.replay. `folder`: where lines are put, `packed` with gzip or not."""

    history: History
    settings: Settings
    model: Model | None
    foresee: bool
    begin: float
    folder: Path | None = None
    packed: bool = False

    @property
    def learns(self) -> bool:
        """Whether the model goes on learning from every login."""
        return self.settings.models.scorer == "stacked" and self.model is not None and self.model.stacked is not None


class Lines:
    """Lines of the dump: one a login."""

    def __init__(self, player: Player) -> None:
        self._posts = player.state.post_ids
        self._encoder = msgspec.json.Encoder()

    def line(self, login: Login, feed: Shortlist) -> bytes:
        """O(items)."""
        ts = int(login.ts) if login.ts == int(login.ts) else login.ts
        fields = {
            "viewer": login.name,
            "ts": ts,
            "items_ranked": self._posts.names_of(feed.order),
            "scores": [float(f"{score:.7g}") for score in feed.scores.tolist()],
            "items": self._posts.names_of(feed.posts),
        }
        return self._encoder.encode(fields) + b"\n"


class Replayer:
    """Does pieces in the order of time. What each gives: what was Judged, and Foreseen where that is asked for."""

    def __init__(self, task: Task) -> None:
        self._task = task
        settings, model = task.settings, task.model
        self._player = player = Player(task.history, settings)
        outcomes = Outcomes.of(task.history, task.begin, inf, settings.learning.horizon_hours)
        maker = RowMaker(player, outcomes, settings.learning)
        self._judge = Judge(task.history, player.state, outcomes, values_of(settings))
        self._lines = Lines(player)
        self._online = Online(player, model, settings, maker) if model is not None and task.learns else None
        if model is not None and self._online is None and settings.models.scorer != "formula":
            player.pipeline.ranker.line_up = LineUp((version_of(model, settings),))
        self._foreseer = None
        if model is not None and task.foresee:
            weights = None if self._online is None else self._online.weights
            self._foreseer = Foreseer(player, maker, model, settings.models.scorer, weights, settings.learning.seed)

    def __call__(self, places: Piece, one_more: Callable[[], None]) -> Done:
        """See spans.Work."""
        judged = self._judge.judged = Judged()
        failed = self._failed()
        lines, files = self._played(places, one_more), []
        if self._task.folder is None:
            for _ in lines:
                pass
        else:
            files.append(self._task.folder / f"part-{places[0]:012d}{LINES}")
            put_whole(files[0], _packed(lines) if self._task.packed else b"".join(lines))
        judged.stood_in = self._failed() - failed
        return Done((judged, () if self._foreseer is None else self._foreseer.take()), files)

    def _played(self, places: Piece, one_more: Callable[[], None]) -> Iterator[bytes]:
        for login in self._player.stops(places):
            if self._online is not None:
                self._online.advance(login.ts)
            feed = self._player.pipeline.shortlist(login.viewer, login.ts)
            self._judge.judge(login, feed)
            if self._foreseer is not None:
                self._foreseer.foresee(login, feed)
            if self._online is not None:
                self._online.note(login, feed)
            yield self._lines.line(login, feed)
            one_more()

    def _failed(self) -> int:
        """Logins so far at which something else than the model had to rank."""
        counted = self._player.pipeline.ranker.counted
        return sum(count for name, count in counted.items() if name.startswith("failed_"))


def _packed(lines: Iterable[bytes]) -> bytes:
    """As gzip, the same whenever it is made."""
    return gzip.compress(b"".join(lines), 4, mtime=0)
