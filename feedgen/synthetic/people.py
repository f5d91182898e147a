"""Who is in the network: where people live, what they like, how popular and how active they are."""

from typing import Final

import numpy as np
from msgspec import Struct

from feedgen.synthetic.ragged import Bools, Floats, Ints, Reals
from feedgen.synthetic.spec import DAY_S, NetworkSpec

REGIONS: Final = (  # (location, minutes east of UTC, language, weight)
    ("New York", -300, "en", 14), ("Chicago", -360, "en", 8), ("Los Angeles", -480, "en", 9), ("London", 0, "en", 9),
    ("Delhi", 330, "en", 7), ("Sydney", 600, "en", 4), ("Mexico City", -360, "es", 7), ("Madrid", 60, "es", 6),
    ("Buenos Aires", -180, "es", 4), ("São Paulo", -180, "pt", 8), ("Lisbon", 0, "pt", 2), ("Paris", 60, "fr", 6),
    ("Berlin", 60, "de", 6), ("Tokyo", 540, "ja", 6), ("Jakarta", 420, "id", 4),
)  # fmt: skip
LANGUAGES: Final = tuple(dict.fromkeys(region[2] for region in REGIONS))
MEDIA: Final = ("none", "image", "video", "link")
EXPERTISE: Final = (0.65, 0.25, 0.1)
"""Shares of an author's posts in the topics they care for most."""
_INTERESTS: Final = 8
"""Topics per person that are told apart; tastes beyond them are slight."""

_BY_HOUR: Final = (2, 1, 1, 1, 1, 2, 4, 7, 8, 7, 6, 6, 8, 7, 6, 6, 6, 7, 9, 11, 13, 13, 9, 5)
"""Activity over the hours of the local day: a morning rise, a lunch bump, an evening peak."""


class People(Struct, frozen=True):
    """One row per viewer."""

    region: Ints
    birth_year: Ints
    verified: Bools
    joined: Ints
    """s since the epoch."""
    popularity: Floats
    """Pull as an author; Pareto with exponent 1.2."""
    posts_per_day: Floats
    logins_per_day: Floats
    hour_shift_s: Ints
    """How much later than others this person's day runs."""
    main_media: Ints
    """What most of this author's posts carry; position in MEDIA."""
    taste: Reals
    """float32[n, topics], rows sum to 1: Dirichlet, the common topics more likely."""
    interests: Ints
    """int64[n, ≤ 8]: the topics this person cares for most, first one first."""
    media_taste: Reals
    """float32[n, 4]: extra log-odds scale for each of MEDIA."""
    eagerness: Reals
    """How readily this viewer engages at all."""

    @property
    def language(self) -> Ints:
        """Position in LANGUAGES."""
        return np.array([LANGUAGES.index(region[2]) for region in REGIONS], np.int64)[self.region]

    @property
    def utc_offset_s(self) -> Ints:
        """Seconds east of UTC."""
        return np.array([region[1] * 60 for region in REGIONS], np.int64)[self.region]


def draw_people(spec: NetworkSpec, rng: np.random.Generator) -> People:
    """Everyone in the network. O(viewers × topics)."""
    n = spec.viewers
    weights = np.array([region[3] for region in REGIONS], np.float64)
    region = np.searchsorted(np.cumsum(weights), rng.random(n) * weights.sum(), side="right").astype(np.int64)
    popularity = (1 - rng.random(n)) ** (-1 / 1.2)
    prevalence = 1 / (np.arange(spec.topics) + 4.0)
    taste = rng.dirichlet(prevalence / prevalence.sum() * 0.06 * spec.topics, n).astype(np.float32)
    age = np.clip(rng.gamma(4.0, 6.5, n) + 13, 13, 95)
    joined = spec.start - rng.random(n) * (spec.history_days - 0.5) * DAY_S
    newcomer = rng.random(n) < spec.newcomer_share
    joined[newcomer] = spec.start + rng.random(int(newcomer.sum())) * spec.days * DAY_S * 0.95
    return People(
        region=region,
        birth_year=(1970 + spec.end / (365.2425 * DAY_S) - age).astype(np.int64),
        verified=rng.random(n) < np.minimum(0.5, 0.002 * popularity),
        joined=joined.astype(np.int64),
        popularity=popularity,
        posts_per_day=_scaled(popularity**0.3 * rng.lognormal(0.0, 0.6, n), spec.posts_per_author_day, 10.0),
        logins_per_day=_scaled(_activity(n, rng), spec.logins_per_viewer_day, 15.0),
        hour_shift_s=(rng.normal(0.0, 1.5, n) * 3_600).astype(np.int64),
        main_media=np.searchsorted(np.array([0.35, 0.75, 0.9]), rng.random(n)).astype(np.int64),
        taste=taste,
        interests=np.argsort(-taste, axis=1, kind="stable")[:, :_INTERESTS].astype(np.int64),
        media_taste=rng.normal(0.0, 1.0, (n, len(MEDIA))).astype(np.float32),
        eagerness=rng.normal(0.0, 0.5, n).astype(np.float32),
    )


def _activity(n: int, rng: np.random.Generator) -> Floats:
    """Relative login rates: log-normal (some many times a day, many a few times a week), one in ten nearly never."""
    rate = rng.lognormal(0.0, 1.1, n)
    return np.where(rng.random(n) < 0.1, 0.02 * rate, rate)


def _scaled(relative: Floats, mean: float, times_max: float) -> Floats:
    """`relative` scaled to the mean `mean`, no row above `times_max` means (which lowers it a little)."""
    scaled: Floats = np.minimum(relative / relative.mean(), times_max) * mean
    return scaled


def moments(spec: NetworkSpec, people: People, who: Ints, rng: np.random.Generator) -> Ints:
    """A moment in the window for each row of `who`, following the rhythm of that person's day. s since the epoch."""
    by_hour = np.cumsum(np.array(_BY_HOUR, np.float64))
    hour = np.searchsorted(by_hour, rng.random(len(who)) * by_hour[-1], side="right")
    local = hour * 3_600 + rng.integers(0, 3_600, len(who)) + people.hour_shift_s[who]
    since_start = (local - people.utc_offset_s[who] - spec.start) % DAY_S
    at: Ints = spec.start + since_start + rng.integers(0, spec.days, len(who)) * DAY_S
    return at
