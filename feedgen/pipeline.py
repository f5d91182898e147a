"""Runs the stages for one viewer or many: selection → ranking → diversity → bulk column. No policy of its own.

Synchronous and pure: the same (state at a watermark, now, settings) gives the same bytes. Several threads may run it at
once as long as nobody folds meanwhile.
"""

import threading
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from feedgen.batch import AT_ONCE, BatchMaker
from feedgen.choosing import Chooser
from feedgen.config import Settings
from feedgen.diversity import Diverse, Diversifier
from feedgen.feed.record import Bulk, FeedItem, Generation, bulk_of_columns
from feedgen.kernels.watch import STAGES
from feedgen.models.ranker import LineUp, Ranker
from feedgen.ranking.features import FeatureMaker
from feedgen.ranking.heads import Heads
from feedgen.ranking.scorers import finite_or_last
from feedgen.ranking.spam import SpamDamper
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch, Epochs
from feedgen.selection.filters import (
    Blocked,
    Deleted,
    Filter,
    Hidden,
    OtherLanguage,
    OwnPosts,
    Seen,
    Sensitive,
    Underage,
    Withheld,
    apply,
)
from feedgen.selection.ordering import best, ordered
from feedgen.selection.sources import (
    Grown,
    Interest,
    NewFollowees,
    NewFromFollowees,
    PopularUnseen,
    Source,
    Trending,
    gather,
)
from feedgen.shortlist import Shortlist, shortlist_of
from feedgen.state.engagement import hour_of
from feedgen.state.state import State

TWICE = "duplicate"
"""Under which posts are counted that a second source named: each is considered once."""
FORMULA = "formula"
"""What ranks where no version does, as explanations name it."""
OLDER = "older"
"""The reason of posts past the last kept item."""


@dataclass(frozen=True)
class Ranked:
    """One viewer's feed with what led to it; parallel arrays, best first after diversity.

    `heads`: stage one; `ranked_by`: the version in front, or the formula.
    `candidates`: how many posts each source named; `removed`: how many of them each filter took.
    `scores`: with what `damped` posts (those beyond their author's rate) lose. `considered`, `all_features`,
    `all_scores`, `all_damped`: the same of every candidate that passed the filters, in no order.
    """

    context: ViewerContext
    heads: Heads
    ranked_by: str
    candidates: dict[str, int]
    removed: dict[str, int]
    posts: NDArray[np.int32]
    origin: NDArray[np.uint8]
    features: NDArray[np.float64]
    scores: NDArray[np.float64]
    damped: NDArray[np.bool_]
    diverse: Diverse
    considered: NDArray[np.int32]
    all_features: NDArray[np.float64]
    all_scores: NDArray[np.float64]
    all_damped: NDArray[np.bool_]


