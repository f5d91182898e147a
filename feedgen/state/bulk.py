"""Large networks into the state as arrays, without touching a row in Python: the same state as folding the events.

The events of a bulk have the id "", so an event of the log with the same time wins over them. Users and posts are given
by dense index (`Symbols.intern_bytes`, `Symbols.intern_numbered`), times in seconds. A bulk goes to a state in parts of
any size; a part that is ascending by viewer, or post, is quicker.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.attributes import Described
from feedgen.state.engagement import AGAINST, KIND
from feedgen.state.state import State

Indices = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]


class Bulk:
    """Loads arrays into a state. One writer, as for folding. Arrays of a call have one length."""

    def __init__(self, state: State) -> None:
        self._state = state

    def users(self, users: Indices, ts: Floats, about: Mapping[str, Indices]) -> None:
        """`user` events, one a user, before any others: values by field, see UserAttributes.describe_bulk.

        Raises ValueError where a user has said something before.
        """
        self._state.logins.act_many(users, ts)
        for name, values in about.items():
            self._state.about_users.describe_bulk(users, name, values, ts)

    def follows(self, viewers: Indices, authors: Indices, ts: Floats) -> None:
        """About 0.1 µs a follow."""
        self._state.logins.act_many(viewers, ts)
        self._state.graph.follow_many(viewers, authors, np.ones(len(viewers), np.bool_), ts, None)

    def posts(self, posts: Indices, authors: Indices, ts: Floats, about: Described | None = None) -> None:
        """Posts that nobody claimed before, each once, and what they say about themselves.

        Raises ValueError where one was, or has a topic twice, or any post was edited before.
        """
        state = self._state
        state.posts.reach()
        if len(np.unique(posts)) < len(posts) or (state.posts.author[posts] >= 0).any():
            raise ValueError("a post is there twice")
        state.about_posts.reach(len(state.post_ids))
        if about is not None:
            state.about_posts.create_bulk(posts, about)
        state.logins.act_many(authors, ts)
        state.posts.create_many(posts, authors, ts, None)
        self._reach()

    def engagements(self, viewers: Indices, posts: Indices, kinds: Indices, ts: Floats) -> None:
        """By place in KINDS. Given twice, a comment, share, save, click or dwell counts twice, others once.

        `hide`, `report` and `not_interested` are looked at one by one.
        """
        state, like, against = self._state, kinds == KIND["like"], kinds >= AGAINST
        state.logins.act_many(viewers, ts)
        for viewer, post in zip(viewers[against].tolist(), posts[against].tolist(), strict=True):
            state.impressions.hide(viewer, post)
        switched = like | against
        some = np.flatnonzero(switched)
        on = np.ones(len(some), np.bool_)
        state.engagement.switch_many(viewers[some], posts[some], kinds[some], on, ts[some], None)
        some = np.flatnonzero(~switched)
        state.engagement.engage_many(viewers[some], posts[some], kinds[some], ts[some], bulk=True)
        self._reach()

    def views(self, viewers: Indices, posts: Indices, ts: Floats) -> None:
        """One post seen by one viewer each."""
        self._state.logins.act_many(viewers, ts)
        self._state.impressions.see_many(viewers, posts, ts, bulk=True)
        self._reach()

    def logins(self, viewers: Indices, ts: Floats, devices: NDArray[np.uint8] | None = None) -> None:
        """When viewers logged in, and on what (codes, see Logins)."""
        self._state.logins.act_many(viewers, ts)
        self._state.logins.login_many(viewers, ts, devices)

    def _reach(self) -> None:
        self._state.posts.reach()
        self._state.about_posts.reach(len(self._state.post_ids))
        self._state.engagement.touched.reach(len(self._state.post_ids))
