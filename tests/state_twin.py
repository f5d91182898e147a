"""A plain twin of the state: what design.md §5.1 says events add up to, in dictionaries of outside ids.

It looks at the whole set of events at once, so no order of arrival can matter to it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from feedgen.config import Settings
from feedgen.events import ENGAGEMENTS, FEEDBACK, Event
from feedgen.state.logins import device_code

HOUR_S, DAY_S = 3_600, 86_400
TOPICS_MAX = 16
_SWITCHES = {"follow": True, "unfollow": False, "block": True, "unblock": False, "mute": True, "unmute": False}


@dataclass
class Post:
    """A post as its own event and its edits made it."""

    author: str
    created: float
    about: dict[str, Any]

    @property
    def topics(self) -> list[str]:
        """Each once, the first ones."""
        return list(dict.fromkeys(self.about.get("topics", [])))[:TOPICS_MAX]


class Engaged(NamedTuple):
    """An engagement that was not taken back, or feedback."""

    viewer: str
    post: str
    kind: str
    hour: int

    @property
    def in_favour(self) -> bool:
        """Feedback counts against a post."""
        return self.kind not in FEEDBACK


@dataclass
class StateTwin:
    """The state as dictionaries of outside ids."""

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
    follows: dict[tuple[str, str], float] = field(default_factory=dict)
    """(viewer, author) → when the viewer followed, the last time."""
    barred: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    hidden: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    engaged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """What each viewer ever engaged with, also where it was taken back."""
    standing: list[Engaged] = field(default_factory=list)
    views: list[tuple[str, str, int]] = field(default_factory=list)
    """Viewer, post, day; likewise what was served."""
    served: list[tuple[str, str, int]] = field(default_factory=list)
    logins: dict[str, float] = field(default_factory=dict)
    devices: dict[str, int] = field(default_factory=dict)
    active: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event], settings: Settings, year: int = 2_023) -> Self:
        """What these events add up to."""
        in_time = sorted(events, key=lambda e: (e.ts, e.id))
        twin = cls(settings, year, len(in_time))
        for event in in_time:
            twin.people.add(event.actor)
            if event.type != "serve":
                twin.active[event.actor] = event.ts
            if event.type == "user":
                twin.about[event.actor].update(event.attrs)
            elif event.type == "login":
                code = device_code(event.attrs.get("device"))
                again = twin.logins.get(event.actor) == event.ts
                twin.devices[event.actor] = max(code, twin.devices[event.actor]) if again else code
                twin.logins[event.actor] = event.ts
        twin._relate(in_time)
        twin._write(in_time)
        twin._react(in_time)
        twin._look(in_time)
        return twin

    def _relate(self, in_time: list[Event]) -> None:
        stands: dict[tuple[str, str, str], Event] = {}
        for event in in_time:
            if event.type in _SWITCHES:
                assert event.object is not None
                self.people.add(event.object)
                stands[event.type.removeprefix("un"), event.actor, event.object] = event
        for (kind, actor, target), event in stands.items():
            on = _SWITCHES[event.type]
            if on and kind == "follow":
                self.follows[actor, target] = event.ts
            elif on:
                self.barred[actor].add(target)
                if kind == "block":
                    self.barred[target].add(actor)

    def _write(self, in_time: list[Event]) -> None:
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

    def _react(self, in_time: list[Event]) -> None:
        last: dict[tuple[str, str, str], Event] = {}
        for event in in_time:
            target = str(event.object)
            if event.type in ENGAGEMENTS:
                self.engaged[event.actor].add(target)
            if event.type in FEEDBACK:
                self.hidden[event.actor].add(target)
            if event.type in FEEDBACK | {"like", "unlike"}:
                last[event.actor, target, event.type.removeprefix("un")] = event
            elif event.type in ENGAGEMENTS:
                self.standing.append(Engaged(event.actor, target, event.type, int(event.ts // HOUR_S)))
        for (viewer, post, kind), event in last.items():
            if event.type != "unlike":
                self.standing.append(Engaged(viewer, post, kind, int(event.ts // HOUR_S)))

    def _look(self, in_time: list[Event]) -> None:
        for event in in_time:
            if event.type in {"view", "serve"}:
                log = self.views if event.type == "view" else self.served
                log += [(event.actor, item, int(event.ts // DAY_S)) for item in event.attrs["objects"]]

    def public(self, post: str) -> bool:
        """Whether it is neither taken back nor kept back by moderation."""
        return post not in self.deleted and not self.withheld.get(post, False)

    def latest(self, log: list[tuple[str, str, int]], viewer: str, now: float) -> dict[str, int]:
        """What the viewer saw, or was sent, within `seen_days`, and the last day of each: the latest ones."""
        since = int(now // DAY_S - self.settings.state.seen_days)
        last: dict[str, int] = {}
        for who, post, day in log:
            if who == viewer and day >= since:
                last[post] = max(day, last.get(post, day))
        latest = sorted(last, key=lambda post: (-last[post], post))
        return {post: last[post] for post in latest[: self.settings.state.seen_per_viewer]}

    def viewed(self, viewer: str, now: float) -> dict[str, int]:
        """Posts the viewer has seen lately, and the last day of each."""
        return self.latest(self.views, viewer, now)

    def seen(self, viewer: str, now: float) -> set[str]:
        """Posts the viewer has seen lately, or ever engaged with."""
        return {*self.viewed(viewer, now), *self.engaged.get(viewer, ())}

    def shown_times(self) -> Counter[str]:
        """How often each post was seen by anyone."""
        return Counter(post for _, post, _ in self.views)

    def engaged_times(self) -> Counter[str]:
        """Engagements in favour of each post."""
        return Counter(one.post for one in self.standing if one.in_favour)

    def followees(self, viewer: str) -> set[str]:
        """Whom the viewer follows."""
        return {author for who, author in self.follows if who == viewer}

    def followers(self) -> Counter[str]:
        """How many follow each author."""
        return Counter(author for _, author in self.follows)

    def recent(self, author: str) -> list[str]:
        """The author's newest posts that are kept, newest first."""
        theirs = [post for post, it in self.posts.items() if it.author == author]
        oldest_first = sorted(theirs, key=lambda post: (self.posts[post].created, post))
        return oldest_first[-self.settings.state.posts_per_author :][::-1]
