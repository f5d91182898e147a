"""Signals: what stage two knows of a viewer's candidates beyond the features of stage one.

One definition for training, replay and serving. A signal that is not known is MISSING, which trees read as such.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.selection.context import ViewerContext
from feedgen.state.columns import SECONDS_PER_HOUR
from feedgen.state.engagement import AGAINST
from feedgen.state.state import State

MISSING: Final = np.float32(np.nan)
_HOURS_PER_DAY: Final = 24


class Signal(NamedTuple):
    """One column. `least`, `most`: its range; `missing`: where it is MISSING; `cost`: of all the candidates'."""

    name: str
    unit: str
    least: float
    most: float
    missing: str
    cost: str
    says: str


_INF: Final = float("inf")

SIGNALS: Final = (
    Signal("hour", "h of day, UTC", 0, 24, "never", "O(1)", "when the viewer comes"),
    Signal("weekday", "day of week, Monday 0", 0, 6, "never", "O(1)", "when the viewer comes"),
    Signal("age", "h", 0, _INF, "never", "O(posts)", "age of the post"),
    Signal("topics", "topics", 0, 16, "never", "O(posts)", "how many topics the post has"),
    Signal("engaged", "engagements", 0, _INF, "never", "O(posts)", "standing engagements in favour of the post"),
    Signal("still", "h", 0, _INF, "nobody engaged", "O(engagements)", "time since the last engagement with the post"),
    Signal("age_rank", "rank", 0, _INF, "never", "O(posts log posts)", "candidates newer than the post"),
    Signal("candidates", "posts", 1, _INF, "never", "O(1)", "candidates of the viewer"),
    Signal("author_candidates", "posts", 1, _INF, "never", "O(posts)", "candidates by the same author"),
    Signal("author_newer", "posts", 0, _INF, "never", "O(posts log posts)", "of these, newer than the post"),
    Signal("network_size", "users", 0, _INF, "never", "O(1)", "whom the viewer follows"),
    Signal(
        "viewer_engaged", "posts", 0, _INF, "never", "O(engagements of the viewer)", "posts the viewer engaged with"
    ),
)
NAMES: Final = tuple(signal.name for signal in SIGNALS)


class Signals:
    """Signals of one viewer's candidates at a time."""

    def __init__(self, state: State, settings: Ranking) -> None:
        self._state = state
        self._settings = settings

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, SIGNALS). O(posts log posts + their engagements + engagements of the viewer)."""
        found = np.full((len(posts), len(SIGNALS)), MISSING, np.float32)
        if not len(posts):
            return found
        state, now = context.state, context.now
        hours = now / SECONDS_PER_HOUR
        age = np.maximum(hours - state.posts.created[posts] / SECONDS_PER_HOUR, 0.0)
        _, author, rivals = np.unique(state.posts.author[posts], return_inverse=True, return_counts=True)
        order = np.lexsort((age, author))
        newer = np.empty(len(posts))
        newer[order] = np.arange(len(posts)) - np.repeat(np.cumsum(rivals) - rivals, rivals)
        columns: tuple[float | NDArray[Any], ...] = (
            hours % _HOURS_PER_DAY,
            (hours // _HOURS_PER_DAY + 3) % 7,
            age,
            state.about_posts.topics[1][posts],
            context.epoch.engaged[posts],
            _still(context, posts),
            np.searchsorted(np.sort(age), age),
            len(posts),
            rivals[author],
            newer,
            len(context.followees),
            len(context.favoured),
        )
        for number, column in enumerate(columns):
            found[:, number] = column
        return found


def _still(context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float64]:
    place, rows = context.state.engagement.of_posts(posts)
    last = np.full(len(posts), -1, np.int64)
    standing = (rows.kind < AGAINST) & (rows.sign > 0)
    np.maximum.at(last, place[standing], rows.hour[standing])
    return np.where(last >= 0, np.maximum(context.epoch.hour - last, 0), np.nan)
