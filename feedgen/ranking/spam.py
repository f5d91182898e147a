"""Spam: posts that came beyond their author's rate count for less."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen import config
from feedgen.state.state import State

_DAY_S: Final = 86_400.0


@dataclass(frozen=True)
class _Verdicts:
    """What is known at one watermark: `authors` by user, whether judged; `beyond` by post."""

    watermark: int
    authors: NDArray[np.bool_]
    beyond: NDArray[np.bool_]


class SpamDamper:
    """A post is beyond the rate if its author's newest posts hold `posts_per_day` others of the 24 hours before it.

    That depends on no `now`, nor on the order events came in; deleting what was posted before does not help. Several
    threads may ask at once, as long as nobody folds: they may judge an author twice, and find the same.
    """

    def __init__(self, state: State, settings: config.Spam) -> None:
        self._state = state
        self._rate = settings.posts_per_day
        self.penalty = settings.penalty
        """What a post beyond the rate loses of its score."""
        self._verdicts = _Verdicts(-1, np.empty(0, np.bool_), np.empty(0, np.bool_))

    def beyond(self, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of `posts` (whose authors are known) are beyond the rate; same shape.

        O(n), and O(recent posts) for authors nobody has asked for since the last fold.
        """
        verdicts = self._verdicts
        if verdicts.watermark != self._state.watermark:
            masks = np.zeros(len(self._state.users), np.bool_), np.zeros(len(self._state.post_ids), np.bool_)
            verdicts = self._verdicts = _Verdicts(self._state.watermark, *masks)
        authors = self._state.posts.author[posts]
        unknown = authors[~verdicts.authors[authors]]
        if len(unknown):
            self._judge(verdicts, np.unique(unknown))
        found: NDArray[np.bool_] = verdicts.beyond[posts]
        return found

    def _judge(self, verdicts: _Verdicts, authors: NDArray[np.int32]) -> None:
        posts, counts = self._state.posts.recent_of_all(authors)
        owner, created = np.repeat(authors, counts), self._state.posts.created[posts]
        earlier, later = slice(None, -self._rate), slice(self._rate, None)
        close = (owner[later] == owner[earlier]) & (created[later] - created[earlier] < _DAY_S)
        verdicts.beyond[posts[later][close]] = True
        verdicts.authors[authors] = True  # last: who sees it reads `beyond` without waiting
