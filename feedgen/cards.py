"""Cards of all posts and users, brought forward from fold to fold."""

from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from feedgen.kernels.cards import POST, USER, Cards, PostParts, UserParts, blank, write_posts, write_users
from feedgen.ranking.exact import ln, ln1p
from feedgen.selection.epoch import Epoch
from feedgen.state.lists import Spans
from feedgen.state.state import State

_AT_ONCE: Final = 1 << 16


class CardIndex:
    """64 bytes a post and a user. One thread brings them forward while no other reads them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._posts, self._users = blank(0, POST), blank(0, USER)
        self._read = -1, 0, 0, 0, 0
        self._written, self._named = 0, 0

    def at(self, epoch: Epoch) -> Cards:
        """Views until the next fold. O(changed posts + users) after a fold, O(posts) where a bulk came in.

        Raises ValueError for an epoch of before a fold.
        """
        state = self._state
        posts, users = min(len(state.posts.author), len(state.about_posts.language)), len(state.users)
        if len(epoch.author_rate) != users or len(epoch.popularity) != len(state.post_ids):
            raise ValueError("the epoch is of before the last fold")
        now = epoch.watermark, state.changes.end, state.views.end, state.engagement.layout, state.graph.version
        if now != self._read or (posts, users) != (self._written, self._named):
            self._posts, self._users = _wider(self._posts, posts, POST), _wider(self._users, users, USER)
            self._bring_posts(posts)
            write_users(self._user_parts(epoch), self._named, self._users[:users])
            self._read, self._named = now, users
        return Cards(self._posts[:posts], self._users[:users])

    def _bring_posts(self, count: int) -> None:
        state = self._state
        _, changes, views, layout, _ = self._read
        changed, seen = state.changes.since(changes), state.views.since(views)
        parts = self._post_parts()
        if changed is None or seen is None or state.engagement.layout != layout:
            self._written = self._named = 0
        else:
            which = np.concatenate((changed, seen))
            write_posts(parts, which[which < count], self._posts)
        for start in range(self._written, count, _AT_ONCE):
            write_posts(parts, np.arange(start, min(start + _AT_ONCE, count), dtype=np.int32), self._posts)
        self._written = count

    def _post_parts(self) -> PostParts:
        posts, about = self._state.posts, self._state.about_posts
        return PostParts(
            created=posts.created,
            author=posts.author,
            favour=posts.engaged.by_post,
            viewed=posts.viewed.by_post,
            language=about.language,
            media=about.media,
            min_age=about.min_age,
            deleted=posts.deleted,
            withheld=posts.withheld,
            sensitive=about.sensitive,
            topics=Spans(*about.topics),
            engagements=self._state.engagement.by_post,
            names=self._state.post_ids.encoded,
        )

    def _user_parts(self, epoch: Epoch) -> UserParts:
        state = self._state
        return UserParts(
            rate=epoch.author_rate,
            log_rate=ln(epoch.author_rate),
            log_followers=ln1p(epoch.followers),
            recent=state.posts.recent,
            followees=state.graph.spans[0],
            names=state.users.encoded,
        )


def _wider(cards: NDArray[Any], count: int, kind: DTypeLike) -> NDArray[Any]:
    """With room for so many, and half as many again. Amortised O(1) a card."""
    if count <= len(cards):
        return cards
    grown = blank(count * 3 // 2, kind)
    grown[: len(cards)] = cards
    return grown
