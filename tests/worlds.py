"""Small worlds for the tests of state and pipeline: events as a strategy, and a story told event by event."""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any, Final

from hypothesis import strategies as st

from feedgen import config
from feedgen.config import Settings
from feedgen.events import ALONE, ON_USER, Event, from_object
from feedgen.explaining import FeedExplainer
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk, FeedItem
from feedgen.pipeline import Pipeline
from feedgen.state.state import State

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
NOW: Final = 19_700 * DAY + 5 * HOUR + 30.0
"""A moment in the middle of a day and of an hour."""

SMALL: Final = Settings(
    state=config.State(retention_days=4.0, posts_per_author=3, seen_days=2.0, seen_per_viewer=3),
    selection=config.Selection(
        new_cap=3,
        new_followee_cap=2,
        new_followee_days=3.0,
        grown_cap=1,
        grown_min=1,
        grown_times=2.0,
        interest_cap=1,
        trending_cap=2,
        fetch_cap=6,
    ),
    spam=config.Spam(posts_per_day=1),
    diversity=config.Diversity(fresh_hours=24.0, explore_share=0.3),
    feed=config.Feed(items=5),
)
"""Bounds so small that a few dozen events reach every one of them."""

PEOPLE: Final = ("u0", "u1", "u2", "u3", "u4")
POSTS: Final = tuple(f"p{n}" for n in range(16))

_TYPES: Final = (
    *("post",) * 12, *("follow",) * 14, *("like",) * 4, *("view",) * 9, *("edit",) * 2, *("unlike",) * 2,
    *("login",) * 3, "serve",
    *("comment",) * 5, *("share",) * 3,
    "unfollow", "block", "unblock", "mute", "unmute", "delete", "save", "click", "dwell",
    "hide", "report", "not_interested", "logout", *("user",) * 4, *("review",) * 2,
)  # fmt: skip

MOMENTS: Final = (
    *(NOW, NOW - 30.0, NOW - 31.0, NOW - HOUR, NOW - DAY, NOW - DAY, NOW - 2 * DAY, NOW - 2 * DAY - 6 * HOUR),
    *(NOW - 4 * DAY, NOW - 4 * DAY - 1.0, NOW - 9 * DAY, NOW + 30.0, NOW + DAY),
)
"""Few, so that many events are of one moment: hours and days around NOW, the edges of SMALL's spans, a day ahead."""

_TOPICS: Final = ((), ("tea",), ("tea",), ("jazz", "tea", "jazz"), ("rye", "oak", "jazz", "elm", "tea"))
_ABOUT: Final[tuple[dict[str, Any], ...]] = (
    {}, {"media": "image"}, {"language": "de"}, {"language": "en", "media": "video"}, {"sensitive": True},
    {"min_age": 18, "embedding": [3.0, -4.0]}, {"language": "fr", "sensitive": False, "embedding": [1, 0.5]},
    {"media": "image", "location": "Kyiv"}, {"media": "none", "length": 200, "embedding": []},
    {"embedding": [-0.25, 1e-3]}, {"location": "Oslo", "embedding": [0.1, 0.2, -9]},
)  # fmt: skip
_FIELDS: Final = (len(_TYPES), len(PEOPLE), len(PEOPLE) - 1, len(POSTS), len(POSTS), len(MOMENTS), len(_TOPICS))


