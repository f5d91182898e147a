"""State: what the events add up to. One writer folds; batches of generation read between folds."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.config import State as StateSettings
from feedgen.events import Event
from feedgen.state.attributes import PostAttributes, UserAttributes
from feedgen.state.engagement import KINDS, Decay, Engagement, by_half_life
from feedgen.state.graph import Graph
from feedgen.state.impressions import Impressions
from feedgen.state.logins import Logins
from feedgen.state.posts import Posts
from feedgen.state.symbols import Symbols

_DAY_S = 86_400.0


def kind_weights(ranking: Ranking) -> dict[str, float]:
    """What one engagement of each kind counts; kinds without a setting count nothing."""
    return {kind: getattr(ranking, kind) for kind in KINDS if hasattr(ranking, kind)}


def weights_by_kind(ranking: Ranking) -> NDArray[np.float64]:
    """The same, in the order of KINDS; float64."""
    weights = kind_weights(ranking)
    return np.array([weights.get(kind, 0.0) for kind in KINDS])


class State:
    """All columns. `watermark` is the log offset they stand at.

    Events may come late, twice (the log sees to that) or out of order: the state they end in is the same.
    """

    def __init__(self, settings: StateSettings, ranking: Ranking) -> None:
        self.users = Symbols()
        self.post_ids = Symbols()
        self.topic_names = Symbols()
        self.languages = Symbols()
        self.graph = Graph()
        self.posts = Posts(self.post_ids, settings.retention_days * _DAY_S, settings.posts_per_author)
        self.about_posts = PostAttributes(self.topic_names, self.languages)
        self.about_users = UserAttributes(self.languages)
        self.engagement = Engagement(Decay(kind_weights(ranking), by_half_life(ranking.engagement_half_life_hours)))
        self.impressions = Impressions(self.post_ids, settings.seen_days, settings.seen_per_viewer)
        self.logins = Logins()
        self.watermark = 0
        self._folds: dict[str, Callable[[Event, int, Any], None]] = {
            "follow": lambda e, actor, _: self.graph.follow(actor, self._user(e), True, e.ts, e.id),
            "unfollow": lambda e, actor, _: self.graph.follow(actor, self._user(e), False, e.ts, e.id),
            "block": lambda e, actor, _: self.graph.block(actor, self._user(e), True, e.ts, e.id),
            "unblock": lambda e, actor, _: self.graph.block(actor, self._user(e), False, e.ts, e.id),
            "mute": lambda e, actor, _: self.graph.mute(actor, self._user(e), True, e.ts, e.id),
            "unmute": lambda e, actor, _: self.graph.mute(actor, self._user(e), False, e.ts, e.id),
            "user": lambda e, actor, attrs: self.about_users.describe(actor, e.ts, e.id, attrs),
            "post": self._create,
            "edit": self._edit,
            "review": lambda e, _, attrs: self.posts.review(self._post(e), attrs["state"] != "approved", e.ts, e.id),
            "delete": lambda e, _, __: self.posts.delete(self._post(e)),
            "like": lambda e, actor, _: self.engagement.like(actor, self._post(e), True, e.ts, e.id),
            "unlike": lambda e, actor, _: self.engagement.like(actor, self._post(e), False, e.ts, e.id),
            "comment": self._engage,
            "share": self._engage,
            "save": self._engage,
            "click": self._engage,
            "dwell": self._engage,
            "hide": self._hide,
            "report": self._hide,
            "not_interested": self._hide,
            "view": lambda e, actor, attrs: self.impressions.see(actor, self._posts_of(attrs), e.ts),
            "serve": lambda e, actor, attrs: self.impressions.served.add(actor, self._posts_of(attrs), e.ts),
            "login": lambda e, actor, _: self.logins.login(actor, e.ts),
        }

    def fold(self, events: Iterable[tuple[int, Event]]) -> None:
        """Apply (offset, event) pairs in log order. O(events)."""
        intern, act, folds = self.users.intern, self.logins.act, self._folds
        for offset, event in events:
            actor = intern(event.actor)
            if event.type != "serve":  # what is sent to a viewer is no deed of the viewer
                act(actor, event.ts)
            fold = folds.get(event.type)  # logout: in the log, not yet in state
            if fold is not None:
                fold(event, actor, event.attrs)
            self.watermark = offset
        self.posts.reach()
        self.about_posts.reach(len(self.post_ids))
        self.engagement.touched.reach(len(self.post_ids))

    def _user(self, event: Event) -> int:
        assert event.object is not None
        return self.users.intern(event.object)

    def _post(self, event: Event) -> int:
        assert event.object is not None
        return self.post_ids.intern(event.object)

    def _create(self, event: Event, actor: int, attrs: dict[str, Any]) -> None:
        post = self._post(event)
        if self.posts.create(post, actor, event.ts, event.id):
            self.about_posts.reach(post + 1)
            self.about_posts.create(post, event.ts, attrs)

    def _edit(self, event: Event, _: int, attrs: dict[str, Any]) -> None:
        post = self._post(event)
        self.about_posts.reach(post + 1)
        self.about_posts.edit(post, event.ts, event.id, attrs, self.posts.created_at(post))

    def _engage(self, event: Event, actor: int, _: Any) -> None:
        self.engagement.engage(actor, self._post(event), event.type, event.ts)

    def _hide(self, event: Event, actor: int, _: Any) -> None:
        post = self._post(event)
        self.impressions.hide(actor, post)
        self.engagement.reject(actor, post, event.type, event.ts, event.id)

    def _posts_of(self, attrs: dict[str, Any]) -> list[int]:
        return [self.post_ids.intern(item) for item in attrs["objects"]]
