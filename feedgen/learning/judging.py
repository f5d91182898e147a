"""What a login wanted, and how near to the top the orders of its candidates put it; plain orders beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.learning.dataset import Outcomes
from feedgen.learning.history import History
from feedgen.learning.orders import DEPTH, FIGURES, Scores, figures
from feedgen.learning.player import Login
from feedgen.ranking.dataset import ENGAGED
from feedgen.ranking.features import FEATURES
from feedgen.selection.ordering import best
from feedgen.shortlist import Shortlist
from feedgen.state.columns import Column
from feedgen.state.state import State

_DAY_S: Final = 86_400.0
_OPEN_DAYS: Final = 30.0
_AFFINITY: Final = FEATURES.index("affinity_long")
ORDERS: Final = ("ranked", "served", "newest", "popularity", "affinity_recency")
"""Ours before and after diversity; newest first; most engaged with lately; affinity to the author over age."""
KINDS: Final = ("open", "all")
"""`open`: posts of followees of the last 30 days that nobody has engaged with yet, and only such: where an engagement
closes a post, others can only be wrong. `all`: every post of others that the viewer had not engaged with."""
Posts = NDArray[np.int32]


@dataclass
class Judged:
    """Of a span of time. `scores`: by kind and order, a row a login that wanted something; `about`: what those logins
    were like, a row each (logins of the last 30 days, followees). `stood_in`: logins at which something else than the
    model had to rank. `active`: who came; `gained`: by order, the worth of what viewers did with the first 20 items
    within the horizon; `against`: how often they hid or reported one.
    """

    logins: int = 0
    stood_in: int = 0
    scores: dict[str, dict[str, Scores]] = field(
        default_factory=lambda: {kind: {order: Scores() for order in ORDERS} for kind in KINDS}
    )
    about: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    active: set[str] = field(default_factory=set)
    gained: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ORDERS, 0.0))
    against: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ORDERS, 0))

    def extend(self, other: "Judged") -> None:
        """A later span."""
        self.logins += other.logins
        self.stood_in += other.stood_in
        self.active |= other.active
        for order in ORDERS:
            self.gained[order] += other.gained[order]
            self.against[order] += other.against[order]
        for kind in KINDS:
            self.about[kind] += other.about[kind]
            for order in ORDERS:
                self.scores[kind][order].extend(other.scores[kind][order])


class Touched:
    """By post: whether anyone has engaged with it by the login that is asked about. O(events) in all."""

    def __init__(self, history: History) -> None:
        self._events = history.events
        self._done = 0
        self._column = Column(np.bool_, False)

    def at(self, login: Login, state: State) -> NDArray[np.bool_]:
        """Up to the login. Asked in the order of time."""
        self._column.reach(len(state.post_ids))
        for event in self._events[self._done : login.place]:
            if event.type in ENGAGED and event.object is not None:
                self._column.values[state.post_ids.intern(event.object)] = True
        self._done = login.place
        return self._column.values


class Judge:
    """Judges the feeds of logins, one after the other in the order of time."""

    def __init__(self, history: History, state: State, outcomes: Outcomes, worth: Mapping[str, float]) -> None:
        """`worth`: what each action is worth, negative for those against a post."""
        self._state = state
        self._outcomes = outcomes
        self._worth = worth
        self._touched = Touched(history)
        self.judged = Judged()

    def judge(self, login: Login, feed: Shortlist) -> None:
        """O(candidates log candidates) where something was done after the login, else O(1)."""
        touched = self._touched.at(login, self._state)
        judged, done = self.judged, self._done(login)
        judged.logins += 1
        judged.active.add(login.name)
        if not done:
            return
        orders = self._orders(feed)
        for name, posts in orders.items():
            for post in posts[:DEPTH].tolist():
                for action in done.get(post, ()):
                    judged.gained[name] += self._worth[action]
                    judged.against[name] += self._worth[action] < 0
        wanted = np.array([post for post, kinds in done.items() if kinds & set(ENGAGED)], np.int32)
        wanted = wanted[self._state.posts.author[wanted] != login.viewer]
        open_ones = self._open(login, feed, wanted, touched)
        new = wanted[~np.isin(wanted, feed.context.favoured)]
        for kind, posts in (("open", open_ones), ("all", new)):
            if not len(posts):
                continue
            judged.about[kind].append(self._about(login, feed))
            for name, each in orders.items():
                kept = each[~touched[each]] if kind == "open" else each
                judged.scores[kind][name].add(login.name, figures(kept, posts))

    def _done(self, login: Login) -> dict[int, set[str]]:
        """What was done with posts that were there at the login."""
        found = ((self._state.post_ids.find(post), kinds) for post, kinds in self._outcomes.after(login).items())
        there = {post: kinds for post, kinds in found if post is not None}
        created = self._state.posts.created_at
        return {
            post: kinds for post, kinds in there.items() if (made := created(post)) is not None and made <= login.ts
        }

    def _open(self, login: Login, feed: Shortlist, wanted: Posts, touched: NDArray[np.bool_]) -> Posts:
        posts = self._state.posts
        recent = posts.created[wanted] >= login.ts - _OPEN_DAYS * _DAY_S
        return wanted[recent & ~touched[wanted] & np.isin(posts.author[wanted], feed.context.followees)]

    def _about(self, login: Login, feed: Shortlist) -> tuple[int, int]:
        return self._outcomes.came(login), len(feed.context.followees)

    def _orders(self, feed: Shortlist) -> dict[str, Posts]:
        posts, context = feed.considered, feed.context
        created, names = self._state.posts.created[posts], self._state.post_ids.names
        days = 1.0 + np.maximum(context.now - created, 0.0) / _DAY_S
        keys = {
            "newest": (-created,),
            "popularity": (-context.epoch.popularity[posts], -created),
            "affinity_recency": (-np.expm1(feed.features[:, _AFFINITY]) / days, -created),
        }
        plain = {name: posts[best(names, posts, len(posts), *key)] for name, key in keys.items()}
        return {"ranked": feed.order, "served": feed.posts, **plain}


def summary(judged: Judged) -> dict[str, object]:
    """For people and programs: figures by kind and order, the cost of diversity, worth per viewer who came."""
    viewers = max(len(judged.active), 1)
    answer: dict[str, object] = {"logins": judged.logins, "viewers": len(judged.active), "stood_in": judged.stood_in}
    for kind in KINDS:
        scores = judged.scores[kind]
        answer[kind] = {
            "queries": len(scores["ranked"].rows),
            **{name: each.summary() for name, each in scores.items()},
        }
    answer["lost_to_diversity"] = {kind: _lost(judged.scores[kind]) for kind in KINDS}
    answer["first_20"] = {
        order: {
            "worth_per_viewer": round(judged.gained[order] / viewers, 4),
            "against_per_viewer": round(judged.against[order] / viewers, 4),
        }
        for order in ORDERS
    }
    return answer


def _lost(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """What diversity took from each figure, login by login."""
    if not scores["ranked"].rows:
        return {}
    pairs = zip(scores["ranked"].rows, scores["served"].rows, strict=True)
    lost = [tuple(np.subtract(before, after).tolist()) for before, after in pairs]
    return Scores(scores["ranked"].viewers, lost).summary(FIGURES)
