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


class Shared(NamedTuple):
    """What the viewers of one (watermark, hour) share: see selection.epoch.Epoch, and Taste for the last two."""

    popularity: NDArray[np.int64]
    engaged: NDArray[np.int64]
    pool: NDArray[np.int32]
    trending: int
    log_post_rate: NDArray[np.float64]
    log_author_rate: NDArray[np.float64]
    log_followers: NDArray[np.float64]
    rarity: NDArray[np.float64]
    topics_alive: NDArray[np.bool_]


class Decays(NamedTuple):
    """How engagements fade. `weights`: float64 by kind. `short`, `mid`, `long`: what is left of one after so many hours
    (float64); past their ends, less than counts."""

    hour: int
    weights: NDArray[np.float64]
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
