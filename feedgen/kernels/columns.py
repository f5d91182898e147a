"""What kernels see of the state: its columns, side by side, for the time of one batch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.graph import Since
from feedgen.state.lists import Spans
from feedgen.state.symbols import Names


class PostColumns(NamedTuple):
    """By post. `topic_at`, `topic_count`: where its topics stand in `topics`."""

    author: NDArray[np.int32]
    created: NDArray[np.float64]
    deleted: NDArray[np.bool_]
    withheld: NDArray[np.bool_]
    language: NDArray[np.int32]
    min_age: NDArray[np.uint8]
    sensitive: NDArray[np.bool_]
    media: NDArray[np.uint8]
    topic_at: NDArray[np.int64]
    topic_count: NDArray[np.uint8]
    topics: NDArray[np.int32]
    names: Names


class PeopleColumns(NamedTuple):
    """By user: `recent` posts, whom they follow (`followees`, and `since` when), whom they do not see (`barred`)."""

    recent: Spans
    followees: Spans
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


class Shared(NamedTuple):
    """What the viewers of one (watermark, hour) share: see selection.epoch.Epoch, and Taste for the last two.

    `authors`: shape (users, 3), what is asked of an author, side by side: the rate, its logarithm, and that of 1 +
    followers. `below`: by user, which share of all follows are of users numbered below.
    `doubtful`: a bit a post, set where it is deleted, withheld, sensitive or not for every age: the bits of a million
    posts are in the cache, the four columns are not.
    """

    popularity: NDArray[np.int64]
    engaged: NDArray[np.int32]
    viewed: NDArray[np.int32]
    talk: NDArray[np.float64]
    pool: Pool
    authors: NDArray[np.float64]
    below: NDArray[np.float64]
    doubtful: NDArray[np.uint8]
    rarity: NDArray[np.float64]
    topics_alive: NDArray[np.bool_]


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


class Columns(NamedTuple):
    """Everything a batch reads. `by_post`: engagements of everyone, see engagement.Engagement.by_post."""

    posts: PostColumns
    people: PeopleColumns
    by_post: Spans
    shared: Shared
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
