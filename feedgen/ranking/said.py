"""What users and posts say of themselves, and who knows whom."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.overlap import overlap
from feedgen.ranking.socialrank import SocialRank
from feedgen.selection.context import ViewerContext
from feedgen.state.attributes import MEDIA, NONE, UNSAID
from feedgen.state.logins import DEVICES
from feedgen.state.state import State

_INF: Final = float("inf")
COST: Final = "O(followees of the candidates' authors), once; then O(1) a candidate"
SIGNALS: Final = (
    Signal("media", "0 none, 1 image, 2 video, 3 link", 0, 3, "never", "what the post shows"),
    Signal("link", "0 or 1", 0, 1, "never", "whether it shows a link"),
    Signal("own_language", "0 or 1", 0, 1, "either not known", "whether the post is in the viewer's language"),
    Signal("post_place", "0 or 1", 0, 1, "either not known", "whether the post is of where the viewer is"),
    Signal("length", "as the post says", 0, _INF, "not known", "of the post"),
    Signal(
        "device",
        ", ".join(f"{code} {name}" for code, name in enumerate(DEVICES, 1)),
        1,
        len(DEVICES),
        "not known",
        "what the viewer logged in on last",
    ),
    Signal("own_place", "0 or 1", 0, 1, "either not known", "whether the author is where the viewer is"),
    Signal("own_age", "years", 0, 10_000, "either not known", "between the viewer's year of birth and the author's"),
    Signal("verified", "0 or 1", 0, 1, "not known", "whether the author is verified"),
    Signal("following", "users", 0, _INF, "never", "whom the author follows"),
    Signal("follow_ratio", "ln", -50, 50, "never", "ln((1 + followers) / (1 + followees)) of the author"),
    Signal(
        "social_rank",
        "of 1 on average",
        0,
        _INF,
        "more than 2 million follows",
        "PageRank of the author, as of midnight",
    ),
    Signal("common", "users", 0, _INF, "never", "whom both the viewer and the author follow"),
    Signal("shown_author", "posts", 0, _INF, "no views known", "of the author's, the viewer has seen lately"),
    Signal("seen_by", "views", 0, _INF, "no views known", "of the post, by anyone"),
)


class Said:
    """These signals of one viewer's candidates at a time."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rank = SocialRank(state.graph)
        self._views = -1, False

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, SIGNALS)."""
        state, about = self._state, self._state.about_posts
        authors, each = np.unique(state.posts.author[posts], return_inverse=True)
        media = about.media[posts]
        found = np.empty((len(posts), len(SIGNALS)), np.float32)
        found[:, 0], found[:, 1] = media, media == MEDIA.index("link")
        found[:, 2] = _alike(about.language[posts], state.about_users.language(context.viewer))
        found[:, 3] = _alike(about.location[posts], state.about_users.location(context.viewer))
        found[:, 4] = np.where(about.length[posts] == NONE, np.nan, about.length[posts])
        found[:, 5] = state.logins.device(context.viewer) or np.nan
        found[:, 6:13] = self._of_authors(context, authors)[each]
        found[:, 13:] = np.nan
        seen, everyone = context.viewed[0], state.posts.viewed.by_post
        if len(seen):
            shown = np.bincount(state.posts.author[seen] + 1, minlength=len(state.users) + 1)[1:]
            found[:, 13] = shown[authors][each]
        if self._any_views(everyone):
            found[:, 14] = everyone[posts]
        return found

    def _any_views(self, everyone: NDArray[np.int32]) -> bool:
        """O(posts), once in an epoch."""
        if self._views[0] != self._state.watermark:
            self._views = self._state.watermark, bool(everyone.any())
        return self._views[1]

    def _of_authors(self, context: ViewerContext, authors: NDArray[np.int32]) -> NDArray[np.float32]:
        """From own_place to common, a row an author."""
        viewer, epoch = context.viewer, context.epoch
        rows = np.full((len(authors), 7), np.nan, np.float32)
        users, own = self._state.about_users, np.array([viewer])
        place, born, verified = (users.codes(authors, name) for name in ("location", "birth_year", "verified"))
        my_place, my_birth = (int(users.codes(own, name)[0]) for name in ("location", "birth_year"))
        if my_place != UNSAID:
            rows[:, 0] = np.where(place == UNSAID, np.nan, place == my_place)
        if my_birth != UNSAID:
            rows[:, 1] = np.where(born == UNSAID, np.nan, np.abs(born.astype(np.float64) - my_birth))
        rows[:, 2] = np.where(verified == UNSAID, np.nan, verified)
        followed = np.empty((len(authors), 2), np.int64)
        overlap(self._state.graph.spans[0], context.near, viewer, authors, followed)
        following = followed[:, 0]
        rows[:, 3], rows[:, 6] = following, followed[:, 1]
        rows[:, 4] = np.log((1.0 + np.maximum(epoch.followers[authors], 0)) / (1.0 + following))
        rank = self._rank.of_all(len(self._state.users), self._state.watermark, context.now)
        if rank is not None:
            rows[:, 5] = rank[authors]
        return rows


def _alike(codes: NDArray[np.int32], own: int) -> NDArray[np.float64]:
    """Whether a post's language, or place, is the viewer's; NaN where one is NONE."""
    if own == NONE:
        return np.full(len(codes), np.nan)
    alike: NDArray[np.float64] = np.where(codes == NONE, np.nan, codes == own)
    return alike
