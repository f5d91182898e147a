"""Feeds of a batch of viewers by the compiled kernels: state's columns in, bulk columns out.

Between two kernels numpy takes the logarithms. Several threads may make batches at once; each has its own scratch.
"""

import threading
from datetime import UTC, datetime
from hashlib import shake_128
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.feed.ids import PackedIds
from feedgen.feed.record import Bulk, Generation
from feedgen.kernels import packing
from feedgen.kernels.columns import Columns, Decays, PeopleColumns, PostColumns, Rules, Shared, Viewers
from feedgen.kernels.features import ROWS, logs
from feedgen.kernels.filters import FILTERS
from feedgen.kernels.marks import Marks
from feedgen.kernels.mixing import Mixed, Mixing, mix
from feedgen.kernels.selecting import Selected, select
from feedgen.kernels.sources import SOURCES
from feedgen.kernels.taste import WIDTH
from feedgen.ranking.features import weights_of
from feedgen.selection.epoch import Epoch, epoch_of
from feedgen.selection.taste import rarity
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.state import State, weights_by_kind

AT_ONCE: Final = 16
"""Viewers whose candidates are held at once: their features, 16 × 2,000 × 16 floats, are 4 MB."""
_NOBODYS: Final = -2
"""A language that no post is in."""
_HALF_LIVES: Final = 100.0
"""After so many nothing is left of an engagement, whatever it weighs."""
_DAY_S: Final = 86_400.0


