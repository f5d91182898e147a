"""Small communities to replay: one that reports no views, where habits are plain; events by time."""

import random
from typing import Any, Final

from feedgen.events import Event
from feedgen.learning.history import History

DAY: Final = 86_400.0
START: Final = 19_000 * DAY
TOPICS: Final = ("tea", "jazz", "chess")


Told = tuple[float, str, str, str | None, dict[str, Any]]
Posts = list[tuple[float, str, str]]


def community(days: int, *, viewers: int = 12, authors: int = 8, seed: int = 0, views: bool = False) -> list[Event]:
    """Everyone follows everyone, and likes new posts about one topic, at a login a day; three posts an author and day.

    With `views`, each login is followed by a view of some latest posts, and what is liked is among them.
    """
    rng = random.Random(seed)
    told: list[Told] = []
    for viewer in range(viewers):
        told += [(START + author, "follow", f"v{viewer}", f"a{author}", {}) for author in range(authors)]
    posts: Posts = []
    for number in range(days * authors * 3):
        ts = START + number // (authors * 3) * DAY + 3_600.0 + rng.randrange(40_000)
        posts.append((ts, f"p{number}", rng.choice(TOPICS)))
    told += [
        (ts, "post", f"a{number % authors}", post, {"topics": [topic]})
        for number, (ts, post, topic) in enumerate(posts)
    ]
    for day in range(1, days):
        for viewer in range(viewers):
            told += _visit(viewer, START + day * DAY + 45_000.0 + rng.randrange(30_000), posts, views, rng)
    told.sort(key=lambda each: each[0])
    return [Event(f"e{at}", kind, ts, who, what, attrs) for at, (ts, kind, who, what, attrs) in enumerate(told)]


def _visit(viewer: int, came: float, posts: Posts, views: bool, rng: random.Random) -> list[Told]:
    name, latest = f"v{viewer}", [post for post in posts if came - 1.5 * DAY <= post[0] <= came]
    told: list[Told] = [(came, "login", name, None, {})]
    if views:
        latest = rng.sample(latest, min(10, len(latest)))
        told.append((came + 1, "view", name, None, {"objects": [post for _, post, _ in latest]}))
    for _, post, topic in latest:
        if topic == TOPICS[viewer % 3] and rng.random() < 0.5:
            told.append((came + 2 + rng.randrange(900), "like", name, post, {}))
        elif views and rng.random() < 0.03:
            told.append((came + 5, "hide", name, post, {}))
    return told


def history(days: int, **rest: Any) -> History:
    """The same, to be played."""
    return History.of(community(days, **rest))
