"""Why a post is shown, and why not: every post has one reason, and the reasons add up."""

import random
from collections import Counter
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen import config
from feedgen.config import Settings
from feedgen.events import Event
from feedgen.explaining import FeedExplainer
from feedgen.pipeline import Pipeline
from feedgen.synthetic import NetworkSpec, generate
from tests.twin import Twin
from tests.worlds import NOW, PEOPLE, POSTS, SMALL, Story, events, folded

WEEK = 7 * 86_400.0


def expected(twin: Twin, viewer: str, post: str, now: float) -> tuple[str, str | None]:
    """The outcome, and the bound that capped it."""
    it = twin.posts[post]
    if it.created > now:
        return "not_yet", None
    if post in {item.item_id for item in twin.feed(viewer, now) or []}:
        return "shown", None
    seen = post in twin.seen(viewer, now)
    if it.author == viewer or not twin.may_see(viewer, post) or (seen and post not in twin.grown(viewer, now)):
        return "removed", None
    if post in twin.candidates(viewer, now).source:
        return "ranked_out", None
    if (viewer, it.author) not in twin.follows:
        return "not_found", None
    if post not in twin.network(viewer, now):
        old = it.created < now - twin.settings.window_s
        return ("too_old", None) if old else ("capped", "posts_per_author")
    if seen:
        return "capped", None  # it is there because it has grown, whenever it was made
    return "capped", "followed" if it.created > twin.logins.get(viewer, -1.0) else "popular"


@settings(max_examples=100, deadline=None)
@given(events(), st.sampled_from([NOW, NOW - 3_600.0]))
def test_every_post_has_the_reason_that_the_twin_finds(found: list[Event], now: float) -> None:
    twin, state = Twin.of(found, SMALL), folded(found)
    explainer = FeedExplainer(state, Pipeline(state, SMALL))
    for viewer in PEOPLE:
        for post in POSTS:
            told = explainer.explain(viewer, now, post)
            if viewer not in twin.people or post not in twin.posts:
                assert told is None
                continue
            assert told is not None
            outcome, bound = expected(twin, viewer, post, now)
            assert told["item"]["outcome"] == outcome
            assert bound is None or told["item"]["by"] == bound
            assert (told["item"].get("by") is not None) == (outcome in {"removed", "not_found", "capped"})


def test_why_not_is_answered_for_every_post_by_a_followee_of_the_last_week() -> None:
    spec = NetworkSpec(viewers=150, days=12, followees_mean=40.0, history_days=20.0, seed=5)
    found = list(generate(spec).events())
    bounds = config.Selection(new_cap=20, new_followee_cap=5, grown_cap=5, interest_cap=5, trending_cap=5, fetch_cap=60)
    limits = Settings(feed=config.Feed(items=30), selection=bounds)
    state = folded(found, settings=limits)
    explainer, now = FeedExplainer(state, Pipeline(state, limits)), float(spec.end)
    outcomes: Counter[str] = Counter()
    for viewer in random.Random(7).sample(range(150), 100):
        ranked = explainer._pipeline.rank(state.users.find(f"u{viewer}") or 0, now)
        network = ranked.context.network
        recent = network.posts[network.created >= now - WEEK].tolist()
        told = {post: explainer._why(ranked, post)["outcome"] for post in recent}
        considered, shown = set(ranked.considered.tolist()), set(ranked.posts.tolist())
        for post, outcome in told.items():
            if post in considered:
                assert outcome == ("shown" if post in shown else "ranked_out")
            else:
                assert outcome in {"removed", "capped"}
        named, removed = sum(ranked.candidates.values()), sum(ranked.removed.values())
        assert named - removed == len(considered)
        assert len(shown) == min(len(considered), limits.feed.items)
        outcomes.update(told.values())
        if recent:  # what the command says is one of these
            asked = explainer.explain(f"u{viewer}", now, state.post_ids.name(recent[0]))
            assert asked is not None
            assert asked["item"]["outcome"] == told[recent[0]]
    assert min(outcomes[name] for name in ("shown", "removed", "ranked_out", "capped")) > 10, outcomes


