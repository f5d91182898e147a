"""Stage two: what scores the picked candidates of one viewer anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.worth import score
from feedgen.models.logistic import Floats
from feedgen.models.model import Model
from feedgen.models.stacking import TOPICS, Keys, Stacked, hashed_ids, key_of
from feedgen.ranking.heads import Heads
from feedgen.state.state import State


@dataclass(frozen=True)
class Ids:
    """Keys of who and what is scored: the viewer's, and by post its author's and topics'."""

    viewer: int
    authors: Keys
    topics: tuple[Keys, ...]

    def hashed(self) -> NDArray[np.uint32]:
        """Buckets by post. O(posts)."""
        viewers = np.full(len(self.authors), self.viewer, np.uint64)
        return hashed_ids(viewers, self.authors, self.topics)


class StageTwo(Protocol):
    """Scores the picked candidates of one viewer. May raise, be late, or give what is not finite: Ranker sees to it."""

    @property
    def needs_ids(self) -> bool:
        """Whether `ids` is looked at."""
        ...

    def score(self, rows: NDArray[np.float32], ids: Ids | None) -> Floats:
        """Shape (posts,), higher is better, from the inputs as they are made, shape (posts, INPUTS)."""
        ...


class WideScorer:
    """By Σ value × P(action) of the wide lines."""

    needs_ids = False

    def __init__(self, model: Model, values: Mapping[str, float]) -> None:
        self._model = model
        self._worths = model.worths(model.wide.heads, values)

    def score(self, rows: NDArray[np.float32], ids: Ids | None) -> Floats:
        """See StageTwo. O(posts × inputs × heads)."""
        return _score(self._model.logits_wide(rows), self._worths)


class TreesScorer:
    """By Σ value × P(action) of the trees."""

    needs_ids = False

    def __init__(self, model: Model, values: Mapping[str, float]) -> None:
        """Raises ModelError for a model without trees."""
        if model.trees is None:
            raise ModelError("this version has no trees")
        self._trees = model.trees
        self._worths = model.worths(model.trees.heads, values)

    def score(self, rows: NDArray[np.float32], ids: Ids | None) -> Floats:
        """See StageTwo. O(posts × trees)."""
        return self._trees.scores(rows, self._worths)


class StackedScorer:
    """The same by what is stacked on the trees. `teach` changes the weights; those who score meanwhile have the old."""

    needs_ids = True

    def __init__(self, model: Model, values: Mapping[str, float], stacked: Stacked | None = None) -> None:
        """`stacked`: with its weights instead of the model's own. Raises ModelError for a model without a stack."""
        if model.trees is None or model.stacked is None:
            raise ModelError("this version has nothing stacked on trees")
        self._model = model
        self._worths = model.worths(model.trees.heads, values)
        self._weights = (stacked or model.stacked).weights()

    def teach(self, stacked: Stacked) -> None:
        """Score by these weights from now on. O(weights)."""
        self._weights = stacked.weights()

    def score(self, rows: NDArray[np.float32], ids: Ids | None) -> Floats:
        """See StageTwo. O(posts × (trees + ids) × heads)."""
        if ids is None:
            raise ModelError("the stacked model knows viewers and posts by their ids")
        return _score(self._model.logits_stacked(rows, ids.hashed(), self._weights), self._worths)


def _score(logits: Floats, worths: Floats) -> Floats:
    """The root of what a post is worth, with its sign: the same order. Chances lie magnitudes apart; as they are, a
    share of the feed's best, which diversity takes off, would be more than most posts have.
    """
    scores: Floats = np.empty(len(logits))
    score(logits, worths, scores)
    return scores


def stage_one(model: Model, values: Mapping[str, float]) -> Heads:
    """The model's lines as scoring heads over the features."""
    lines = model.linear
    return Heads(lines.heads, lines.weights, lines.bias, model.worths(lines.heads, values))


class IdKeys:
    """Keys of the state's users and topics by dense index, made when first asked for."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._users: Keys = np.zeros(0, np.uint64)
        self._topics: Keys = np.zeros(0, np.uint64)

    def of(self, viewer: int, posts: NDArray[np.int32]) -> Ids:
        """O(posts), and O(names) for those that are new. Threads may make the same keys at once."""
        state = self._state
        users = self._users = _grown(self._users, state.users.names)
        known = self._topics = _grown(self._topics, state.topic_names.names)
        start, count, topics = state.about_posts.topics
        columns = []
        for number in range(TOPICS):
            there = count[posts] > number
            keys = np.zeros(len(posts), np.uint64)
            keys[there] = known[topics[start[posts[there]] + number]]
            columns.append(keys)
        return Ids(int(users[viewer]), users[state.posts.author[posts]], tuple(columns))


def _grown(keys: Keys, names: Sequence[str]) -> Keys:
    if len(keys) >= len(names):
        return keys
    return np.concatenate((keys, np.array([key_of(name) for name in names[len(keys) :]], np.uint64)))
