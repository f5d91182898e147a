"""A plain twin of state and pipeline: what design.md §5.1 and §6 say, written as directly as Python lets one.

It looks at the whole set of events at once, so no order of arrival can matter to it. Numpy is used for nothing but
logarithms and powers, whose last bit must be the same.
"""

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feedgen.config import Settings
from feedgen.events import ENGAGEMENTS, FEEDBACK, Event
from feedgen.feed.record import FeedItem

HOUR_S, DAY_S, UNIT = 3_600, 86_400, 1 << 20


@dataclass
class Post:
    """A post as its own event and its edits made it."""

    author: str
    created: float
    about: dict[str, Any]

    @property
    def topics(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(self.about.get("topics", [])))


@dataclass
class Twin:
    """The state as dictionaries of outside ids, and the feeds that follow from it."""

    settings: Settings
    year: int
    """The year it is."""
    watermark: int
    """The offset of the last event."""
    people: set[str] = field(default_factory=set)
    about: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    """What users say about themselves."""
    posts: dict[str, Post] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    withheld: dict[str, bool] = field(default_factory=dict)
    follows: set[tuple[str, str]] = field(default_factory=set)
    barred: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    hidden: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    engaged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    standing: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Engagements not taken back: viewer, post, kind, hour."""
    views: list[tuple[str, str, int]] = field(default_factory=list)
    logins: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event], settings: Settings, year: int = 2_023) -> "Twin":
        """What these events add up to."""
        in_time = sorted(events, key=lambda e: (e.ts, e.id))
        twin = cls(settings, year, len(in_time))
        for event in in_time:
            twin.people.add(event.actor)
            if event.type == "user":
                twin.about[event.actor].update(event.attrs)
        twin._relations(in_time)
        twin._posts(in_time)
        twin._reactions(in_time)
        return twin

    def _relations(self, in_time: list[Event]) -> None:
        switches = {"follow": True, "unfollow": False, "block": True, "unblock": False, "mute": True, "unmute": False}
        stands: dict[tuple[str, str, str], bool] = {}
        for event in in_time:
            if event.type in switches:
                assert event.object is not None
                self.people.add(event.object)
                stands[event.type.removeprefix("un"), event.actor, event.object] = switches[event.type]
        for (kind, actor, target), on in stands.items():
            if on and kind == "follow":
                self.follows.add((actor, target))
            elif on:
                self.barred[actor].add(target)
                if kind == "block":
                    self.barred[target].add(actor)

    def _posts(self, in_time: list[Event]) -> None:
        for event in in_time:
            if event.type == "post" and event.object not in self.posts:
                self.posts[str(event.object)] = Post(event.actor, event.ts, dict(event.attrs))
        for event in in_time:
            post = self.posts.get(str(event.object))
            if event.type == "edit" and post and event.ts >= post.created:
                post.about.update(event.attrs)
            if event.type == "delete":
                self.deleted.add(str(event.object))
            if event.type == "review":
                self.withheld[str(event.object)] = event.attrs["state"] != "approved"

    def public(self, post: str) -> bool:
        """Whether it is neither taken back nor kept back by moderation."""
        return post not in self.deleted and not self.withheld.get(post, False)

    def _reactions(self, in_time: list[Event]) -> None:
        likes: dict[tuple[str, str], Event] = {}
        for event in in_time:
            target = str(event.object)
            if event.type in ENGAGEMENTS:
                self.engaged[event.actor].add(target)
                if event.type in {"like", "unlike"}:
                    likes[event.actor, target] = event
                else:
                    self.standing.append((event.actor, target, event.type, int(event.ts // HOUR_S)))
            elif event.type in FEEDBACK:
                self.hidden[event.actor].add(target)
            elif event.type == "view":
                self.views += [(event.actor, item, int(event.ts // DAY_S)) for item in event.attrs["objects"]]
            elif event.type == "login":
                self.logins[event.actor] = event.ts
        for (viewer, post), event in likes.items():
            if event.type == "like":
                self.standing.append((viewer, post, "like", int(event.ts // HOUR_S)))

    def seen(self, viewer: str, now: float) -> set[str]:
        """Posts the viewer has seen lately, or ever engaged with."""
        since = now // DAY_S - self.settings.state.seen_days
        last: dict[str, int] = {}
        for who, post, day in self.views:
            if who == viewer and day >= since:
                last[post] = max(day, last.get(post, day))
        latest = sorted(last, key=lambda post: (-last[post], post))
        return {*latest[: self.settings.state.seen_per_viewer], *self.engaged[viewer]}

    def recent(self, author: str) -> list[str]:
        """The author's newest posts that are kept, newest first."""
        theirs = [post for post, it in self.posts.items() if it.author == author]
        oldest_first = sorted(theirs, key=lambda post: (self.posts[post].created, post))
        return oldest_first[-self.settings.state.posts_per_author :][::-1]

    def network(self, viewer: str, now: float) -> dict[str, int]:
        """Retained posts of the viewer's followees, and the place of each among its author's, newest first."""
        since = now - self.settings.state.retention_days * DAY_S
        found: dict[str, int] = {}
        for author in {author for who, author in self.follows if who == viewer}:
            retained = [post for post in self.recent(author) if since <= self.posts[post].created <= now]
            found.update({post: place for place, post in enumerate(retained)})
        return found

    def decayed(self, kind: str, hour: int, now: float, half_life_hours: float) -> int:
        """What an engagement counts at `now`, in UNITs."""
        age = max(int(now // HOUR_S) - hour, 0)
        weight = getattr(self.settings.ranking, kind, 0.0) * np.exp2(np.float64(-age / half_life_hours))
        return round(float(weight * UNIT))

    def popularity(self, now: float) -> Counter[str]:
        """Decayed engagements of everyone, by post."""
        total: Counter[str] = Counter()
        for _, post, kind, hour in self.standing:
            total[post] += self.decayed(kind, hour, now, self.settings.ranking.engagement_half_life_hours)
        return total

    def trending(self, now: float) -> list[str]:
        """The most popular posts of everyone at the end of the hour."""
        popular = self.popularity(now)
        end = (now // HOUR_S + 1) * HOUR_S
        since = end - self.settings.state.retention_days * DAY_S
        alive = [p for p, it in self.posts.items() if self.public(p) and since <= it.created < end]
        best = sorted(alive, key=lambda p: (-popular[p], -self.posts[p].created, p))
        return [p for p in best[: self.settings.feed.items] if self.posts[p].created <= now]

    def for_everyone(self, now: float) -> list[str]:
        """The trending posts that are fit for whoever it is."""
        fit = [post for post in self.trending(now) if not self.posts[post].about.get("sensitive", False)]
        return [post for post in fit if not self.posts[post].about.get("min_age", 0)]

    def candidates(self, viewer: str, now: float) -> dict[str, str]:
        """Post → the source that named it first."""
        limits = self.settings.selection
        network, seen, popular = self.network(viewer, now), self.seen(viewer, now), self.popularity(now)
        login = self.logins.get(viewer, -np.inf)
        new = [p for p in network if self.posts[p].created > login]
        if len(new) > limits.new_cap:
            new = [p for p in new if p not in seen]
            new = sorted(new, key=lambda p: (network[p], -self.posts[p].created, p))[: limits.new_cap]
        room = max(0, limits.fetch_cap - len(new) - limits.trending_cap)
        old = [p for p in network if self.posts[p].created <= login and p not in seen]
        old = sorted(old, key=lambda p: (-popular[p], -self.posts[p].created, p))[:room]
        room = min(limits.trending_cap, limits.fetch_cap - len(new) - len(old))
        near = {viewer, *(author for who, author in self.follows if who == viewer)}
        beyond = [p for p in self.trending(now) if p not in seen and self.posts[p].author not in near][:room]
        found: dict[str, str] = {}
        for name, posts in (("followed", new), ("popular", old), ("trending", beyond)):
            for post in posts:
                found.setdefault(post, name)
        return found

    def may_see(self, viewer: str, post: str) -> bool:
        """Whether the post is neither taken back, nor by someone barred, nor unwanted."""
        author = self.posts[post].author
        return (
            self.public(post)
            and self.fit(viewer, post)
            and author not in self.barred[viewer]
            and post not in self.hidden[viewer]
        )

    def fit(self, viewer: str, post: str) -> bool:
        """Whether the viewer is of the age for it, and it is neither too sensitive nor too foreign from a stranger."""
        it, who, limits = self.posts[post], self.about[viewer], self.settings.selection
        near = it.author == viewer or (viewer, it.author) in self.follows
        age = max(0, self.year - who["birth_year"]) if "birth_year" in who else None
        if it.about.get("min_age", 0) > (age or 0):
            return False
        if it.about.get("sensitive", False) and (not near if age is None or age >= limits.adult_age else True):
            return False
        language, own = it.about.get("language"), who.get("language")
        return near or not own or not language or language in {own, limits.common_language}

    def score(self, viewer: str, post: str, now: float) -> float:
        """Σ weight × feature."""
        ranking, it = self.settings.ranking, self.posts[post]
        affinity = 0
        tastes: Counter[str] = Counter()
        for who, liked, kind, hour in self.standing:
            if who != viewer:
                continue
            its = self.posts.get(liked)
            if its is not None and its.author == it.author:
                affinity += self.decayed(kind, hour, now, ranking.affinity_half_life_days * 24)
            tastes.update(self.topics(liked))
        match = 0.0
        for topic in it.topics:
            match += np.log1p(np.float64(tastes[topic]))
        features = (
            (-np.log1p(np.float64((now - it.created) / (ranking.recency_scale_hours * HOUR_S))), "recency"),
            (np.log(np.float64(0.1 + max(affinity, 0) / UNIT)), "affinity"),
            (np.log1p(np.float64(max(self.popularity(now)[post], 0) / UNIT)), "engagement"),
            (np.log(np.float64(0.1 + match / (1.0 + len(it.topics)))), "topic"),
        )
        total = 0.0
        for value, name in features:
            total += float(value) * getattr(ranking, f"{name}_weight")
        return total

    def topics(self, post: str) -> list[str]:
        """Topics of a post; of one whose own event never came, none."""
        return self.posts[post].topics if post in self.posts else []

    def beyond_rate(self, post: str) -> bool:
        """Whether its author had posted as often as is usual within the 24 hours before it."""
        it, theirs = self.posts[post], self.recent(self.posts[post].author)[::-1]
        earlier = theirs[: theirs.index(post)] if post in theirs else []
        close = [p for p in earlier if it.created - self.posts[p].created < DAY_S]
        return len(close) >= self.settings.spam.posts_per_day

    def feed(self, viewer: str, now: float) -> list[FeedItem] | None:
        """The viewer's feed, best first; None for one never seen."""
        if viewer not in self.people:
            return None
        source = self.candidates(viewer, now)
        seen = self.seen(viewer, now)
        kept = [p for p in source if self.posts[p].author != viewer and self.may_see(viewer, p) and p not in seen]
        loss = {p: self.settings.spam.penalty * self.beyond_rate(p) for p in kept}
        scores = {p: self.score(viewer, p, now) - loss[p] for p in kept}
        best = sorted(kept, key=lambda p: (-scores[p], p))[: self.settings.feed.items]
        worth = self.in_turns({p: scores[p] for p in best}, now)
        shown = self.explored(self.parted(list(worth)), viewer, now)
        return [FeedItem(p, self.posts[p].author, worth[p], source[p], self.posts[p].created) for p in shown]

    def in_turns(self, scores: dict[str, float], now: float) -> dict[str, float]:
        """Again and again the best next item, when each earlier one of its author costs a penalty."""
        rules, left = self.settings.diversity, list(scores)
        low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
        taken: Counter[str] = Counter()
        feed: dict[str, float] = {}
        while left:
            worth = {}
            for post in left:
                normal = (scores[post] - low) / (high - low) if high > low else 0.0
                fresh = now - self.posts[post].created < rules.fresh_hours * HOUR_S
                lifted = normal + (rules.fresh_lift if fresh else 0.0)
                worth[post] = lifted - rules.author_penalty * taken[self.posts[post].author]
            post = min(left, key=lambda p: (-worth[p], -scores[p], p))
            feed[post] = worth[post]
            left.remove(post)
            taken[self.posts[post].author] += 1
        return feed

    def parted(self, feed: list[str]) -> list[str]:
        """Place by place, whoever shows the same as the one above goes down, until the next one does not."""
        feed = list(feed)
        media = [self.posts[post].about.get("media", "none") for post in feed]
        down = self.settings.diversity.media_places
        for at in range(1, len(feed)):
            same = [media[at - 1]] * (down + 1)
            if media[at - 1] == "none" or media[at : at + down + 1] == same[: len(feed) - at]:
                continue
            while media[at] == media[at - 1]:
                feed.insert(at + down, feed.pop(at))
                media.insert(at + down, media.pop(at))
        return feed

    def explored(self, feed: list[str], viewer: str, now: float) -> list[str]:
        """Place by place, now and then one drawn from all that are left."""
        rules = self.settings.diversity
        key = f"{rules.seed} {self.watermark}.{round(now * 1000)} {viewer}"
        draws = hashlib.shake_128(key.encode()).digest(8 * len(feed))
        left, shown = list(feed), []
        for place in range(len(feed)):
            whether, which = struct.unpack_from("<II", draws, 8 * place)
            drawn = which * len(left) >> 32 if whether / (1 << 32) < rules.explore_share else 0
            shown.append(left.pop(drawn))
        return shown

    def older(self, viewer: str, until: float) -> list[str]:
        """Every retained network post the viewer may see, newest first."""
        allowed = [p for p in self.network(viewer, until) if self.may_see(viewer, p)]
        return sorted(allowed, key=lambda p: (-self.posts[p].created, p))
