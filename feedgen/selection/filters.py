"""Which candidates may be shown. A filter splits into kept and removed, and never reorders."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from feedgen.selection.context import ViewerContext
from feedgen.state.attributes import NONE


class Filter(Protocol):
    """A rule that keeps posts out of one viewer's feed."""

    name: str
    """Under which its removals are counted."""

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of `posts` stay; bool, same shape."""
        ...


class OwnPosts:
    """A viewer's own posts are no news to the viewer."""

    name = "own"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n)."""
        others: NDArray[np.bool_] = context.state.posts.author[posts] != context.viewer
        return others


class Deleted:
    """What its author took back."""

    name = "deleted"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n)."""
        return ~context.state.posts.deleted[posts]


class Withheld:
    """Under review, or rejected by it."""

    name = "withheld"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n)."""
        return ~context.state.posts.withheld[posts]


class Underage:
    """Posts with a minimum age, for who is younger, or whose age is not known. Ages are by calendar year."""

    name = "age"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n)."""
        fit: NDArray[np.bool_] = context.state.about_posts.min_age[posts] <= context.age
        return fit


class Sensitive:
    """Sensitive posts, for minors, and for everyone when they come from beyond the network."""

    name = "sensitive"

    def __init__(self, adult_age: int) -> None:
        self._adult_age = adult_age

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n). Who follows the author and has not said how old they are, chose to see them."""
        sensitive = context.state.about_posts.sensitive[posts]
        if context.age_known and context.age < self._adult_age:
            return ~sensitive
        return ~sensitive | context.near[context.state.posts.author[posts]]


class OtherLanguage:
    """Posts from beyond the network in a language that is neither the viewer's nor the common one."""

    name = "language"

    def __init__(self, common: str) -> None:
        self._common = common

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n). Nothing is removed where the viewer's language or the post's is not known."""
        state = context.state
        own = state.about_users.language(context.viewer)
        if own == NONE:
            return np.ones(len(posts), np.bool_)
        common = state.languages.find(self._common)
        language = state.about_posts.language[posts]
        understood = (language == NONE) | (language == own) | (language == (own if common is None else common))
        kept: NDArray[np.bool_] = understood | context.near[state.posts.author[posts]]
        return kept


class Blocked:
    """Authors blocked either way, or muted by the viewer."""

    name = "blocked"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n + barred)."""
        barred = context.state.graph.barred(context.viewer)
        if not len(barred):
            return np.ones(len(posts), np.bool_)
        return ~np.isin(context.state.posts.author[posts], barred)


class Hidden:
    """What the viewer hid, reported or was not interested in."""

    name = "hidden"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n + hidden)."""
        hidden = context.state.impressions.hidden_from(context.viewer)
        return ~np.isin(posts, hidden) if len(hidden) else np.ones(len(posts), np.bool_)


class Seen:
    """What the viewer has seen or engaged with, unless engagement has grown much since it was seen."""

    name = "seen"

    def keeps(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.bool_]:
        """O(n)."""
        return ~context.seen[posts] | context.grown[posts]


class Filtered(NamedTuple):
    """Which posts are left, and how many each filter took."""

    kept: NDArray[np.bool_]
    removed: dict[str, int]


def apply(filters: Sequence[Filter], context: ViewerContext, posts: NDArray[np.int32]) -> Filtered:
    """All filters; a post that several would remove counts under the first. O(filters × n)."""
    kept = np.ones(len(posts), np.bool_)
    removed: dict[str, int] = {}
    for rule in filters:
        passes = rule.keeps(context, posts)
        removed[rule.name] = int(np.count_nonzero(kept & ~passes))
        kept &= passes
    return Filtered(kept, removed)