def _event(number: int, drawn: int) -> Event:
    digits = []
    for base in _FIELDS:
        drawn, digit = divmod(drawn, base)
        digits.append(digit)
    kind, actor, other = _TYPES[digits[0]], PEOPLE[digits[1]], digits[2]
    target: str | None = POSTS[digits[3]]
    if kind in ON_USER:
        target = [person for person in PEOPLE if person != actor][other]
    elif kind in ALONE:
        target = None
    topics = list(_TOPICS[digits[6]])
    attrs: dict[str, Any] = {
        "user": (
            {"birth_year": 2_020},
            {"birth_year": 1_980, "language": "de"},
            {"language": "en", "location": "Oslo"},
            {"language": "fr", "location": "Kyiv"},
        )[other],
        "post": {"topics": topics, **_ABOUT[digits[4] % len(_ABOUT)]},
        "edit": {"topics": topics} if other else {"length": 3, **_ABOUT[digits[4] % len(_ABOUT)]},
        "view": {"objects": [POSTS[digits[3]], POSTS[digits[4]]]},
        "serve": {"objects": [POSTS[digits[4]], POSTS[digits[3]]]},
        "dwell": {"value": 2.5},
        "login": ({}, {"device": "phone"}, {"device": "fridge"}, {"device": "tv"})[other],
        "review": {"state": ("pending", "approved", "rejected", "approved")[other]},
    }.get(kind, {})
    raw = {"id": f"e{number}", "type": kind, "ts": MOMENTS[digits[5]], "actor": actor, "object": target, "attrs": attrs}
    return from_object({key: value for key, value in raw.items() if value is not None}, NOW)


def events(max_size: int = 120) -> st.SearchStrategy[list[Event]]:
    """Valid events in no order, each with its own id. One integer an event: drawing field by field took 7 × as long."""
    drawn = st.lists(st.integers(0, math.prod(_FIELDS) - 1), min_size=max_size // 4, max_size=max_size)
    return drawn.map(lambda all_drawn: [_event(number, one) for number, one in enumerate(all_drawn)])


def shuffled(found: Sequence[Event], seed: int) -> list[Event]:
    """The events in another order."""
    order = list(found)
    random.Random(seed).shuffle(order)
    return order


seeds: Final = st.integers(0, 1 << 32)
batch_sizes: Final = st.lists(st.integers(1, 20), min_size=1, max_size=4)


def batches(found: Sequence[Event], sizes: Iterable[int]) -> Iterator[list[tuple[int, Event]]]:
    """The events with offsets 1, 2, …, cut into batches of these sizes, again and again."""
    at = 0
    for size in cycle(sizes):
        if at >= len(found):
            return
        yield list(enumerate(found[at : at + size], start=at + 1))
        at += size


def folded(found: Sequence[Event], sizes: Iterable[int] = (1_000,), settings: Settings = SMALL) -> State:
    """The state after these events, in this order."""
    state = State(settings.state, settings.ranking)
    for batch in batches(found, sizes):
        state.fold(batch)
    return state


def items_of(bulk: Bulk | Exception | None) -> list[FeedItem]:
    """What a reader of the record sees, best first."""
    assert isinstance(bulk, Bulk), bulk
    return list(FeedMap(bulk))


class Story:
    """Events told one after the other; each tells how long before NOW it was."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state = State(self.settings.state, self.settings.ranking)
        self.pipeline = Pipeline(self.state, self.settings)
        self.explainer = FeedExplainer(self.state, self.pipeline)

    def tell(self, actor: str, kind: str, target: str | None = None, *, days: float = 0.0, **attrs: Any) -> None:
        """`actor` did it `days` before NOW."""
        number = self.state.watermark + 1
        raw: dict[str, Any] = {"id": f"e{number:06}", "type": kind, "ts": NOW - days * DAY, "actor": actor}
        if target is not None:
            raw["object"] = target
        self.state.fold([(number, from_object({**raw, "attrs": attrs}, NOW))])

    def feed(self, viewer: str, now: float = NOW) -> list[FeedItem]:
        """The viewer's feed, best first."""
        return items_of(self.pipeline.generate([viewer], now)[0])

    def shown(self, viewer: str, now: float = NOW) -> list[str]:
        """Ids of the viewer's feed, best first."""
        return [item.item_id for item in self.feed(viewer, now)]

    def score(self, viewer: str, post: str, part: str, now: float = NOW) -> float:
        """The value of one feature of a post in the viewer's feed."""
        explained = self.explainer.explain(viewer, now)
        assert explained is not None
        value = next(item for item in explained["items"] if item["item_id"] == post)["features"][part]["value"]
        assert math.isfinite(value)
        return float(value)
