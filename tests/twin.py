"""A plain twin of the pipeline: what design.md §6 says a feed is made of, written as directly as Python lets one.

Only logarithms and powers are not its own, as their last bit must be the same.
"""

import hashlib
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from feedgen.feed.record import FeedItem
from feedgen.ranking import exact
from tests.state_twin import DAY_S, HOUR_S, StateTwin

UNIT = 1 << 20
GRID = 1 << 22
PRIOR_VIEWS = 15.0


class Candidates(NamedTuple):
    """Post → the source that named it first; how many each named; how many of them were named before."""

    source: dict[str, str]
    named: dict[str, int]
    twice: int


def log1p(value: float) -> float:
    """To the last bit as ranking.exact has it, whose tests hold it to the logarithm."""
    return float(exact.ln1p(np.array([value]))[0])


def ln(value: float) -> float:
    """The same."""
    return float(exact.ln(np.array([value]))[0])


def signed(value: float) -> float:
    """±ln(1 + |value|)."""
    return log1p(value) if value >= 0 else -log1p(-value)


def splitmix64(value: int) -> int:
    """The finalizer, as its authors have it."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % (1 << 64)
    return value ^ (value >> 31)


def on_grid(value: float) -> float:
    """A multiple of 2⁻²²."""
    return round(value * GRID) / GRID


@dataclass
class Twin(StateTwin):
    """The state as dictionaries of outside ids, and the feeds that follow from it."""

    def network(self, viewer: str, now: float) -> dict[str, int]:
        """Standing posts of the viewer's followees, and the place of each among its author's, newest first."""
        since = now - self.settings.window_s
        found: dict[str, int] = {}
        for author in self.followees(viewer):
            standing = [post for post in self.recent(author) if self.public(post)]
            retained = [post for post in standing if since <= self.posts[post].created <= now]
            found.update({post: place for place, post in enumerate(retained)})
        return found

    def written(self, viewer: str, now: float) -> list[str]:
        """The viewer's own standing posts."""
        since = now - self.settings.state.retention_days * DAY_S
        standing = [post for post in self.recent(viewer) if self.public(post)]
        return [post for post in standing if since <= self.posts[post].created <= now]

    def near(self, viewer: str) -> set[str]:
        """The viewer, and whom the viewer follows."""
        return {viewer, *self.followees(viewer)}

    def decayed(self, kind: str, hour: int, now: float, half_life_hours: float) -> int:
        """What an engagement counts at `now`, in UNITs."""
        age = max(int(now // HOUR_S) - hour, 0)
        weight = getattr(self.settings.ranking, kind, 0.0) * np.exp2(np.float64(-age / half_life_hours))
        return round(float(weight * UNIT))

    def popularity(self, now: float) -> Counter[str]:
        """Decayed engagements of everyone, by post."""
        total: Counter[str] = Counter()
        for one in self.standing:
            total[one.post] += self.decayed(one.kind, one.hour, now, self.settings.ranking.engagement_half_life_hours)
        return total

    def pool(self, now: float) -> list[str]:
        """Every post that may be shown at the end of the hour, the most popular first."""
        popular = self.popularity(now)
        end = (now // HOUR_S + 1) * HOUR_S
        since = end - self.settings.window_s
        alive = [p for p, it in self.posts.items() if self.public(p) and since <= it.created < end]
        return sorted(alive, key=lambda p: (-popular[p], -self.posts[p].created, p))

    def for_everyone(self, now: float) -> list[str]:
        """The trending posts that are fit for whoever it is."""
        trending = [p for p in self.pool(now)[: self.settings.feed.items] if self.posts[p].created <= now]
        fit = [post for post in trending if not self.posts[post].about.get("sensitive", False)]
        return [post for post in fit if not self.posts[post].about.get("min_age", 0)]

    def grown(self, viewer: str, now: float) -> set[str]:
        """Posts seen, and not more, of which there is much more talk on days after."""
        limits, followees = self.settings.selection, self.followees(viewer)
        found = set()
        for post, day in self.viewed(viewer, now).items():
            if post not in self.posts or self.posts[post].author not in followees or post in self.engaged[viewer]:
                continue
            days = [one.hour // 24 for one in self.standing if one.post == post and one.in_favour]
            after = sum(one > day for one in days)
            if after >= limits.grown_min and after >= limits.grown_times * (len(days) - after):
                found.add(post)
        return found

    def candidates(self, viewer: str, now: float) -> Candidates:
        """What the sources name, one after the other."""
        limits, made = self.settings.selection, {post: it.created for post, it in self.posts.items()}
        network, seen, popular = self.network(viewer, now), self.seen(viewer, now), self.popularity(now)
        login, near, pool = self.logins.get(viewer, -np.inf), self.near(viewer), self.pool(now)
        source: dict[str, str] = {}
        named: dict[str, int] = {}

        def name(reason: str, cap: int, posts: list[str]) -> None:
            posts = posts[: min(cap, limits.fetch_cap - len(source))]
            named[reason] = len(posts)
            for post in posts:
                source.setdefault(post, reason)

        def in_turns_of_authors(posts: list[str]) -> list[str]:
            return sorted(posts, key=lambda p: (network[p], -made[p], p))

        def by_popularity(posts: list[str]) -> list[str]:
            return sorted(posts, key=lambda p: (-popular[p], -made[p], p))

        new = [p for p in network if made[p] > login]
        if len(new) > limits.new_cap:
            new = [p for p in new if p not in seen]
        name("followed", limits.new_cap, in_turns_of_authors(new))
        old = [p for p in network if made[p] <= login and p not in seen]
        since = now - limits.new_followee_days * DAY_S
        lately = [p for p in old if made[p] >= since and self.follows[viewer, self.posts[p].author] > login]
        name("new_followee", limits.new_followee_cap, in_turns_of_authors(lately))
        leave = limits.grown_cap + limits.interest_cap + limits.trending_cap
        name("popular", max(0, limits.fetch_cap - len(source) - leave), by_popularity(old))
        name("grown", limits.grown_cap, by_popularity([p for p in network if p in self.grown(viewer, now)]))
        beyond = [p for p in pool if made[p] <= now and p not in seen and self.posts[p].author not in near]
        taste = self.taste(viewer, now)
        liking = {p: self.match(taste, p) for p in beyond}
        liked = [p for p in beyond if liking[p] > 1.01]
        liked = sorted(liked, key=lambda p: (-liking[p] * max(popular[p] + UNIT, 0), -made[p], p))
        name("interest", limits.interest_cap, liked)
        trending = pool[: self.settings.feed.items]
        name("trending", limits.trending_cap, [p for p in beyond if p in trending])
        return Candidates(source, named, sum(named.values()) - len(source))

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

    def topics(self, post: str) -> list[str]:
        """Topics of a post; of one whose own event never came, none."""
        return self.posts[post].topics if post in self.posts else []

    def beyond_rate(self, post: str) -> bool:
        """Whether its author had posted as often as is usual within the 24 hours before it."""
        it, theirs = self.posts[post], self.recent(self.posts[post].author)[::-1]
        earlier = theirs[: theirs.index(post)] if post in theirs else []
        close = [p for p in earlier if it.created - self.posts[p].created < DAY_S]
        return len(close) >= self.settings.spam.posts_per_day

    def favoured(self, viewer: str) -> set[str]:
        """What the viewer engaged with and did not take back."""
        return {one.post for one in self.standing if one.viewer == viewer and one.in_favour}

    def exposed(self, viewer: str, now: float) -> list[str]:
        """What the viewer had to choose from: what was seen, or where no views are known, the network's posts."""
        return list(self.viewed(viewer, now) or self.network(viewer, now))

    def taste(self, viewer: str, now: float) -> dict[str, float]:
        """How much more than for the average topic the viewer cares for each: (follows + own posts) × deeds."""
        about = Counter(topic for post in self.posts.values() for topic in post.topics)
        follows, deeds = self._of_follows(viewer, now, about), self._of_deeds(viewer, now, about)
        written = Counter(topic for post in self.written(viewer, now) for topic in self.topics(post))
        own = {topic: on_grid(1.5 * written[topic] / (written.total() + 5.0)) for topic in about}
        sums = {topic: len(about) * (follows[topic] + own[topic]) for topic in about}
        cares = {topic: on_grid(sums[topic] * deeds[topic]) + 1 / GRID for topic in about}
        return {topic: care * (len(about) / sum(cares.values())) for topic, care in cares.items()}

    def _of_follows(self, viewer: str, now: float, about: Counter[str]) -> dict[str, float]:
        """Each followee is one vote, shared among the topics of their posts, read thrice in the light of the others."""
        offered = [(self.posts[p].author, t, 1.0 / len(self.topics(p))) for p in self.network(viewer, now)
                   for t in self.topics(p)]  # fmt: skip
        if not offered:
            return dict.fromkeys(about, 1.0 / len(about)) if about else {}
        usual = about.total() / len(about)
        rarity = {topic: min(usual / posts, 64.0) for topic, posts in about.items()}
        plain = _votes(offered)
        cares = dict.fromkeys(about, 1.0)
        for _ in range(3):
            votes = _votes(
                [(author, topic, share * (rarity[topic] * cares[topic])) for author, topic, share in offered]
            )
            cares = {topic: votes[topic] + 0.3 * plain[topic] for topic in about}
        return {topic: on_grid(care + 15.0 / len(self.followees(viewer)) / len(about)) for topic, care in cares.items()}

    def _of_deeds(self, viewer: str, now: float, about: Counter[str]) -> dict[str, float]:
        """How much oftener than expected the viewer engaged with each topic."""
        met = Counter(topic for post in self.favoured(viewer) for topic in self.topics(post))
        there = Counter(topic for post in self.exposed(viewer, now) for topic in self.topics(post))
        rate = met.total() / max(there.total(), 1)
        return {topic: (met[topic] + 2.0) / (there[topic] * rate + 2.0) for topic in about}

    def match(self, taste: dict[str, float], post: str) -> float:
        """The mean taste for its topics."""
        topics = self.topics(post)
        return sum((taste[topic] for topic in topics), 0.0) / len(topics) if topics else 1.0

    def rates(self) -> tuple[dict[str, float], dict[str, float]]:
        """Engagements per view, of posts and of authors; each is thought to have been seen once."""
        engaged, seen = self.engaged_times(), self.shown_times()
        by_author: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for post, it in self.posts.items():
            by_author[it.author][0] += engaged[post]
            by_author[it.author][1] += seen[post] + 1
        everyone = (sum(e for e, _ in by_author.values()) + 1.0) / (sum(s for _, s in by_author.values()) + 1.0)
        authors = {
            author: (engagements + PRIOR_VIEWS * everyone) / (views + PRIOR_VIEWS)
            for author, (engagements, views) in by_author.items()
        }
        posts = {
            post: (engaged[post] + PRIOR_VIEWS * authors[it.author]) / (seen[post] + 1 + PRIOR_VIEWS)
            for post, it in self.posts.items()
        }
        return posts, authors

    def features(self, viewer: str, post: str, now: float) -> dict[str, float]:
        """By name, in the order in which they are added up."""
        ranking, it = self.settings.ranking, self.posts[post]
        age_s = max(now - it.created, 0.0)
        post_rates, author_rates = self.rates()
        own = [o for o in self.standing if o.viewer == viewer and o.in_favour and self._author(o.post) == it.author]

        def affinity(days: float) -> float:
            total = sum(self.decayed(one.kind, one.hour, now, days * 24) for one in own)
            return log1p(max(total, 0) / UNIT)

        return {
            "freshness": -log1p(age_s / (ranking.freshness_hours * HOUR_S)),
            "recency": -log1p(age_s / (ranking.recency_hours * HOUR_S)),
            "affinity_short": affinity(ranking.affinity_short_days),
            "affinity_mid": affinity(ranking.affinity_mid_days),
            "affinity_long": affinity(ranking.affinity_long_days),
            "liked_share": self._liked_share(viewer, it.author, now),
            "follows_back": float((it.author, viewer) in self.follows),
            "followed": float((viewer, it.author) in self.follows),
            "topic": log1p(self.match(self.taste(viewer, now), post)),
            "post_rate": ln(post_rates[post]),
            "author_rate": ln(author_rates[it.author]),
            "followers": log1p(self.followers()[it.author]),
            **self._post_engagement(viewer, post, now),
        }

    def _post_engagement(self, viewer: str, post: str, now: float) -> dict[str, float]:
        hour, others = int(now // HOUR_S), self.followees(viewer)

        def weight(kind: str, age: int = 0) -> int:
            return round(getattr(self.settings.ranking, kind, 0.0) * (1 / (age + 1)) * UNIT)

        fading = [(o.viewer, weight(o.kind, max(hour - o.hour, 0))) for o in self.standing if o.post == post]
        whole = [(hour - o.hour, weight(o.kind)) for o in self.standing if o.post == post and o.in_favour]
        day = sum(units for age, units in whole if age <= 24)
        week = sum(units for age, units in whole if age <= 168)
        return {
            "engagement": signed(sum(units for _, units in fading) / UNIT),
            "momentum": log1p(day / UNIT) - log1p(week * (1 / 7) / UNIT),
            "network": signed(sum(units for who, units in fading if who in others) / UNIT),
        }

    def _liked_share(self, viewer: str, author: str, now: float) -> float:
        met = [self.posts[post].author for post in self.favoured(viewer) if post in self.posts]
        there = [self.posts[post].author for post in self.exposed(viewer, now) if post in self.posts]
        rate = min(1.0, len(met) / max(len(there), 1))
        return ln((met.count(author) + 1.0) / (rate * there.count(author) + 1.0))

    def _author(self, post: str) -> str | None:
        return self.posts[post].author if post in self.posts else None

    def score(self, viewer: str, post: str, now: float) -> float:
        """Σ weight × feature."""
        total = 0.0
        for name, value in self.features(viewer, post, now).items():
            total += value * getattr(self.settings.ranking, f"{name}_weight")
        return total

    def kept(self, viewer: str, now: float) -> dict[str, float]:
        """Candidates that may be shown, and their scores, less what posts beyond their author's rate lose."""
        seen, grown = self.seen(viewer, now), self.grown(viewer, now)
        posts = [p for p in self.candidates(viewer, now).source if self.posts[p].author != viewer]
        posts = [p for p in posts if self.may_see(viewer, p) and (p not in seen or p in grown)]
        loss = {p: self.settings.spam.penalty * self.beyond_rate(p) for p in posts}
        return {p: self.score(viewer, p, now) - loss[p] for p in posts}

    def feed(self, viewer: str, now: float) -> list[FeedItem] | None:
        """The viewer's feed, best first; None for one never seen."""
        if viewer not in self.people:
            return None
        source = self.candidates(viewer, now).source
        scores = self.kept(viewer, now)
        best = sorted(scores, key=lambda p: (-scores[p], p))[: self.settings.feed.items]
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
        lead = f"{rules.seed} {self.watermark}.{round(now * 1000)}".encode()
        first, second = struct.unpack("<QQ", hashlib.blake2b(lead, digest_size=16).digest())
        name = viewer.encode()
        eights = [*(name[at : at + 8].ljust(8, b"\0") for at in range(0, len(name), 8)), struct.pack("<Q", len(name))]
        for (eight,) in map(struct.Struct("<Q").unpack, eights):
            first, second = splitmix64(first ^ eight), splitmix64(second ^ eight)
        left, shown = list(feed), []
        for place in range(len(feed)):
            step = (second + (place + 1) * 0x9E3779B97F4A7C15) % (1 << 64)
            whether, which = divmod(splitmix64(first ^ splitmix64(step)), 1 << 32)
            drawn = which * len(left) >> 32 if whether / (1 << 32) < rules.explore_share else 0
            shown.append(left.pop(drawn))
        return shown

    def older(self, viewer: str, until: float) -> list[str]:
        """Every retained network post the viewer may see, newest first."""
        allowed = [p for p in self.network(viewer, until) if self.may_see(viewer, p)]
        return sorted(allowed, key=lambda p: (-self.posts[p].created, p))


def _votes(weights: list[tuple[str, str, float]]) -> Counter[str]:
    """Share of each topic in the votes of (author, topic, weight), one vote an author."""
    weights = [(author, topic, on_grid(weight) + 1 / GRID) for author, topic, weight in weights]
    whole: dict[str, float] = defaultdict(float)
    for author, _, weight in weights:
        whole[author] += weight
    votes: Counter[str] = Counter()
    for author, topic, weight in weights:
        votes[topic] += on_grid(weight / whole[author])  # type: ignore[assignment]
    every = sum(votes.values())
    return Counter({topic: share / every for topic, share in votes.items()})  # type: ignore[misc]