def test_an_empty_feed_says_why() -> None:
    story = Story()
    story.tell("vic", "login")
    alone = story.explainer.explain("vic", NOW)
    assert alone is not None
    assert alone["empty_because"] == "the viewer follows nobody, and nothing unseen is trending"
    story.tell("vic", "follow", "ann")
    quiet = story.explainer.explain("vic", NOW)
    assert quiet is not None
    assert "followees posted nothing" in quiet["empty_because"]
    story.tell("ann", "post", "p", days=1)
    story.tell("ann", "delete", "p")
    removed = story.explainer.explain("vic", NOW)
    assert removed is not None
    assert removed["empty_because"] == quiet["empty_because"]
    story.tell("ann", "post", "s", days=1)
    story.tell("vic", "hide", "s")
    removed = story.explainer.explain("vic", NOW)
    assert removed is not None
    assert removed["empty_because"] == "every candidate was removed by a filter; see `removed`"
    story.tell("ann", "post", "q", days=1)
    assert story.explainer.explain("vic", NOW)["empty_because"] is None  # type: ignore[index]


def test_a_filter_is_named() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    for kind in ("like", "hide"):
        story.tell("ann", "post", kind, days=2)
        story.tell("vic", kind, kind, days=1)
    why = {post: story.explainer.explain("vic", NOW, post) for post in ("like", "hide")}
    assert {post: told and told["item"] for post, told in why.items()} == {
        "like": {"item_id": "like", "outcome": "removed", "by": "seen"},
        "hide": {"item_id": "hide", "outcome": "removed", "by": "hidden"},
    }


def test_it_is_told_who_engaged_when_and_when_the_post_was_served_and_seen() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    story.tell("vic", "follow", "bob", days=9)
    story.tell("ann", "post", "p", days=8)
    story.tell("bob", "like", "p", days=2)
    story.tell("eve", "like", "p", days=6)
    story.tell("eve", "comment", "p")
    story.tell("dan", "like", "p")
    story.tell("dan", "unlike", "p")
    story.tell("vic", "serve", objects=["p"], days=3)
    story.tell("vic", "view", objects=["p"], days=1)
    told = story.explainer.explain("vic", NOW, "p")
    assert told is not None
    day = lambda days: datetime.fromtimestamp(NOW - days * 86_400, UTC).strftime("%Y-%m-%d")  # noqa: E731
    assert (told["post"]["last_served"], told["post"]["last_seen"]) == (day(3), day(1))
    assert told["post"]["engagement"] == {
        "everyone": {
            "like": {"1h": 0, "1d": 0, "3d": 1, "7d": 2, "ever": 2},
            "comment": {"1h": 1, "1d": 1, "3d": 1, "7d": 1, "ever": 1},
        },
        "network": {"like": {"1h": 0, "1d": 0, "3d": 1, "7d": 1, "ever": 1}},
    }


def test_what_was_only_served_may_be_shown_again() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=2)
    story.tell("vic", "serve", objects=["p"], days=1)
    assert story.shown("vic") == ["p"]
    story.tell("vic", "view", objects=["p"], days=1)
    assert story.shown("vic") == []


def test_what_is_sent_to_a_viewer_is_no_deed_of_the_viewer() -> None:
    story = Story()
    story.tell("vic", "login", days=20)
    story.tell("vic", "serve", objects=["p"])
    assert story.state.logins.last_active(0) == NOW - 20 * 86_400


def test_with_heads_the_parts_of_the_score_add_up() -> None:
    heads = {
        "like": config.Head(value=1.0, bias=0.2, weights={"freshness": 0.5}),
        "hide": config.Head(value=-3.0, weights={"topic": -1.0}),
    }
    story = Story(Settings(ranking=config.Ranking(heads=heads)))
    story.tell("vic", "follow", "ann", days=30)
    story.tell("ann", "post", "p", days=1)
    explained = story.explainer.explain("vic", NOW)
    assert explained is not None
    (item,) = explained["items"]
    assert set(item["heads"]) == {"like", "hide"}
    assert abs(sum(head["part"] for head in item["heads"].values()) - item["ranked_score"]) < 1e-6
    assert item["features"]["topic"]["weights"] == {"like": 0.0, "hide": -1.0}