class Pipeline:
    """The stages, put together once from the settings."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._window_s = settings.window_s
        self._fetch_cap = settings.selection.fetch_cap
        self._items = settings.feed.items
        limits = settings.selection
        self._grown = (limits.grown_min, limits.grown_times)
        self.sources: Sequence[Source] = (
            NewFromFollowees(limits.new_cap),
            NewFollowees(limits.new_followee_days, limits.new_followee_cap),
            PopularUnseen(leave=limits.grown_cap + limits.interest_cap + limits.trending_cap),
            Grown(limits.grown_cap),
            Interest(limits.interest_cap),
            Trending(limits.trending_cap),
        )
        self._reasons = [source.name for source in self.sources]
        self._safety: Sequence[Filter] = (
            Deleted(),
            Withheld(),
            Underage(),
            Sensitive(settings.selection.adult_age),
            OtherLanguage(settings.selection.common_language),
            Blocked(),
            Hidden(),
        )
        self.filters: Sequence[Filter] = (OwnPosts(), *self._safety, Seen())
        self._features = FeatureMaker(settings.ranking)
        self.ranker = Ranker(settings, state)
        self.spam = SpamDamper(state, settings.spam)
        self._diversifier = Diversifier(settings.diversity)
        self.diversity = settings.diversity
        self._settings = settings
        self._chooser = Chooser(state, settings)
        self._batches = BatchMaker(settings, self.ranker, self._chooser, self._context)
        self._counted_lock = threading.Lock()
        names = [f"source_{name}" for name in self._reasons]
        names += [f"filter_{name}" for name in (TWICE, *(rule.name for rule in self.filters))]
        self.counted: Counter[str] = Counter(dict.fromkeys([*names, "spam_damped"], 0))
        """Candidates by source, removals by filter, and candidates damped as spam, over all feeds generated so far."""
        self._took_ns: Counter[str] = Counter(dict.fromkeys(STAGES, 0))
        self._timed = 0
        self._epochs = Epochs(state, self._window_s, self._items)

    def generate(self, viewers: Sequence[str], now: float) -> list[Bulk | Exception | None]:
        """A feed for each viewer, in order: None for one never seen, the error for one that failed. All of one model.

        Half a millisecond a viewer of 2,000 candidates (docs/performance.md).
        """
        found = self._state.users.find_many(viewers).tolist()
        known = [index for index in found if index >= 0]
        feeds: list[Bulk | Exception] = []
        line_up = self.ranker.line_up
        for first in range(0, len(known), AT_ONCE):
            feeds += self._batch(known[first : first + AT_ONCE], line_up, now)
        feed = iter(feeds)
        return [next(feed) if index >= 0 else None for index in found]

    def _batch(self, viewers: list[int], line_up: LineUp, now: float) -> Sequence[Bulk | Exception]:
        """A feed each, or its error: where a batch fails, each is tried alone."""
        try:
            made = self._batches.make(np.array(viewers), line_up, self._epoch_at(now), now)
        except Exception as error:
            if len(viewers) == 1:
                return [error]
            return [self._batch([viewer], line_up, now)[0] for viewer in viewers]
        with self._counted_lock:
            self.counted.update(made.counted)
            self._took_ns.update(made.took_ns)
            self._timed += 1
        return made.feeds

    def stage_times(self) -> tuple[int, dict[str, float]]:
        """Viewers timed so far, one of each batch, and the processor's time by stage for all of them together (s)."""
        with self._counted_lock:
            return self._timed, {stage: took / 1e9 for stage, took in self._took_ns.items()}

    def shortlist(self, viewer: int, now: float) -> Shortlist:
        """The viewer's feed at `now`, by dense index, with what it was chosen from: `rank` by the kernels."""
        context = self._context(viewer, now)
        return shortlist_of(context, self._settings, self.ranker, self._chooser, self.ranker.line_up)

    def rank_by_id(self, viewer: str, now: float) -> Ranked | None:
        """The viewer's feed at `now` with what led to it; None for one never seen."""
        index = self._state.users.find(viewer)
        return None if index is None else self.rank(index, now)

    def rank(self, viewer: int, now: float) -> Ranked:
        """The viewer's feed at `now`, by dense index."""
        context = self._context(viewer, now)
        posts, origin, named, twice = gather(self.sources, context, self._fetch_cap)
        filtered = apply(self.filters, context, posts)
        posts, origin = posts[filtered.kept], origin[filtered.kept]
        line_up = self.ranker.line_up
        heads, features = self.ranker.heads(line_up), self._features.matrix(context, posts)
        damped = self.spam.beyond(posts)
        first = finite_or_last(heads.score(features))
        scores = first - self.spam.penalty * damped
        kept = best(self._state.post_ids.names, posts, self._items, -scores)
        picked = posts[kept]
        anew = self.ranker.rescored(line_up, context, picked, features[kept], first[kept])
        scores[kept] = anew - self.spam.penalty * damped[kept]
        kept = kept[ordered(self._state.post_ids.names, picked, -scores[kept])]
        shown = posts[kept]
        diverse = self._diversifier.reorder(
            scores[kept],
            self._state.posts.author[shown],
            self._state.about_posts.media[shown],
            now - self._state.posts.created[shown],
            str(_generation(context.epoch, now)),
            self._state.users.name(viewer),
        )
        order = kept[diverse.order]
        return Ranked(
            context=context,
            heads=heads,
            ranked_by=line_up.versions[0].name if line_up.versions else FORMULA,
            candidates=named,
            removed={TWICE: twice, **filtered.removed},
            posts=posts[order],
            origin=origin[order],
            features=features[order],
            scores=scores[order],
            damped=damped[order],
            diverse=diverse,
            considered=posts,
            all_features=features,
            all_scores=scores,
            all_damped=damped,
        )

    def trending(self, now: float) -> Bulk:
        """The feed of viewers nobody knows: the most popular posts that are fit for everyone."""
        epoch = self._epoch_at(now)
        posts, about = epoch.trending, self._state.about_posts
        posts = posts[(self._state.posts.created[posts] <= now) & ~about.sensitive[posts] & (about.min_age[posts] == 0)]
        scores = np.linspace(1.0, 0.0, len(posts)) if len(posts) > 1 else np.ones(len(posts))
        origin = np.full(len(posts), self._reasons.index(Trending.name), np.uint8)
        names, users = self._state.post_ids.names, self._state.users.names
        return bulk_of_columns(
            _generation(epoch, now),
            [names[post] for post in posts.tolist()],
            [users[author] for author in self._state.posts.author[posts].tolist()],
            scores,
            self._reasons,
            origin.tobytes(),
            self._state.posts.created[posts],
        )

    def known_post_created_at(self, item_id: str) -> float | None:
        """When a known post was created (s), None for an id that names none. O(1)."""
        post = self._state.post_ids.find(item_id)
        return None if post is None else self._state.posts.created_at(post)

    def older(
        self, viewer: str, *, until: float, after: str | None, exclude: Container[str], limit: int
    ) -> list[FeedItem]:
        """roles.OlderPosts.older, synchronously. O(network log network)."""
        index = self._state.users.find(viewer)
        if index is None:
            return []
        context = replace(self._context(index, until), window_s=self._state.posts.retention_s)
        posts = context.network.posts
        posts = posts[apply(self._safety, context, posts).kept]
        names = self._state.post_ids.names
        created = self._state.posts.created[posts]
        before = np.inf if after is None else self.known_post_created_at(after)
        if before is None:
            return []
        places = ordered(names, posts, -created)
        items: list[FeedItem] = []
        for at in places[created[places] <= before].tolist():
            if len(items) == limit:
                break
            name = names[posts[at]]
            passed = after is not None and created[at] == before and name <= after
            if not passed and name not in exclude:
                author = self._state.users.name(int(self._state.posts.author[posts[at]]))
                items.append(FeedItem(name, author, 0.0, OLDER, float(created[at])))
        return items

    def _context(self, viewer: int, now: float) -> ViewerContext:
        return ViewerContext(self._state, viewer, now, self._window_s, *self._grown, self._epoch_at)

    def _epoch_at(self, now: float) -> Epoch:
        """Popularity and trending of (watermark, hour), computed by the first who asks."""
        return self._epochs.at(hour_of(now))


def _generation(epoch: Epoch, now: float) -> Generation:
    return Generation(epoch.watermark, round(now * 1000))
