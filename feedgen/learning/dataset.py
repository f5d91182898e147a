"""Training rows by replay: at each login what could be shown, as the models read it, and what came of it.

Where the log says what was shown (`view` events, else `serve`), the rows are those impressions. Where it does not, they
are the candidates of the login: what the viewer did not touch counts as passed over, though it may not have been seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Learning, Settings
from feedgen.errors import ModelError
from feedgen.learning.deeds import Deed, Deeds
from feedgen.learning.history import History
from feedgen.learning.kept import Done, Kept, each_kept, job_of
from feedgen.learning.player import Login, Player
from feedgen.learning.spans import Piece
from feedgen.ranking.dataset import ACTIONS, Rows, joined, need_parquet, write
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS
from feedgen.shortlist import Shortlist

_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
_ACTIVE_DAYS: Final = 30.0
IMPRESSIONS: Final = "impressions"
CANDIDATES: Final = "unseen candidates"


@dataclass(frozen=True)
class Outcomes:
    """What came of logins, in a history up to some moment; `shown` is None where it does not say what was shown."""

    done: Deeds
    shown: Deeds | None
    sent: Deeds
    logins: Deeds
    horizon_s: float

    @classmethod
    def of(cls, history: History, known: float, until: float, horizon_hours: float) -> "Outcomes":
        """What came before `until` (s). Whether the log says what was shown is asked of what came before `known` (s):
        what a log says later changes nothing earlier. O(events).
        """
        kind = shown_by(history, known)
        return cls(
            Deeds(history, ACTIONS, until),
            None if kind is None else Deeds(history, (kind,), until),
            Deeds(history, ("view", "serve"), until),
            Deeds(history, ("login",), until),
            horizon_hours * _HOUR_S,
        )

    def after(self, login: Login) -> dict[str, set[str]]:
        """Posts and what the viewer did with each within the horizon."""
        found: dict[str, set[str]] = {}
        for deed in self.done.after(login.name, login.place, login.ts + self.horizon_s):
            found.setdefault(deed.posts[0], set()).add(deed.kind)
        return found

    def came(self, login: Login) -> int:
        """How often the viewer logged in in the last 30 days, this login included. O(log logins)."""
        return self.logins.between(login.name, login.ts - _ACTIVE_DAYS * _DAY_S, login.place)

    def seen(self, login: Login) -> list[str]:
        """Posts shown to the viewer between this login and the next, within the horizon."""
        if self.shown is None:
            return []
        return list(dict.fromkeys(post for deed in self._of_visit(self.shown, login) for post in deed.posts))

    def propensities(self, login: Login) -> dict[str, float]:
        """Of what was shown or sent in that time: how likely it was to stand where it did, where the log says so."""
        visit = self._of_visit(self.sent, login)
        return {post: chance for deed in visit for post, chance in zip(deed.posts, deed.propensities, strict=False)}

    def _of_visit(self, deeds: Deeds, login: Login) -> list[Deed]:
        until = login.ts + self.horizon_s
        following = self.logins.after(login.name, login.place, until)
        end = following[0].place if following else inf
        return [deed for deed in deeds.after(login.name, login.place, until) if deed.place < end]


def shown_by(history: History, until: float) -> str | None:
    """The type of the events that say what was shown, before `until` (s); None where nothing does. O(events)."""
    return next((kind for kind in ("view", "serve") if history.has(kind, until)), None)


def kind_of(history: History, until: float) -> str:
    """What rows of the time before `until` (s) are: said wherever they are used. O(events)."""
    return CANDIDATES if shown_by(history, until) is None else IMPRESSIONS


class RowMaker:
    """Rows of logins. The same login gives the same rows, whatever is asked beside it."""

    def __init__(self, player: Player, outcomes: Outcomes, learning: Learning) -> None:
        self._state = player.state
        self.outcomes = outcomes
        self._learning = learning
        self._inputs = player.inputs

    def wanted(self, login: Login, rng: np.random.Generator) -> bool:
        """Whether the login is learnt from: all are after which something was done, and a share of the others."""
        return bool(self.outcomes.after(login)) or bool(rng.random() < self._learning.idle_rate)

    def rows(self, login: Login, feed: Shortlist, rng: np.random.Generator, login_rate: float | None = None) -> Rows:
        """The rows of a login that had the chance `login_rate` to be asked for (if not said: that of `wanted`).

        Draws go by place in the feed, not by dense index: how posts are numbered depends on where playing began.
        O(candidates); the inputs are what costs.
        """
        after = self.outcomes.after(login)
        if login_rate is None:
            login_rate = 1.0 if after else self._learning.idle_rate
        done = {self._state.post_ids.find(post): kinds for post, kinds in after.items()}
        if self.outcomes.shown is None:
            near, far = feed.posts, feed.considered[len(feed.posts) :]
            near_share = self._learning.negative_rate
            of_near = self._sampled(near, done, near_share, rng)
            of_far = self._sampled(far, done, self._learning.rest_rate, rng)
        else:
            seen = self._known(login)
            near = np.concatenate((feed.posts, seen[~np.isin(seen, feed.posts)]))
            far, near_share = np.empty(0, np.int32), self._learning.shown_rate
            of_near = self._sampled(near, done, near_share, rng) & np.isin(near, seen)
            of_far = np.empty(0, np.bool_)
        posts = np.concatenate((near[of_near], far[of_far]))
        inputs = self._inputs_of(feed, posts, near, of_near)
        acted = _acted(posts, done)
        posts_said, users = self._state.post_ids.names_of(posts), self._state.users
        picked = np.arange(len(posts)) < np.count_nonzero(of_near)
        share = np.where(picked, near_share, self._learning.rest_rate)
        rate = np.where(acted.any(axis=1), 1.0, share * login_rate)
        return Rows(
            names=INPUTS,
            viewer=np.full(len(posts), login.name),
            ts=np.full(len(posts), login.ts),
            post=np.array(posts_said, np.str_),
            author=np.array(users.names_of(self._state.posts.author[posts]), np.str_),
            inputs=inputs,
            done=acted,
            rate=rate.astype(np.float32),
            propensity=self._propensities(login, posts_said),
            picked=picked,
        )

    def _inputs_of(
        self, feed: Shortlist, posts: NDArray[np.int32], near: NDArray[np.int32], kept: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """float32 (posts, INPUTS). `posts`: those of `near` that are `kept`, which have signals, then others."""
        inputs = np.full((len(posts), len(INPUTS)), np.nan, np.float32)
        known = np.isin(posts, feed.considered)
        by_post = np.argsort(feed.considered)
        place = by_post[np.searchsorted(feed.considered[by_post], posts[known])]
        inputs[known, : len(FEATURES)] = feed.features[place]
        if not known.all():
            inputs[~known, : len(FEATURES)] = self._inputs.features(feed.context, posts[~known])
        if kept.any():
            inputs[: np.count_nonzero(kept), len(FEATURES) :] = self._inputs.signals(feed.context, near, kept)
        return inputs

    def _propensities(self, login: Login, posts: list[str]) -> NDArray[np.float32]:
        chances = self.outcomes.propensities(login)
        return np.array([chances.get(post, 1.0) for post in posts], np.float32)

    def _known(self, login: Login) -> NDArray[np.int32]:
        """What was shown after the login, and at the login was there and could be shown: of older posts state has let
        go what was done with them."""
        found = (self._state.post_ids.find(post) for post in self.outcomes.seen(login))
        posts = np.array([post for post in found if post is not None], np.int32)
        created = self._state.posts.created[posts]
        shown = (created <= login.ts) & (created >= login.ts - self._state.posts.retention_s)
        return posts[shown & (self._state.posts.author[posts] >= 0)]

    def _sampled(
        self,
        posts: NDArray[np.int32],
        done: dict[int | None, set[str]],
        share: float,
        rng: np.random.Generator,
    ) -> NDArray[np.bool_]:
        touched = np.array([post for post in done if post is not None], np.int64)
        kept: NDArray[np.bool_] = rng.random(len(posts)) < share
        return kept | np.isin(posts, touched)


def _acted(posts: NDArray[np.int32], done: dict[int | None, set[str]]) -> NDArray[np.bool_]:
    """bool, (posts, ACTIONS)."""
    acted = np.zeros((len(posts), len(ACTIONS)), np.bool_)
    for row, post in enumerate(posts.tolist()):
        for kind in done.get(post, ()):
            acted[row, ACTIONS.index(kind)] = True
    return acted


@dataclass(frozen=True)
class Made:
    """What was written: rows, how many of them with something done, from how many logins, and of what `kind`."""

    rows: int
    done: int
    logins: int
    kind: str
    begin: float
    until: float


@dataclass(frozen=True)
class _Task:
    history: History
    settings: Settings
    folder: Path
    until: float


def make(
    history: History,
    settings: Settings,
    until: float,
    folder: Path,
    *,
    processes: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    say: Callable[[str], None] = lambda line: None,
) -> Made:
    """Rows of what came before `until` (s) and of nothing later, into `folder`, which is made where it is not there.

    A folder that holds rows of the same events, settings and sources is gone on with, and `say` is told. A login whose
    outcome is not whole by then is left out. 5 ms a login; holds the history and `chunk_rows` rows in every process.
    Raises ModelError (nothing to learn from, no pyarrow, a folder with other rows), WorkerFailed, OSError.
    """
    learning = settings.learning
    begin = until - learning.days * _DAY_S
    places = history.logins(begin, until - learning.horizon_hours * _HOUR_S)
    if not places:
        raise ModelError(f"no login in the {learning.days:g} days before the end of training: nothing to learn from")
    need_parquet()
    folder.mkdir(parents=True, exist_ok=True)
    past = History(history.events[: history.at(until)])
    kept, job = Kept(folder), job_of(past, settings, "rows", until)
    if kept.job != job and any(folder.glob("*.parquet")):
        raise ModelError(f"{folder} holds rows already, of other events, settings or sources; name another folder")
    kept.begin(job)
    each = each_kept(
        _RowWriter, _Task(past, settings, folder, until), places, tuple[int, int, int],
        processes=processes, on_progress=on_progress, kept=kept, say=say,
    )  # fmt: skip
    rows, done, logins = (sum(counts) for counts in zip(*each, strict=True))
    if not done:
        raise ModelError(f"nothing was done in the {learning.horizon_hours:g} hours after any login: nothing to learn")
    return Made(rows, done, logins, kind_of(past, until), max(begin, past.events[0].ts), until)


class _RowWriter:
    """Writes the rows of pieces. What a piece gives: rows, rows with something done, logins."""

    def __init__(self, task: _Task) -> None:
        learning = task.settings.learning
        self._folder, self._learning = task.folder, learning
        self._player = Player(task.history, task.settings)
        outcomes = Outcomes.of(task.history, task.until, task.until, learning.horizon_hours)
        self._maker = RowMaker(self._player, outcomes, learning)

    def __call__(self, places: Piece, one_more: Callable[[], None]) -> Done:
        """Parts sort by time: a piece's first login names them. Each holds `chunk_rows` or more, but for the last."""
        held: list[Rows] = []
        files: list[Path] = []
        rows, done, logins = 0, 0, 0
        for login in self._player.stops(places):
            rng = np.random.default_rng((self._learning.seed, login.place))
            if self._maker.wanted(login, rng):
                feed = self._player.pipeline.shortlist(login.viewer, login.ts)
                held.append(self._maker.rows(login, feed, rng))
                logins += 1
            if held and (login.place == places[-1] or sum(map(len, held)) >= self._learning.chunk_rows):
                part = joined(held)
                held.clear()
                if len(part):
                    files.append(self._folder / f"part-{places[0]:012d}-{rows:012d}.parquet")
                    write(part, files[-1])
                rows, done = rows + len(part), done + int(part.done.any(axis=1).sum())
            one_more()
        return Done((rows, done, logins), files)
