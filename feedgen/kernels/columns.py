"""What kernels see of the state: its columns, side by side, for the time of one batch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.cards import Cards
from feedgen.state.graph import Since
from feedgen.state.lists import Spans
from feedgen.state.symbols import Names


class PostColumns(NamedTuple):
    """By post, what no card has: the `topics` of those with many, the ids, `popularity` (Epoch.popularity) and `talk`
    (Epoch.talk)."""

    topics: Spans
    names: Names
    popularity: NDArray[np.int64]
    talk: NDArray[np.float64]


class PeopleColumns(NamedTuple):
    """By user: `since` when whom they follow is followed, whom they do not see (`barred`, `hidden`), what they did.

    `recent`, `followees`: values of what the cards of users name. `returned`: parallel to `followees`, the bit RETURNED
    for who follows back.
    """

    recent: NDArray[np.int32]
    followees: NDArray[np.int32]
    returned: NDArray[np.uint32]
    since: Since
    barred: Spans
    hidden: Spans
    engaged: Spans
    viewed: Spans
    names: Names


class Pool(NamedTuple):
    """Epoch.pool with what is asked of its posts, by place: to go through it reads no post's own columns.

    `worth`: popularity and one UNIT, 0 where that is negative. `topic`: the first topic of each, the number of topics
    where it has none; `further`: the others of places `further_of`, those of place p from `further_at[p]` on. `shares`:
    how many topics it has, 1 for none. The first `trending` are Epoch.trending.
    """

    posts: NDArray[np.int32]
    author: NDArray[np.int32]
    created: NDArray[np.float64]
    worth: NDArray[np.float64]
    topic: NDArray[np.int32]
    further_at: NDArray[np.int64]
    further_of: NDArray[np.int64]
    further: NDArray[np.int32]
    shares: NDArray[np.float64]
    trending: int


class Decays(NamedTuple):
    """How engagements fade. `weights`: float64 by kind. `fading`: int64 by kind and age in hours, what one counts when
    it fades by 1 / (age + 1); past its end that is to be computed. `short`, `mid`, `long`: what is left of one after so
    many hours (float64); past their ends, less than counts."""

    hour: int
    weights: NDArray[np.float64]
    fading: NDArray[np.int64]
    short: NDArray[np.float64]
    mid: NDArray[np.float64]
    long: NDArray[np.float64]


class Topics(NamedTuple):
    """By topic: Taste's `rarity`, and whether any post is about it."""

    rarity: NDArray[np.float64]
    alive: NDArray[np.bool_]


class Columns(NamedTuple):
    """Everything a batch reads. `engagements`: values of what the cards of posts name, see
    engagement.Engagement.by_post."""

    cards: Cards
    posts: PostColumns
    people: PeopleColumns
    engagements: NDArray[np.int64]
    topics: Topics
    pool: Pool
    decays: Decays


class Rules(NamedTuple):
    """Settings and the moment, as scalars; names as in config.yaml."""

    now: float
    oldest: float
    viewed_since: int
    viewed_most: int
    new_cap: int
    new_followee_cap: int
    new_followee_oldest: float
    grown_cap: int
    grown_min: int
    grown_times: float
    interest_cap: int
    trending_cap: int
    fetch_cap: int
    adult_age: int
    common_language: int
    posts_per_day: int
    fresh_s: float
    recent_s: float


class Viewers(NamedTuple):
    """The viewers of a batch, in parallel arrays; `age` 0 and `age_known` False where it is not known."""

    who: NDArray[np.int64]
    last_login: NDArray[np.float64]
    age: NDArray[np.int64]
    age_known: NDArray[np.bool_]
    language: NDArray[np.int64]
