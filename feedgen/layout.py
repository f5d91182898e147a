"""State, an epoch and the settings as the kernels read them: arrays side by side, and scalars."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen import config
from feedgen.kernels.cards import Cards
from feedgen.kernels.columns import Columns, Decays, PeopleColumns, Pool, PostColumns, Rules, Topics
from feedgen.selection.epoch import Epoch
from feedgen.selection.taste import rarity
from feedgen.state.columns import SECONDS_PER_HOUR, ragged
from feedgen.state.engagement import UNIT
from feedgen.state.lists import Spans
from feedgen.state.state import State, weights_by_kind

_NOBODYS: Final = -2
"""A language that no post is in."""
_HALF_LIVES: Final = 100.0
"""After so many nothing is left of an engagement, whatever it weighs."""
_DAY_S: Final = 86_400.0
_FADING_HOURS: Final = 24 * 366


def columns_of(state: State, ranking: config.Ranking, epoch: Epoch, cards: Cards) -> Columns:
    """Views until the next fold; what is put together here takes O(users)."""
    followees, since, barred = state.graph.spans
    days = (ranking.affinity_short_days, ranking.affinity_mid_days, ranking.affinity_long_days)
    weights = weights_by_kind(ranking)
    return Columns(
        cards,
        PostColumns(
            topics=Spans(*state.about_posts.topics),
            names=state.post_ids.encoded,
            popularity=epoch.popularity,
            talk=epoch.talk,
        ),
        PeopleColumns(
            recent=state.posts.recent.values,
            followees=followees.values,
            returned=state.graph.returned,
            since=since,
            barred=barred,
            hidden=state.impressions.hidden,
            engaged=state.engagement.by_viewer,
            viewed=state.impressions.seen.spans,
            names=state.users.encoded,
        ),
        state.engagement.by_post.values,
        Topics(*rarity(state.about_posts.posts_about)),
        _pool(state, epoch),
        Decays(
            *(epoch.hour, weights, _fading(tuple(weights.tolist()), max(1, min(epoch.hour + 1, _FADING_HOURS)))),
            *(_left(span * 24, int(min(epoch.hour + 2, _HALF_LIVES * span * 24 + 2))) for span in days),
        ),
    )


def _pool(state: State, epoch: Epoch) -> Pool:
    posts, (starts, counts, topics) = epoch.pool, state.about_posts.topics
    many, none = counts[posts].astype(np.int64), len(state.topic_names)
    first = np.where(many > 0, starts[posts], len(topics))
    flat, place = ragged(first + 1, np.maximum(many - 1, 0))
    return Pool(
        posts=posts,
        author=state.posts.author[posts],
        created=state.posts.created[posts],
        worth=np.maximum(epoch.popularity[posts] + UNIT, 0).astype(np.float64),
        topic=np.append(topics, np.int32(none))[first],
        further_at=np.searchsorted(place, np.arange(len(posts) + 1)),
        further_of=place,
        further=topics[flat],
        shares=np.maximum(many, 1).astype(np.float64),
        trending=len(epoch.trending),
    )


def rules_of(state: State, settings: config.Settings, now: float) -> Rules:
    """The settings of selection, spam and ranking at a moment (s)."""
    limits, ranking = settings.selection, settings.ranking
    common = state.languages.find(limits.common_language)
    return Rules(
        now=float(now),
        oldest=float(now - settings.window_s),
        viewed_since=state.impressions.seen.since(now),
        viewed_most=settings.state.seen_per_viewer,
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
        posts_per_day=settings.spam.posts_per_day,
        fresh_s=float(ranking.freshness_hours * SECONDS_PER_HOUR),
        recent_s=float(ranking.recency_hours * SECONDS_PER_HOUR),
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
