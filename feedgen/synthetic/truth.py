"""The latent parameters of a synthetic network, and from them the true probability of every engagement.

P(kind | viewer, post, moment) = 1 / (1 + exp(−(bias_kind + Σ weight × feature))), the features being closeness to the
author, taste for the topics, the post's quality, recency, taste for the medium and the viewer's eagerness.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from feedgen.errors import ForefeedError
from feedgen.synthetic.follows import Follows
from feedgen.synthetic.people import People
from feedgen.synthetic.posts import Posts
from feedgen.synthetic.ragged import Floats, Ints, Reals, found_in

KINDS: Final = ("like", "comment", "share", "save", "click", "dwell", "hide", "report", "not_interested")
"""Engagements whose probability is known; each happens once at most per viewer and post."""

_STRANGER: Final = -0.9
"""Closeness to an author the viewer never followed (followees: about 0, about 1 when mutual)."""
_RECENCY_HOURS: Final = 12.0
_WEIGHTS: Final = (  # closeness, topics, quality, recency, medium, eagerness
    (0.8, 2.5, 0.3, 1.0, 0.15, 1.0),
    (1.0, 2.0, 0.3, 1.4, 0.05, 1.0),
    (0.5, 2.5, 0.4, 1.3, 0.1, 1.0),
    (0.3, 3.0, 0.4, 0.7, 0.15, 1.0),
    (0.5, 2.0, 0.3, 1.0, 0.2, 0.6),
    (0.4, 2.5, 0.3, 0.7, 0.25, 0.5),
    (-0.9, -2.0, -0.4, 0.0, -0.1, 0.3),
    (-0.7, -1.0, -0.8, 0.0, 0.0, 0.2),
    (-0.6, -3.0, -0.3, 0.0, -0.1, 0.3),
)
_PLAIN_ID: Final = re.compile(r"(0|[1-9][0-9]{0,17})", re.ASCII)
SAMPLE: Final = 200_000
"""Shown rows that the biases are found from; all, where there are few."""


class BadTruth(ForefeedError):
    """The file is missing or not a saved truth."""


class Truth(Struct, frozen=True, eq=False):
    """Latent parameters, in columns; viewer u7 is row 7, post p9 is row 9."""

    bias: Floats
    """float64[kinds], in the order of KINDS."""
    weights: Floats
    """float64[kinds, features]."""
    taste: Reals
    """float32[viewers, topics]; rows sum to 1."""
    media_taste: Reals
    eagerness: Reals
    follow_keys: Ints
    """Sorted viewer × viewers + author of everyone who ever followed."""
    strength: Reals
    """Closeness of each follow."""
    author: Ints
    created: Ints
    """s since the epoch."""
    quality: Reals
    topics: Ints
    media: Ints

    def probability(self, kind: str, viewer: str, posts: Sequence[str], at: float) -> Floats:
        """float64[posts]: true P(`viewer` engages with a seen post), the slate being shown at `at` (s since the epoch).

        A post not yet created counts as brand-new. O(posts × (topics per post + log follows)). Raises ValueError on an
        unknown kind, KeyError on an unknown viewer or post.
        """
        return self.worth({kind: 1.0}, viewer, posts, at)

    def worth(self, weights: Mapping[str, float], viewer: str, posts: Sequence[str], at: float) -> Floats:
        """float64[posts]: Σ weight × `probability` over the kinds that have a weight. Costs and errors as there."""
        if unknown := weights.keys() - set(KINDS):
            raise ValueError(f"unknown kind {min(unknown)!r}; known: {', '.join(KINDS)}")
        rows = np.array([_row(post, "p", len(self.author)) for post in posts], np.int64)
        viewers = np.full(len(rows), _row(viewer, "u", len(self.eagerness)), np.int64)
        features = self.features(viewers, rows, np.full(len(rows), at))
        total = np.zeros(len(rows))
        for kind, weight in weights.items():
            total += weight * self.chances(KINDS.index(kind), features)
        return total

    def features(self, viewers: Ints, posts: Ints, at: Floats) -> Floats:
        """float64[features, n] of rows (viewer, post, moment)."""
        return np.stack([
            self._closeness(viewers, self.author[posts]),
            self._topic_taste(viewers, self.topics[posts]),
            self.quality[posts].astype(np.float64),
            -np.log1p(np.maximum(at - self.created[posts], 0.0) / 3_600 / _RECENCY_HOURS),
            self.media_taste[viewers, self.media[posts]].astype(np.float64),
            self.eagerness[viewers].astype(np.float64),
        ])  # fmt: skip

    def chances(self, kind: int, features: Floats) -> Floats:
        """float64[n]: probabilities of KINDS[kind] for `features`."""
        return _sigmoid(self.bias[kind] + _score(self.weights[kind], features))

    def _closeness(self, viewers: Ints, authors: Ints) -> Floats:
        follows, row = found_in(self.follow_keys, viewers * len(self.eagerness) + authors)
        closeness: Floats = np.full(len(viewers), _STRANGER)
        closeness[follows] = self.strength[row[follows]]
        return closeness

    def _topic_taste(self, viewers: Ints, topics: Ints) -> Floats:
        """0 to 1: ln(1 + topics × mean taste over the post's topics) / ln(1 + topics)."""
        given = topics >= 0
        liked = np.where(given, self.taste[viewers[:, None], np.maximum(topics, 0)], 0.0).sum(axis=1)
        count = self.taste.shape[1]
        match: Floats = np.log1p(count * liked.astype(np.float64) / np.maximum(given.sum(axis=1), 1)) / np.log1p(count)
        return match

    def save(self, path: Path) -> None:
        """Write to `path` (npz, some 15 bytes per follow and 60 per post); the same truth gives the same bytes."""
        with path.open("wb") as file:
            np.savez(file, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """What `save` wrote. Raises BadTruth if the file is missing or something else."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                return cls(**{name: data[name] for name in cls.__struct_fields__})
        except FileNotFoundError:
            raise BadTruth(f"{path}: no such file") from None
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise BadTruth(f"{path}: not the truth of a synthetic network: {error}") from None


def truth_of(rates: Sequence[float], people: People, follows: Follows, posts: Posts) -> Truth:
    """The truth before `calibrated`: `rates` (in the order of KINDS) at features of zero."""
    return Truth(
        bias=_logit(np.array(rates, np.float64)),
        weights=np.array(_WEIGHTS, np.float64),
        taste=people.taste,
        media_taste=people.media_taste,
        eagerness=people.eagerness,
        follow_keys=follows.viewer * len(people.eagerness) + follows.author,
        strength=follows.strength,
        author=posts.author,
        created=posts.created,
        quality=posts.quality,
        topics=posts.topics,
        media=posts.media,
    )


def calibrated(truth: Truth, rates: Sequence[float], viewers: Ints, posts: Ints, at: Ints) -> Truth:
    """`truth` with the biases under which these rows are engaged with at `rates` on average (by bisection)."""
    if not len(viewers):
        return truth
    features = truth.features(viewers, posts, at.astype(np.float64))
    bias = truth.bias.copy()
    for kind, rate in enumerate(rates):
        score = _score(truth.weights[kind], features)
        low, high = -40.0, 40.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if _sigmoid(middle + score).mean() < rate else (low, middle)
        bias[kind] = (low + high) / 2
    return Truth(**{**asdict(truth), "bias": bias})


def _score(weights: Floats, features: Floats) -> Floats:
    """Σ weight × feature, added in a fixed order (a BLAS product's last bit depends on its threads)."""
    total = np.zeros(features.shape[1])
    for weight, feature in zip(weights.tolist(), features, strict=True):
        total += weight * feature
    return total


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -40.0, 40.0)))


def _logit(rates: Floats) -> Floats:
    bounded = np.clip(rates, 1e-17, 1 - 1e-9)
    return np.log(bounded / (1 - bounded))


def _row(name: str, letter: str, count: int) -> int:
    if name[:1] == letter and _PLAIN_ID.fullmatch(name[1:]) and int(name[1:]) < count:
        return int(name[1:])
    raise KeyError(f"{name!r} is not in this network; {letter}0 to {letter}{count - 1} are")
