"""What users and posts say of themselves, and who knows whom."""

from typing import Final

import numpy as np

from feedgen.ranking.groups import saying
from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.socialrank import SocialRank
from feedgen.selection.epoch import Epoch
from feedgen.state.logins import DEVICES
from feedgen.state.state import State

_INF: Final = float("inf")
_NO_RANK: Final = np.zeros(0)
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


assert len(SIGNALS) == saying.COLUMNS


class Told:
    """What the loop over candidates reads of users and posts for these signals."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rank = SocialRank(state.graph)

    def of_all(self, epoch: Epoch, now: float) -> saying.Said:
        """The same for all viewers of an epoch and a day. O(posts), and what SocialRank says."""
        state, about, users = self._state, self._state.about_posts, self._state.about_users
        everyone, rank = state.posts.viewed.by_post, self._rank.of_all(len(state.users), state.watermark, now)
        return saying.Said(
            media=about.media,
            language=about.language,
            location=about.location,
            length=about.length,
            seen=everyone if everyone.any() else everyone[:0],
            place=users.kept("location"),
            born=users.kept("birth_year"),
            verified=users.kept("verified"),
            followers=epoch.followers,
            rank=_NO_RANK if rank is None else rank,
            followees=state.graph.spans[0],
        )

    def reader(self, viewer: int, *, views: bool) -> saying.Reader:
        """`views`: whether any posts are known that the viewer has seen."""
        users = self._state.about_users
        device = self._state.logins.device(viewer)
        return saying.Reader(viewer, users.language(viewer), users.location(viewer), device, views)
