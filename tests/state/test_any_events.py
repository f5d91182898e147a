"""Whatever valid events come: the fold does not break, nor do the feeds and explanations that follow from it."""

import json
import random
from typing import Any, Final

import numpy as np
import pytest

from feedgen.config import Settings
from feedgen.events import ATTRS, LISTS, ON_USER, TYPES, Event, from_object
from feedgen.explaining import FeedExplainer
from feedgen.feed.record import Bulk, encode_bulk
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from tests.whole import whole
from tests.worlds import DAY, HOUR, NOW, SMALL, items_of

FAR: Final = 253_402_300_799.0
"""The last second of the year 9,999, as far as `--now` goes."""
FEW: Final = [
    *(f"u{n}" for n in range(40)),
    7,
    "7",
    -(1 << 63),
    (1 << 63) - 1,
    "ü" * 64,
    "x" * 128,
    "猫\n\0",
    " ",
    "🦊",
]
_TOPICS: Final = ["tea", "", "猫", "x" * 128, *(f"t{n}" for n in range(30))]


_LONG = [(number - 512) / 100 for number in range(1_024)]


def any_ts(rng: random.Random) -> float:
    """Mostly of these days; also the edges of time, and moments that are alike."""
    spans = (0.0, 1.0, HOUR, DAY, 30 * DAY, 400 * DAY)
    near = NOW - rng.choice(spans) * rng.choice((0.0, 1.0, rng.random()))
    return rng.choice((near, near, near, near, near, 0.0, 0.25, rng.random() * FAR, FAR, FAR + DAY))


def any_id(rng: random.Random, prefix: str) -> str | int:
    """One of few, which meet often, or of very many."""
    return rng.choice(FEW) if rng.random() < 0.7 else f"{prefix}{rng.randrange(200_000)}"


def any_attrs(rng: random.Random, kind: str) -> dict[str, Any]:
    """Attributes of the type, each given or not, at the edges of what is possible."""
    if kind in {"post", "edit"}:
        known: dict[str, Any] = {
            "topics": [topic for topic in rng.choices(_TOPICS, k=rng.choice((0, 1, 2, 3, 40))) if topic],
            "media": rng.choice(("none", "image", "video", "link")),
            "language": rng.choice(("", "en", "de", "x" * 256)),
            "length": rng.choice((0, 1 << 40)),
            "min_age": rng.choice((0, 0, 18, 200)),
            "sensitive": rng.random() < 0.3,
            "location": rng.choice(("", "猫")),
            "embedding": rng.choice(([], [0.0], [1e9, -1e-9], _LONG)),
        }
    elif kind == "user":
        known = {
            "utc_offset_min": rng.choice((-1_440, 0, 1_440)),
            "language": rng.choice(("", "en", "de", "none at all")),
            "birth_year": rng.choice((1_850, 1_990, 2_200)),
            "verified": rng.random() < 0.5,
            "location": "猫",
        }
    elif kind == "login":
        known = {"device": rng.choice(("", "phone", "x" * 256))}
    else:
        known = {}
    given = {name: value for name, value in known.items() if rng.random() < 0.5}
    if kind in LISTS:
        given["objects"] = [
            any_id(rng, "p") for _ in range(rng.choice((1, 2, 5, 30, 1_000 if rng.random() < 0.02 else 3)))
        ]
    elif kind == "review":
        given["state"] = rng.choice(("pending", "approved", "rejected"))
    elif kind == "dwell":
        given["value"] = rng.choice((0, 86_400.0))
    if rng.random() < 0.05:
        given["anything"] = {"else": [None, 1.5, "x"]}
    return given


def any_event(rng: random.Random, number: int, kinds: list[str]) -> Event:
    kind = rng.choice(kinds)
    actor = any_id(rng, "u")
    raw: dict[str, Any] = {"id": rng.choice((number, f"{number}~猫")), "type": kind, "ts": any_ts(rng), "actor": actor}
    if kind in ON_USER:
        target = any_id(rng, "u")
        raw["object"] = target if str(target) != str(actor) else f"not {number}"
    elif kind not in {"user", "login", "logout", *LISTS}:
        raw["object"] = any_id(rng, "p")
    return from_object({**raw, "attrs": any_attrs(rng, kind)}, FAR)


@pytest.mark.parametrize(("seed", "limits"), [(1, Settings()), (3, SMALL)])
def test_a_hundred_thousand_random_events_break_nothing(seed: int, limits: Settings) -> None:
    rng = random.Random(seed)
    kinds = sorted(TYPES) + ["post"] * 6 + ["follow"] * 6
    assert set(ATTRS) <= set(kinds)
    found = [any_event(rng, number, kinds) for number in range(100_000)]
    state = State(limits.state, limits.ranking)
    for at in range(0, len(found), 5_000):
        state.fold(list(enumerate(found[at : at + 5_000], at + 1)))
    pipeline = Pipeline(state, limits)
    explainer = FeedExplainer(state, pipeline)
    assert state.watermark == 100_000
    assert state.posts.live_count == np.count_nonzero((state.posts.author >= 0) & ~state.posts.deleted)
    assert state.graph.follow_count == state.graph.followers(len(state.users)).sum()
    assert (state.engagement.counts(len(state.post_ids)) >= 0).all()
    assert whole(state, NOW)
    shown = 0
    for now in (0.0, NOW, FAR):
        for viewer in [str(name) for name in FEW[::3]]:
            (bulk,) = pipeline.generate([viewer], now)
            items = items_of(bulk)
            told = explainer.explain(viewer, now)
            assert isinstance(bulk, Bulk)
            assert encode_bulk(bulk)
            assert told is not None
            assert [item["item_id"] for item in told["items"]] == [item.item_id for item in items]
            assert (told["empty_because"] is None) == bool(items)
            json.dumps(told, allow_nan=False)
            posts = [state.post_ids.find(item.item_id) for item in items]
            assert len(set(posts)) == len(posts) <= limits.feed.items
            for post, item in zip(posts, items, strict=True):
                assert post is not None
                assert item.created_at <= now
                assert not state.posts.deleted[post]
                assert not state.posts.withheld[post]
                assert state.users.name(int(state.posts.author[post])) == item.author_id != viewer
            for post_id in ("猫\n\0", "x" * 128, "p1", "never heard of"):
                explainer.explain(viewer, now, post_id)
            shown += len(items)
        items_of(pipeline.trending(now))
    assert shown > 50
