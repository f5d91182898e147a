"""How often posts were met, engaged with or seen: by post, and added up by author."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part


class Tally(Composite):
    """Integers, so that sums do not depend on the order of arrival. 4 bytes a post, 8 an author."""

    def __init__(self, author: Column, base: int) -> None:
        """`author`: by post, negative while it is not known. `base`: what each post counts before it is met."""
        self._author = author
        self._base = base
        self._by_post = Column(np.int32)
        self._by_author = Column(np.int64)
        self._total = Column(np.int64, 0, 1)

    def _parts(self) -> Mapping[str, Part]:
        return {"by_post": self._by_post, "by_author": self._by_author, "total": self._total}

    def reach(self, posts: int) -> None:
        """Have a count for the posts below. Amortised O(1) a post."""
        self._by_post.reach(posts)

    def add(self, posts: NDArray[np.integer[Any]], amounts: NDArray[np.integer[Any]]) -> None:
        """Count meetings with posts, or take them back. O(posts)."""
        if not len(posts):
            return
        self.reach(int(posts.max()) + 1)
        np.add.at(self._by_post.values, posts, amounts.astype(np.int32))
        known = np.flatnonzero(posts < self._author.count)
        authors = self._author.values[posts[known]]
        owned = authors >= 0
        self._credit(authors[owned], amounts[known[owned]].astype(np.int64))

    def claim(self, posts: NDArray[np.integer[Any]], authors: NDArray[np.integer[Any]]) -> None:
        """Posts that had no author have these: theirs is what the posts have met so far. O(posts)."""
        if len(posts):
            self.reach(int(posts.max()) + 1)
            self._credit(authors, self._by_post.values[posts].astype(np.int64) + self._base)

    def leave(self, post: int, author: int) -> None:
        """The post is no longer the author's. O(1)."""
        self.reach(post + 1)
        self._credit(np.array([author]), np.array([-(int(self._by_post[post]) + self._base)]))

    def _credit(self, authors: NDArray[np.integer[Any]], amounts: NDArray[np.int64]) -> None:
        if len(authors):
            self._by_author.reach(int(authors.max()) + 1)
            np.add.at(self._by_author.values, authors, amounts)
            self._total[0] += amounts.sum()

    @property
    def by_post(self) -> NDArray[np.int32]:
        """By post, as far as posts were met when the fold ended, without `base`; a view until the next fold."""
        return self._by_post.values

    def by_author(self, users: int) -> NDArray[np.int64]:
        """Sums over each author's posts, `base` for each included; a copy of `users` entries. O(users)."""
        counts = np.zeros(users, np.int64)
        counts[: self._by_author.count] = self._by_author.values
        return counts

    @property
    def total(self) -> int:
        """The sum over all posts whose author is known, `base` for each included. O(1)."""
        return int(self._total[0])
