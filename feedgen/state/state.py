"""State: what the events add up to. One writer folds; batches of generation read between folds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.config import State as StateSettings
from feedgen.events import Event
from feedgen.state.attributes import PostAttributes, UserAttributes
from feedgen.state.changes import Changes
from feedgen.state.columns import Column, Composite, Part
from feedgen.state.engagement import KIND, KINDS, Decay, Engagement, by_half_life
from feedgen.state.graph import BLOCK, MUTE, Graph
from feedgen.state.impressions import Impressions
from feedgen.state.logins import Logins, device_code
from feedgen.state.posts import Posts
from feedgen.state.presence import DEED, VISITS, Presence
from feedgen.state.symbols import Symbols

_DAY_S = 86_400.0
_AT_ONCE: Final = 8_192
"""Events folded together: enough for what is done once for each type, and little memory."""

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def kind_weights(ranking: Ranking) -> dict[str, float]:
    """What one engagement of each kind counts; kinds without a setting count nothing."""
    return {kind: getattr(ranking, kind) for kind in KINDS if hasattr(ranking, kind)}


def weights_by_kind(ranking: Ranking) -> NDArray[np.float64]:
    """The same, in the order of KINDS; float64."""
    weights = kind_weights(ranking)
    return np.array([weights.get(kind, 0.0) for kind in KINDS])


class State(Composite):
    """All columns. `watermark` is the log offset they stand at.

    Events may come late, twice (the log sees to that) or out of order: the state they end in is the same. So those of
    one type are folded together, as arrays.
    """

    def __init__(self, settings: StateSettings, ranking: Ranking) -> None:
        self.users = Symbols()
        self.post_ids = Symbols()
        self.topic_names = Symbols()
        self.languages = Symbols()
        self.graph = Graph()
        self.changes = Changes()
        self.views = Changes()
        """Which posts were seen."""
        retention_s = settings.retention_days * _DAY_S
        self.posts = Posts(self.post_ids, retention_s, settings.posts_per_author, self.changes)
        self.about_users = UserAttributes(self.languages)
        self.about_posts = PostAttributes(self.topic_names, self.languages, self.about_users.locations)
        popularity = Decay(kind_weights(ranking), by_half_life(ranking.engagement_half_life_hours))
        tallied = self.posts.engaged, self.changes
        self.engagement = Engagement(popularity, *tallied, self.post_ids, settings.engaged_per_viewer)
        seen = settings.seen_days, settings.seen_per_viewer
        self.impressions = Impressions(self.post_ids, *seen, self.posts.viewed, self.views)
        self.logins = Logins()
        self.presence = Presence()
        self._watermark = Column(np.int64, 0, 1)
        self._forgot_on = 0
        self._folds: dict[str, Callable[[Sequence[Event], Ints, Floats], None]] = {
            "follow": self._follow,
            "unfollow": self._follow,
            **dict.fromkeys(("block", "unblock", "mute", "unmute"), self._bar),
            "user": self._describe,
            "post": self._create,
            "edit": self._edit,
            "review": self._review,
            "delete": self._delete,
            **dict.fromkeys(("like", "unlike"), self._like),
            **dict.fromkeys(("comment", "share", "save", "click", "dwell"), self._engage),
            **dict.fromkeys(("hide", "report", "not_interested"), self._reject),
            "view": self._view,
            "serve": self._serve,
            "login": self._login,
        }

    def _parts(self) -> Mapping[str, Part]:
        return {
            "users": self.users,
            "post_ids": self.post_ids,
            "topic_names": self.topic_names,
            "languages": self.languages,
            "graph": self.graph,
            "posts": self.posts,
            "about_posts": self.about_posts,
            "about_users": self.about_users,
            "engagement": self.engagement,
            "impressions": self.impressions,
            "logins": self.logins,
            "presence": self.presence,
            "watermark": self._watermark,
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See columns.Part."""
        super().restore(columns)
        self.changes.forget()
        self.views.forget()

    @property
    def watermark(self) -> int:
        """The log offset of the last event folded, or passed over."""
        return int(self._watermark[0])

    @watermark.setter
    def watermark(self, offset: int) -> None:
        self._watermark[0] = offset

    def nbytes(self) -> dict[str, int]:
        """By part: bytes its columns hold; room to grow takes no memory before it is used. O(columns)."""
        found: dict[str, int] = {}
        for name, values in self.columns().items():
            part = name.partition(".")[0]
            found[part] = found.get(part, 0) + values.nbytes
        return found

    def fold(self, events: Iterable[tuple[int, Event]]) -> None:
        """Apply (offset, event) pairs in log order. About 3 µs an event (docs/performance.md)."""
        coming = iter(events)
        while some := list(islice(coming, _AT_ONCE)):
            self._fold([event for _, event in some])
            self.watermark = some[-1][0]

    def _fold(self, events: Sequence[Event]) -> None:
        actors = self.users.intern_many([event.actor for event in events])
        ts = np.array([event.ts for event in events])
        by_fold: dict[Callable[..., None], list[int]] = {}
        served = []
        for at, event in enumerate(events):
            fold = self._folds.get(event.type)  # a logout is for presence alone
            if fold is not None:
                by_fold.setdefault(fold, []).append(at)
            if event.type == "serve":
                served.append(at)
        kinds = np.array([VISITS.get(event.type, DEED) for event in events], np.int8)
        deeds = actors, ts, kinds
        if served:  # what is sent to a viewer is no deed of the viewer
            deeds = np.delete(actors, served), np.delete(ts, served), np.delete(kinds, served)
        self.logins.act_many(*deeds[:2])
        self.presence.add(deeds[0].astype(np.int64), np.floor(deeds[1]), deeds[2])
        for fold, found in by_fold.items():
            fold([events[at] for at in found], actors[found], ts[found])
        self.posts.reach()
        self.about_posts.reach(len(self.post_ids))
        self.engagement.touched.reach(len(self.post_ids))
        if self.posts.newest_day > self._forgot_on:  # no reader sees the difference
            self.engagement.forget(self.posts.expired())
            self._forgot_on = self.posts.newest_day

    def by_last_activity(self, since: float = 0.0) -> list[str]:
        """Who did anything since then (s), the latest first, ties by id. O(viewers log viewers)."""
        last, name = self.logins.last_active, self.users.name
        active = self.logins.active_since(since).tolist()
        return [name(viewer) for viewer in sorted(active, key=lambda viewer: (-last(viewer), name(viewer)))]

    def _follow(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        on = np.array([event.type == "follow" for event in events])
        self.graph.follow_many(actors, self._users(events), on, ts, _ids(events))

    def _bar(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        way = np.array([BLOCK if event.type.endswith("block") else MUTE for event in events])
        on = np.array([event.type in {"block", "mute"} for event in events])
        self.graph.bar_many(actors, self._users(events), way, on, ts, _ids(events))

    def _describe(self, events: Sequence[Event], actors: Ints, _: Floats) -> None:
        for actor, event in zip(actors.tolist(), events, strict=True):
            self.about_users.describe(actor, event.ts, event.id, event.attrs)
            if "utc_offset_min" in event.attrs:
                self.presence.habits.locate(actor, self.about_users.said(actor, "utc_offset_min"))

    def _create(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        posts = self._posts(events)
        won = self.posts.create_many(posts, actors, ts, _ids(events))
        self.about_posts.reach(len(self.post_ids))
        for at in np.flatnonzero(won).tolist():
            self.about_posts.create(int(posts[at]), events[at].ts, events[at].attrs)

    def _edit(self, events: Sequence[Event], _: Ints, __: Floats) -> None:
        posts = self._posts(events)
        self.changes.note(posts)
        for post, event in zip(posts.tolist(), events, strict=True):
            self.about_posts.reach(post + 1)
            self.about_posts.edit(post, event.ts, event.id, event.attrs, self.posts.created_at(post))

    def _review(self, events: Sequence[Event], _: Ints, __: Floats) -> None:
        for post, event in zip(self._posts(events).tolist(), events, strict=True):
            self.posts.review(post, event.attrs["state"] != "approved", event.ts, event.id)

    def _delete(self, events: Sequence[Event], _: Ints, __: Floats) -> None:
        for post in self._posts(events).tolist():
            self.posts.delete(post)

    def _like(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        on = np.array([event.type == "like" for event in events])
        kinds = np.full(len(events), KIND["like"])
        self.engagement.switch_many(actors, self._posts(events), kinds, on, ts, _ids(events))

    def _engage(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        self.engagement.engage_many(actors, self._posts(events), _kinds(events), ts)

    def _reject(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        posts, on = self._posts(events), np.ones(len(events), np.bool_)
        for actor, post in zip(actors.tolist(), posts.tolist(), strict=True):
            self.impressions.hide(actor, post)
        self.engagement.switch_many(actors, posts, _kinds(events), on, ts, _ids(events))

    def _view(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        self.impressions.see_many(*self._lists(events, actors, ts))

    def _serve(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        self.impressions.served.add_many(*self._lists(events, actors, ts))

    def _login(self, events: Sequence[Event], actors: Ints, ts: Floats) -> None:
        devices = [device_code(event.attrs.get("device")) for event in events]
        self.logins.login_many(actors, ts, np.array(devices, np.uint8))

    def _lists(self, events: Sequence[Event], actors: Ints, ts: Floats) -> tuple[Ints, Ints, Floats]:
        """Viewer, post and time of each post in a list."""
        lists = [event.attrs["objects"] for event in events]
        row = np.repeat(np.arange(len(lists)), [len(objects) for objects in lists])
        return actors[row], self.post_ids.intern_many(list(chain.from_iterable(lists))), ts[row]

    def _users(self, events: Sequence[Event]) -> Ints:
        return self.users.intern_many([event.object or "" for event in events])

    def _posts(self, events: Sequence[Event]) -> Ints:
        return self.post_ids.intern_many([event.object or "" for event in events])


def _ids(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events]


def _kinds(events: Sequence[Event]) -> NDArray[np.int64]:
    return np.array([KIND[event.type] for event in events])