class Scratch(threading.local):
    """What one thread works with: marks by post and user, all clean between batches, and room for a batch."""

    def __init__(self) -> None:
        self._marks = _marks(0, 0, 0)
        self._selected: Selected | None = None
        self._mixed: Mixed | None = None

    def marks(self, posts: int, users: int, topics: int) -> Marks:
        """For at least so many of each. O(1) unless they have grown much."""
        marks = self._marks
        if posts > len(marks.post) or users > len(marks.near) or topics * WIDTH > len(marks.cell):
            marks = self._marks = _marks(posts + posts // 4, users + users // 4, 2 * topics)
        return marks

    def room(self, viewers: int, candidates: int, items: int) -> tuple[Selected, Mixed]:
        """For so many viewers, with at most so many candidates and items each."""
        if self._selected is None or self._mixed is None or len(self._selected.gathered) < viewers:
            self._selected, self._mixed = _room(max(viewers, AT_ONCE), candidates, items)
        return _of_viewers(self._selected, self._mixed, viewers)


def _marks(posts: int, users: int, topics: int) -> Marks:
    return Marks(
        post=np.zeros(posts, np.uint8),
        place=np.zeros(posts, np.int32),
        near=np.zeros(users, np.uint8),
        slot=np.full(users, -1, np.int32),
        cell=np.full(topics * WIDTH, -1, np.int32),
    )


def _room(viewers: int, candidates: int, items: int) -> tuple[Selected, Mixed]:
    most = viewers * candidates
    selected = Selected(
        bounds=np.zeros(viewers + 1, np.int64),
        posts=np.empty(most, np.int32),
        origin=np.empty(most, np.uint8),
        damped=np.empty(most, np.bool_),
        rows=np.empty((ROWS, most)),
        named=np.empty((viewers, len(SOURCES)), np.int64),
        removed=np.empty((viewers, len(FILTERS)), np.int64),
        gathered=np.empty(viewers, np.int64),
    )
    mixed = Mixed(
        counts=np.empty(viewers, np.int64),
        candidate=np.empty((viewers, items), np.int64),
        adjusted=np.empty((viewers, items)),
        explored=np.empty((viewers, items), np.bool_),
        scores=np.empty(most),
    )
    return selected, mixed


def _of_viewers(selected: Selected, mixed: Mixed, viewers: int) -> tuple[Selected, Mixed]:
    parts = (part[:viewers] for part in (selected.named, selected.removed, selected.gathered))
    shorter = Selected(selected.bounds[: viewers + 1], *selected[1:5], *parts)
    rows = slice(viewers)
    fewer = Mixed(mixed.counts[rows], mixed.candidate[rows], mixed.adjusted[rows], mixed.explored[rows], mixed.scores)
    return shorter, fewer


class BatchMaker:
    """Makes the feeds of viewers given by dense index."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._scratch = Scratch()
        self._weights = weights_of(settings.ranking)
        self._columns: tuple[Epoch, Columns] | None = None

    def make(
        self, viewers: NDArray[np.int64], epoch: Epoch, now: float
    ) -> tuple[list[Bulk | Exception], dict[str, int]]:
        """A feed each, the error for one that failed, and what was counted (Pipeline.counted). `AT_ONCE` at most."""
        try:
            return self._made(viewers, epoch, now)
        except BaseException:
            self._scratch = Scratch()  # a kernel that stops half-way, for want of memory, leaves its marks behind
            raise

    def _made(
        self, viewers: NDArray[np.int64], epoch: Epoch, now: float
    ) -> tuple[list[Bulk | Exception], dict[str, int]]:
        settings, state = self._settings, self._state
        columns, rules = self._columns_at(epoch), self._rules(now)
        marks = self._scratch.marks(len(state.post_ids), len(state.users), len(state.topic_names))
        selected, mixed = self._scratch.room(len(viewers), settings.selection.fetch_cap, settings.feed.items)
        select(columns, marks, rules, self._viewers(viewers, now), selected)
        logs(selected.rows[:, : selected.bounds[-1]])
        generation = Generation(epoch.watermark, round(now * 1000))
        mix(columns, marks, self._mixing(now), selected, self._draws(viewers, selected, generation), mixed)
        feeds: list[Bulk | Exception] = []
        source = packing.Source(columns.posts.author, columns.posts.created, columns.posts.names, columns.people.names)
        for row, count in enumerate(mixed.counts.tolist()):
            chosen = mixed.candidate[row, :count]
            feed = packing.Feed(selected.posts[chosen], mixed.adjusted[row, :count], mixed.explored[row, :count])
            packed = packing.pack(source, marks.slot, feed)
            reasons = selected.origin[chosen].tobytes()
            feeds.append(_bulk(generation, packed, reasons, settings.diversity.explore_share))
        return feeds, _counted(selected)

    def _columns_at(self, epoch: Epoch) -> Columns:
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
                *(epoch.popularity, epoch.engaged, epoch.pool, len(epoch.trending)),
                *(np.log(epoch.post_rate), np.log(epoch.author_rate), np.log1p(epoch.followers)),
                *(rare, alive),
            ),
            Decays(epoch.hour, weights_by_kind(ranking), *(_left(span * 24, epoch.hour) for span in days)),
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

    def _mixing(self, now: float) -> Mixing:
        rules = self._settings.diversity
        return Mixing(
            now=float(now),
            items=self._settings.feed.items,
            weights=self._weights,
            penalty=float(self._settings.spam.penalty),
            author_penalty=float(rules.author_penalty),
            media_places=rules.media_places,
            fresh_lift=float(rules.fresh_lift),
            fresh_s=float(rules.fresh_hours * SECONDS_PER_HOUR),
            explore_share=float(rules.explore_share),
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

    def _draws(self, viewers: NDArray[np.int64], selected: Selected, generation: Generation) -> NDArray[np.uint32]:
        """What diversity.explore draws for each viewer, two words a place."""
        items = self._settings.feed.items
        counts = np.minimum(np.diff(selected.bounds), items).tolist()
        words = np.empty((len(viewers), items, 2), np.uint32)
        for row, (viewer, count) in enumerate(zip(viewers.tolist(), counts, strict=True)):
            key = f"{self._settings.diversity.seed} {generation} {self._state.users.name(viewer)}"
            drawn = shake_128(key.encode("utf-8", "surrogatepass")).digest(8 * count)
            words[row, :count] = np.frombuffer(drawn, "<u4").reshape(count, 2)
        return words


def warm() -> None:
    """Have every kernel compiled, or read from where it is kept: about a minute the first time, then half a second.

    Before the first request, so that none waits for it.
    """
    settings = Settings()
    state = State(settings.state, settings.ranking)
    post = Event("1", "post", 0.0, "nobody", "nothing", {"topics": ["nothing"]})
    state.fold([(1, post)])
    epoch = epoch_of(state, 0, _DAY_S, 1)
    BatchMaker(state, settings).make(np.zeros(1, np.int64), epoch, 1.0)


def _left(half_life_hours: float, hour: int) -> NDArray[np.float64]:
    """2^(−age / half-life) by age in hours, up to where nothing is left."""
    ages = np.arange(int(min(hour + 2, _HALF_LIVES * half_life_hours + 2)))
    left: NDArray[np.float64] = np.exp2(-ages / half_life_hours)
    return left


def _counted(selected: Selected) -> dict[str, int]:
    counted = {f"source_{name}": count for name, count in zip(SOURCES, selected.named.sum(0).tolist(), strict=True)}
    removed = selected.removed.sum(0).tolist()
    counted |= {f"filter_{name}": count for name, count in zip(FILTERS, removed, strict=True)}
    counted["filter_duplicate"] = int(selected.named.sum() - selected.gathered.sum())
    counted["spam_damped"] = int(np.count_nonzero(selected.damped[: selected.bounds[-1]]))
    return counted


def _ids(packed: packing.Ids, count: int) -> PackedIds:
    return PackedIds(packing.KINDS[packed.kind], count, packed.width, packed.data.tobytes(), packed.ends.tobytes())


def _bulk(generation: Generation, packed: packing.Packed, reasons: bytes, explore_share: float) -> Bulk | Exception:
    if not packed.finite:
        return ValueError("a score is not finite (as float32)")
    of = packed.author_of
    return Bulk(
        watermark=generation.watermark,
        generated_at_ms=generation.generated_at_ms,
        items=_ids(packed.items, len(of)),
        authors=_ids(packed.authors, packed.author_count),
        author_of=(of.astype(np.uint8) if packed.author_count <= 256 else of).tobytes(),
        scores=packed.scores.tobytes(),
        created_kind="I" if packed.whole else "d",
        created=(packed.seconds if packed.whole else packed.created).tobytes(),
        reasons=SOURCES,
        reason_of=reasons,
        explore_share=explore_share,
        explored=packed.explored.tobytes(),
    )
