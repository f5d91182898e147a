"""The signals in plain Python, one candidate after the other, straight from what their table says."""

from math import floor, inf, isnan, log, log1p, nan, sqrt
from statistics import fmean
from typing import Any

from feedgen.ranking.groups.columns import AUTHOR_POSTS, DELAYS, SPAN_DAYS
from feedgen.ranking.groups.ranks import RANKED
from feedgen.selection.context import ViewerContext
from feedgen.state.engagement import AGAINST, KINDS
from tests.whole import embedding_of

HOUR = 3_600.0
DAY = 86_400.0
Row = dict[str, float]


class Twin:
    """What is known of one viewer at one moment."""

    def __init__(self, context: ViewerContext) -> None:
        self.context, self.state, self.now = context, context.state, float(floor(context.now))
        self.hour = int(self.now // HOUR)
        self.oldest = self.now - min(SPAN_DAYS * DAY, context.state.posts.retention_s)
        touched = self.state.engagement.touched
        self.first, self.last = touched.first.tolist(), touched.last.tolist()
        self.created = self.state.posts.created.tolist()
        self.own = self._own()
        starts, counts, topics = self.state.about_posts.topics
        self.topics = [topics[a : a + int(n)].tolist() for a, n in zip(starts.tolist(), counts.tolist(), strict=True)]
        self.about = self.state.about_posts.posts_about.tolist()

    def _own(self) -> dict[int, int]:
        """The last standing hour in which the viewer engaged with a post, by post."""
        found: dict[tuple[int, int, int], int] = {}
        engaged = self.context.engaged
        for post, hour, kind, sign in zip(engaged.post, engaged.hour, engaged.kind, engaged.sign, strict=True):
            key = int(post), int(hour), int(kind)
            found[key] = found.get(key, 0) + int(sign)
        last: dict[int, int] = {}
        for (post, hour, _), sign in found.items():
            if sign > 0:
                last[post] = max(last.get(post, hour), hour)
        return last

    def written_by(self, author: int) -> list[int]:
        posts, _ = self.state.posts.recent_of_all(_array(author))
        alive = [post for post in posts.tolist() if not self.state.posts.deleted[post]]
        return [post for post in alive if self.oldest <= self.created[post] <= self.now][-AUTHOR_POSTS:]

    def known(self, post: int) -> bool:
        return bool(self.first[post] <= self.now)

    def age(self, post: int) -> float:
        return self.now - self.created[post]

    def ago_h(self, times: list[float]) -> float:
        """Hours since the latest of these that is not ahead of now."""
        past = [ts for ts in times if -inf < ts <= self.now]
        return (self.now - max(past)) / HOUR if past else nan

    def own_ago_h(self, posts: list[int]) -> float:
        mine = [self.own[post] for post in posts if post in self.own]
        return float(max(self.hour - max(mine), 0)) if mine else nan

    def rows(self, posts: list[int]) -> list[Row]:
        viewer = self.viewer(len(posts))
        found = []
        for post in posts:
            author = int(self.state.posts.author[post])
            by = self.written_by(author)
            row = viewer | self.author(author, by) | self.around(post, by) | self.about_it(post, by)
            row |= self.done_with(post) | self.said(post, author)
            row["likeness"] = self.likeness(post)
            row["author_hazard"] = hazard([self.first[p] - self.created[p] for p in self.met(by)], self.age(post))
            row["viewer_hazard"] = self.viewer_hazard(self.age(post))
            found.append(row)
        for name, sign in RANKED:
            by_it = [inf if isnan(row[name]) else sign * row[name] for row in found]
            for row, value in zip(found, by_it, strict=True):
                row[f"rank_{name}"] = sum(other < value for other in by_it)
        return found

    def met(self, posts: list[int]) -> list[int]:
        return [post for post in posts if self.known(post)]

    def viewer(self, candidates: int) -> Row:
        ages = [max(self.hour - hour, 0) for hour in self.own.values()]
        weights = self.fading()
        whole = sum(weight for _, weight in weights)
        return {
            "hour": self.now % DAY / HOUR,
            "weekday": (self.now // DAY + 3) % 7,
            "season": self.now / DAY % 365.25,
            "idle": float(max(self.hour - max(self.own.values()), 0)) if self.own else nan,
            **{f"viewer_{days}d": float(sum(age <= 24 * days for age in ages)) for days in (1, 7, 30, 90)},
            "viewer_ever": float(len(ages)),
            "viewer_delay": (sum(at * weight for at, weight in weights) / whole + 0.5) / 4 if whole else nan,
            "followees": float(len(self.context.followees)),
            "candidates": float(candidates),
        }

    def fading(self) -> list[tuple[int, int]]:
        """(bin of how old the post was, weight) of each of the viewer's engagements."""
        return [
            (delay_bin((hour + 0.5) * HOUR - self.created[post]), round(1024 * 2 ** (-max(self.hour - hour, 0) / 2160)))
            for post, hour in self.own.items()
            if self.state.posts.author[post] >= 0
        ]

    def viewer_hazard(self, age_s: float) -> float:
        at, weights = delay_bin(age_s), self.fading()
        left = sum(weight for bin_, weight in weights if bin_ >= at)
        return sum(weight for bin_, weight in weights if at <= bin_ < at + 2) / left if left else nan

    def author(self, author: int, by: list[int]) -> Row:
        met = self.met(by)
        old = [post for post in by if 7 * DAY <= self.age(post) < 90 * DAY]
        delays = [log1p(max(self.first[post] - self.created[post], 0) / HOUR) for post in met]
        since = {days: [p for p in met if self.now - self.first[p] < days * DAY] for days in (30, 90)}
        since[365] = met
        own = {d: [p for p in met if p in self.own and self.hour - self.own[p] <= 24 * d] for d in (1, 7)}
        mine = {days: [post for post in posts if post in self.own] for days, posts in since.items()}
        counts = self.viewer(0)
        crowd = self.context.epoch.engaged
        return {
            **{f"author_posts_{d}d": float(sum(self.age(p) < d * DAY for p in by)) for d in (7, 30, 90)},
            "author_open": float(sum(self.age(p) < 30 * DAY and not self.known(p) for p in by)),
            "author_idle": self.age(by[-1]) / HOUR if by else nan,
            "author_met": (sum(map(self.known, old)) + 1) / (len(old) + 2),
            "author_met_ago": max(self.now - max(self.last[p] for p in met), 0) / HOUR if met else nan,
            **{
                f"author_met_{name}": float(sum(self.now - self.first[p] < hours * HOUR for p in met))
                for name, hours in {"1h": 1, "6h": 6, "1d": 24, "7d": 168}.items()
            },
            "author_crowd": fmean(float(crowd[post]) for post in met) if met else nan,
            "author_delay": fmean(delays) if met else nan,
            "author_spread": sqrt(max(fmean(d * d for d in delays) - fmean(delays) ** 2, 0)) if met else nan,
            **{f"share_{d}d": (len(mine[d]) + 0.1) / (len(since[d]) + 0.5) for d in (30, 90, 365)},
            **{f"of_viewer_{d}d": len(mine[d]) / (counts[f"viewer_{d}d"] + 1) for d in (30, 90)},
            "viewer_met_ago": self.own_ago_h(met),
            **{f"viewer_met_{days}d": float(len(own[days])) for days in (1, 7)},
            **self.back(author),
        }

    def back(self, author: int) -> Row:
        posts = self.written_by(self.context.viewer)
        _, rows = self.state.engagement.of_posts(_array(*posts))
        by_author = rows.rows((rows.viewer == author) & (rows.kind < AGAINST))
        return {
            f"back_{days}d": float(by_author.sign[self.hour - by_author.hour <= 24 * days].sum()) for days in (30, 365)
        }

    def around(self, post: int, by: list[int]) -> Row:
        created, age_s = self.created[post], max(self.age(post), 0)
        row: Row = dict.fromkeys(_AROUND, nan)
        longest = min(int(age_s // HOUR), 720)
        row |= {
            "age": age_s / HOUR,
            "passed": float(sum(min(max(self.hour - hour, 0), 720) <= longest for hour in self.own.values())),
            "engaged": float(self.context.epoch.engaged[post]),
            "met_ago": self.ago_h([self.first[post]]),
            "still": max(self.now - self.last[post], 0) / HOUR if self.last[post] > -inf else nan,
        }
        if post not in by:
            return row
        place = by.index(post)
        older, newer = by[:place], by[place + 1 :]
        row["newer"], row["newer_met"] = float(len(newer)), float(sum(map(self.known, newer)))
        row["older_open"] = float(sum(not self.known(p) and self.age(p) < 30 * DAY for p in older))
        row["passed_author"] = float(sum(self.known(p) and self.first[p] > created for p in older + newer))
        for name, other in (("before", older[-1:]), ("after", newer[:1])):
            if other:
                row[f"{name}_gap"] = abs(created - self.created[other[0]]) / HOUR
                row[f"{name}_met_ago"] = self.ago_h([self.first[other[0]]])
                row[f"{name}_mine"] = float(other[0] in self.own)
        for name, span in (("hour", HOUR), ("day", DAY)):
            near = [p for p in older[-30:] + newer[:30] if abs(self.created[p] - created) <= span]
            row[f"{name}_posts"], row[f"{name}_met"] = float(len(near)), float(sum(map(self.known, near)))
            row[f"{name}_mine"] = float(sum(p in self.own for p in near))
            row[f"{name}_met_ago"] = self.ago_h([self.first[p] for p in near])
            row[f"{name}_mine_ago"] = self.own_ago_h(near)
        burst_before, burst_after = self.burst(post, older[::-1][:30]), self.burst(post, newer[:30])
        row["burst"], row["burst_place"] = float(len(burst_before) + len(burst_after) + 1), float(len(burst_before))
        row["burst_met_ago"] = self.ago_h([self.first[p] for p in burst_before + burst_after])
        return row

    def burst(self, post: int, others: list[int]) -> list[int]:
        """Of `others`, the nearest first, those that follow one another within half an hour each."""
        for count, (one, other) in enumerate(zip([post, *others], others, strict=False)):
            if abs(self.created[one] - self.created[other]) >= HOUR / 2:
                return others[:count]
        return others

    def about_it(self, post: int, by: list[int]) -> Row:
        topics = self.topics[post]
        row: Row = {**dict.fromkeys(_TOPICS, nan), "topics": float(len(topics))}
        if not topics:
            return row
        rarest = min(reversed(topics), key=lambda topic: self.about[topic])
        row["topic_share"] = self.share(rarest, by)
        row["topics_share"] = fmean(self.share(topic, by) for topic in topics)
        same = [p for p in by if rarest in self.topics[p]]
        met = [p for p in same if self.known(p)]
        weights = [self.weight(p) for p in met]
        if same:
            row["topic_weight"] = sum(weights)
            row["topic_met"] = (len(met) + 1) / (len(same) + 2)
            row["topic_open"] = float(sum(not self.known(p) and self.age(p) < 30 * DAY for p in same))
        if met:
            delays = [log1p(max(self.first[p] - self.created[p], 0) / HOUR) for p in met]
            row["topic_delay"] = sum(w * d for w, d in zip(weights, delays, strict=True)) / sum(weights)
            row["topic_met_ago"] = self.ago_h([self.first[p] for p in met])
        row["viewer_topic"] = fmean(self.liking(topic) for topic in topics)
        row["viewer_rarest"] = self.liking(rarest)
        agos = {topic: self.own_ago_h([p for p in self.own if topic in self.topics[p]]) for topic in topics}
        row["viewer_topic_ago"] = agos[rarest]
        row["viewer_topics_ago"] = nan if any(map(isnan, agos.values())) else max(agos.values())
        return row

    def done_with(self, post: int) -> Row:
        kinds = ("like", "comment", "share", "save", "click")
        row = {f"{kind}_{span}": 0.0 for kind in kinds for span in ("1d", "7d", "ever", "near")}
        row |= {"near_1d": 0.0, "near_7d": 0.0}
        followees = set(self.context.followees.tolist())
        _, rows = self.state.engagement.of_posts(_array(post))
        for viewer, hour, number, sign in zip(rows.viewer, rows.hour, rows.kind, rows.sign, strict=True):
            if (kind := KINDS[number]) not in kinds:
                continue
            spans = [name for name, hours in (("1d", 24), ("7d", 168), ("ever", inf)) if self.hour - hour <= hours]
            for span in spans:
                row[f"{kind}_{span}"] += sign
            if int(viewer) in followees:
                row[f"{kind}_near"] += sign
                for span in spans[:-1]:
                    row[f"near_{span}"] += sign
        return row

    def likeness(self, post: int) -> float:
        """Straight from the posts' kept numbers, in floating point."""
        own = self.embedding(post)
        taste = [0.0 for _ in own]
        for other, hour, sign in zip(
            self.context.engaged.post.tolist(), self.context.engaged.hour, self.context.engaged.sign, strict=True
        ):
            numbers, age = self.embedding(other), max(self.hour - hour, 0)
            if len(numbers) == len(own) and age <= 90 * 24:
                weight = sign * 2 ** (-age / 720) / sqrt(sum(number * number for number in numbers)) if numbers else 0
                taste = [whole + weight * number for whole, number in zip(taste, numbers, strict=True)]
        lengths = sqrt(sum(n * n for n in own)) * sqrt(sum(n * n for n in taste))
        return sum(a * b for a, b in zip(own, taste, strict=True)) / lengths if lengths > 1e-9 else nan

    def embedding(self, post: int) -> list[int]:
        return embedding_of(self.state.about_posts, post)

    def said(self, post: int, author: int) -> Row:
        about, users, viewer = self.state.about_posts, self.state.about_users, self.context.viewer
        language, own = int(about.language[post]), users.language(viewer)
        mine, theirs = (
            {name: users.said(user, name) for name in ("location", "birth_year", "verified")}
            for user in (viewer, author)
        )
        following = set(self.state.graph.followees(author).tolist())
        seen = self.context.viewed[0].tolist()
        views = self.state.impressions.views(len(self.state.post_ids))
        return {
            "media": float(about.media[post]),
            "link": float(about.media[post] == 3),
            "own_language": nan if -1 in (language, own) else float(language == own),
            "post_place": nan
            if mine["location"] is None or about.location[post] < 0
            else float(users.locations.name(int(about.location[post])) == mine["location"]),
            "length": nan if about.length[post] < 0 else float(about.length[post]),
            "device": float(self.state.logins.device(viewer)) or nan,
            "own_place": nan
            if None in (mine["location"], theirs["location"])
            else float(mine["location"] == theirs["location"]),
            "own_age": nan
            if None in (mine["birth_year"], theirs["birth_year"])
            else float(abs(mine["birth_year"] - theirs["birth_year"])),
            "verified": nan if theirs["verified"] is None else float(theirs["verified"]),
            "following": float(len(following)),
            "follow_ratio": log((1 + int(self.context.epoch.followers[author])) / (1 + len(following))),
            "social_rank": self.social_rank()[author],
            "common": float(len(following & set(self.context.followees.tolist()) - {viewer})),
            "shown_author": float(sum(self.state.posts.author[p] == author for p in seen)) if seen else nan,
            "seen_by": float(views[post]) if views.any() else nan,
        }

    def social_rank(self) -> list[float]:
        """PageRank over what was followed before midnight, 12 rounds."""
        graph, users = self.state.graph, range(len(self.state.users))
        followees = {
            user: [
                followed
                for followed, ts in zip(graph.followees(user).tolist(), graph.followed_at(user).tolist(), strict=True)
                if ts < self.now // DAY * DAY
            ]
            for user in users
        }
        rank = [1.0 for _ in users]
        for _ in range(12):
            lost = sum(rank[user] for user in users if not followees[user]) / len(users)
            given = [lost for _ in users]
            for user in users:
                for followed in followees[user]:
                    given[followed] += rank[user] / len(followees[user])
            rank = [0.15 + 0.85 * value for value in given]
        return rank

    def weight(self, post: int) -> float:
        return 2.0 ** (-(self.now - self.first[post]) / (60 * DAY))

    def share(self, topic: int, by: list[int]) -> float:
        met = [p for p in by if topic in self.topics[p] and self.known(p)]
        mine = sum(self.weight(p) for p in met if p in self.own)
        return (mine + 0.02) / (sum(map(self.weight, met)) + 0.1)

    def liking(self, topic: int) -> float:
        return log((sum(topic in self.topics[p] for p in self.own) + 0.5) / (self.about[topic] + 5))


def delay_bin(seconds: float) -> int:
    return min(int(4 * log1p(max(seconds, 0) / HOUR)), DELAYS - 1)


def hazard(delays_s: list[float], age_s: float) -> float:
    bins, at = [delay_bin(delay) for delay in delays_s], delay_bin(age_s)
    left = sum(one >= at for one in bins)
    return sum(at <= one < at + 2 for one in bins) / left if left else nan


def _array(*indices: int) -> Any:
    import numpy as np

    return np.array(indices, np.int32)


_AROUND = (
    *("newer", "newer_met", "older_open", "passed_author", "before_gap", "before_met_ago", "before_mine"),
    *("after_gap", "after_met_ago", "after_mine", "burst", "burst_place", "burst_met_ago"),
    *(f"{span}_{what}" for span in ("hour", "day") for what in ("posts", "met", "mine", "met_ago", "mine_ago")),
)
_TOPICS = (
    *("topic_share", "topics_share", "topic_weight", "topic_delay", "topic_met_ago", "topic_open", "topic_met"),
    *("viewer_topic", "viewer_rarest", "viewer_topic_ago", "viewer_topics_ago"),
)
