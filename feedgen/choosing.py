"""Candidates of viewers by the compiled kernels: state's columns in, the best by stage one and their features out.

Several threads may choose at once; each has its own scratch.
"""

import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.kernels.columns import Columns, Decays, PeopleColumns, PostColumns, Rules, Shared, Viewers
from feedgen.kernels.filters import FILTERS
from feedgen.kernels.marks import Marks
from feedgen.kernels.packing import Source
from feedgen.kernels.scoring import Picked, Scoring
from feedgen.kernels.selecting import Tally, select
from feedgen.kernels.sources import SOURCES
from feedgen.kernels.taste import WIDTH
from feedgen.ranking.exact import ln, ln1p
from feedgen.ranking.heads import Heads
from feedgen.selection.epoch import Epoch
from feedgen.selection.taste import rarity
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.engagement import UNIT
from feedgen.state.state import State, weights_by_kind

_NOBODYS: Final = -2
"""A language that no post is in."""
_HALF_LIVES: Final = 100.0
"""After so many nothing is left of an engagement, whatever it weighs."""
_DAY_S: Final = 86_400.0
_FADING_HOURS: Final = 24 * 366


class _Scratch(threading.local):
    """Marks by post and user of one thread, all clean between batches."""

    def __init__(self) -> None:
        self._marks = _marks(0, 0, 0)

    def marks(self, posts: int, users: int, topics: int) -> Marks:
        """For at least so many of each. O(1) unless they have grown much."""
        marks = self._marks
        if posts > len(marks.post) or users > len(marks.near) or topics * WIDTH > len(marks.cell):
            marks = self._marks = _marks(posts + posts // 4, users + users // 4, 2 * topics)
        return marks


def _marks(posts: int, users: int, topics: int) -> Marks:
    return Marks(
        post=np.zeros(posts, np.uint8),
        place=np.zeros(posts, np.int32),
        near=np.zeros(users, np.uint8),
        slot=np.full(users, -1, np.int32),
        cell=np.full(topics * WIDTH, -1, np.int32),
    )


class Chooser:
    """Chooses for viewers given by dense index."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._scratch = _Scratch()
        self._columns: tuple[Epoch, Columns] | None = None

    def marks(self) -> Marks:
        """The scratch of this thread, as large as the state is now."""
        state = self._state
        return self._scratch.marks(len(state.post_ids), len(state.users), len(state.topic_names))

    def forget(self) -> None:
        """After a kernel that stopped half-way, for want of memory, and left its marks behind."""
        self._scratch = _Scratch()

    def choose(self, viewers: NDArray[np.int64], heads: Heads, epoch: Epoch, now: float, into: Picked) -> Tally:
        """Fill `into` with the best candidates by `heads`, as many as it has room for; what was counted on the way.

        Call `forget` if it raises.
        """
        tally = Tally(np.zeros(len(SOURCES), np.int64), np.zeros(len(FILTERS), np.int64), np.zeros(2, np.int64))
        columns, rules = self.columns_at(epoch), self._rules(now)
        scoring = self._scoring(heads, into.posts.shape[1])
        select(columns, self.marks(), rules, self._viewers(viewers, now), scoring, into, tally)
        return tally

    def source(self, epoch: Epoch) -> Source:
        """What records are written from."""
        posts, people = self.columns_at(epoch).posts, self.columns_at(epoch).people
        return Source(posts.author, posts.created, posts.media, posts.names, people.names)

    def columns_at(self, epoch: Epoch) -> Columns:
        """The same for all batches of an epoch. Two threads may both put them together, and get the same."""
        known = self._columns
        if known is None or known[0] is not epoch:
            known = self._columns = (epoch, self._columns_of(epoch))
        return known[1]

    def _columns_of(self, epoch: Epoch) -> Columns:
        state, ranking = self._state, self._settings.ranking
        posts, about = state.posts, state.about_posts
        followees, since, barred = state.graph.spans
        rare, alive = rarity(about.posts_about)
        weights = weights_by_kind(ranking)
        days = (ranking.affinity_short_days, ranking.affinity_mid_days, ranking.affinity_long_days)
        return Columns(
            PostColumns(
                author=posts.author,
                created=posts.created,
                deleted=posts.deleted,
                withheld=posts.withheld,
                language=about.language,
                min_age=about.min_age,
                sensitive=about.sensitive,
                media=about.media,
                topic_at=about.topics[0],
                topic_count=about.topics[1],
                topics=about.topics[2],
                names=state.post_ids.encoded,
            ),
            PeopleColumns(
                recent=posts.recent,
                followees=followees,
                since=since,
                barred=barred,
                hidden=state.impressions.hidden,
                engaged=state.engagement.by_viewer,
                viewed=state.impressions.seen.spans,
                names=state.users.encoded,
            ),
            state.engagement.by_post,
            Shared(
                *(epoch.popularity, epoch.engaged, epoch.viewed, epoch.pool, len(epoch.trending)),
                *(epoch.author_rate, ln(epoch.author_rate), ln1p(epoch.followers)),
                *(rare, alive),
            ),
            Decays(
                *(epoch.hour, weights, _fading(tuple(weights.tolist()), max(1, min(epoch.hour + 1, _FADING_HOURS)))),
                *(_left(span * 24, int(min(epoch.hour + 2, _HALF_LIVES * span * 24 + 2))) for span in days),
            ),
        )

    def _rules(self, now: float) -> Rules:
        limits, ranking, state = self._settings.selection, self._settings.ranking, self._settings.state
        common = self._state.languages.find(limits.common_language)
        return Rules(
            now=float(now),
            oldest=float(now - state.retention_days * _DAY_S),
            viewed_since=self._state.impressions.seen.since(now),
            viewed_most=state.seen_per_viewer,
            new_cap=limits.new_cap,
            new_followee_cap=limits.new_followee_cap,
            new_followee_oldest=float(now - limits.new_followee_days * _DAY_S),
            grown_cap=limits.grown_cap,
            grown_min=limits.grown_min,
            grown_times=float(limits.grown_times),
            interest_cap=limits.interest_cap,
            trending_cap=limits.trending_cap,
            fetch_cap=limits.fetch_cap,
            adult_age=limits.adult_age,
            common_language=_NOBODYS if common is None else common,
            posts_per_day=self._settings.spam.posts_per_day,
            fresh_s=float(ranking.freshness_hours * SECONDS_PER_HOUR),
            recent_s=float(ranking.recency_hours * SECONDS_PER_HOUR),
        )

    def _scoring(self, heads: Heads, items: int) -> Scoring:
        settings = self._settings
        return Scoring(
            *(heads.weights, heads.bias, heads.values, heads.squashed),
            penalty=float(settings.spam.penalty),
            items=items,
        )

    def _viewers(self, viewers: NDArray[np.int64], now: float) -> Viewers:
        about, year = self._state.about_users, datetime.fromtimestamp(now, UTC).year
        each = viewers.tolist()
        born = [about.birth_year(viewer) for viewer in each]
        return Viewers(
            viewers,
            np.array([self._state.logins.last(viewer) for viewer in each]),
            np.array([0 if one is None else max(0, year - one) for one in born], np.int64),
            np.array([one is not None for one in born]),
            np.array([about.language(viewer) for viewer in each], np.int64),
        )


@lru_cache(maxsize=16)
def _left(half_life_hours: float, hours: int) -> NDArray[np.float64]:
    """2^(−age / half-life) by age in hours. Kept: it takes two milliseconds. Not to be changed."""
    left: NDArray[np.float64] = np.exp2(-np.arange(hours) / half_life_hours)
    return left


@lru_cache(maxsize=16)
def _fading(weights: tuple[float, ...], hours: int) -> NDArray[np.int64]:
    """UNIT × weight / (age + 1), by kind and age in hours. Not to be changed."""
    by_age = 1.0 / (np.arange(hours, dtype=np.float64) + 1.0)
    found: NDArray[np.int64] = np.rint(np.array(weights)[:, None] * by_age * UNIT).astype(np.int64)
    return found
