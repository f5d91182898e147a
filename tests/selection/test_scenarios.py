"""Who sees what, told as it happens to people; each with its mirror."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from feedgen import config
from feedgen.config import Settings
from tests.worlds import DAY, NOW, SMALL, Story, items_of

YEAR = datetime.fromtimestamp(NOW, UTC).year


def one_post_by(author: str = "ann") -> Story:
    """`vic` follows the author, who posted two days ago."""
    story = Story()
    story.tell("vic", "follow", author, days=9)
    story.tell(author, "post", "p", days=2)
    return story


def test_a_followee_who_posts_is_seen() -> None:
    story = one_post_by()
    (item,) = story.feed("vic")
    assert (item.item_id, item.author_id, item.reason, item.created_at) == ("p", "ann", "followed", NOW - 2 * DAY)


def test_after_the_last_login_a_post_is_new_before_it_popular() -> None:
    story = one_post_by()
    story.tell("vic", "login", days=3)
    assert [item.reason for item in story.feed("vic")] == ["followed"]
    story.tell("vic", "login", days=2)  # the moment of the post
    assert [item.reason for item in story.feed("vic")] == ["popular"]


def test_an_author_blocked_yesterday_is_gone_until_unblocked_today() -> None:
    story = one_post_by()
    story.tell("vic", "block", "ann", days=1)
    assert story.shown("vic") == []
    story.tell("vic", "unblock", "ann")
    assert story.shown("vic") == ["p"]


def test_an_unblock_that_is_older_than_the_block_changes_nothing() -> None:
    story = one_post_by()
    story.tell("vic", "block", "ann", days=1)
    story.tell("vic", "unblock", "ann", days=1.5)
    assert story.shown("vic") == []


def test_an_author_who_blocked_the_viewer_is_not_shown_to_the_viewer() -> None:
    story = one_post_by()
    story.tell("ann", "block", "vic", days=1)
    assert story.shown("vic") == []
    story.tell("vic", "unblock", "ann")  # not hers to lift
    assert story.shown("vic") == []
    story.tell("ann", "unblock", "vic")
    assert story.shown("vic") == ["p"]


def test_a_mute_hides_the_author_from_the_one_who_mutes_only() -> None:
    story = one_post_by()
    story.tell("ann", "follow", "vic", days=9)
    story.tell("vic", "post", "q", days=1)
    story.tell("vic", "mute", "ann", days=1)
    assert story.shown("vic") == []
    assert story.shown("ann") == ["q"]
    story.tell("vic", "unmute", "ann")
    assert story.shown("vic") == ["p"]


def test_two_blocks_need_two_unblocks() -> None:
    story = one_post_by()
    story.tell("vic", "block", "ann", days=1)
    story.tell("ann", "block", "vic", days=1)
    story.tell("vic", "unblock", "ann")
    assert story.shown("vic") == []


def test_trending_honours_blocks_too() -> None:
    story = Story()
    story.tell("ann", "post", "p", days=1)
    story.tell("vic", "login")
    assert story.shown("vic") == ["p"]
    story.tell("vic", "block", "ann")
    assert story.shown("vic") == []


def test_a_deleted_post_is_gone_for_good() -> None:
    story = one_post_by()
    story.tell("ann", "delete", "p", days=1)
    assert story.shown("vic") == []
    story.tell("ann", "post", "p")
    assert story.shown("vic") == []


@pytest.mark.parametrize("state", ["pending", "rejected"])
def test_a_post_under_review_waits_until_it_is_approved(state: str) -> None:
    story = one_post_by()
    story.tell("mod", "review", "p", days=1, state=state)
    assert story.shown("vic") == []
    assert story.shown("mod") == []  # nor does it trend
    story.tell("mod", "review", "p", state="approved")
    assert story.shown("vic") == ["p"]


def test_an_approval_that_is_older_than_the_rejection_changes_nothing() -> None:
    story = one_post_by()
    story.tell("mod", "review", "p", days=1, state="rejected")
    story.tell("mod", "review", "p", days=1.5, state="approved")
    assert story.shown("vic") == []


def test_what_a_followee_posted_does_not_use_up_the_room_for_others() -> None:
    story = Story(Settings(selection=config.Selection(trending_cap=1)))
    story.tell("vic", "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=2)
    story.tell("bob", "like", "p", days=1)
    story.tell("dan", "post", "q", days=2)
    assert {(item.item_id, item.reason) for item in story.feed("vic")} == {("p", "followed"), ("q", "trending")}


def test_a_minimum_age_keeps_out_the_younger_and_those_who_do_not_say() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=2, min_age=18)
    assert story.shown("vic") == []
    story.tell("vic", "user", birth_year=YEAR - 17)
    assert story.shown("vic") == []
    story.tell("vic", "user", birth_year=YEAR - 18)
    assert story.shown("vic") == ["p"]


def test_an_edit_can_raise_the_minimum_age_and_lift_it() -> None:
    story = one_post_by()
    story.tell("ann", "edit", "p", days=1, min_age=18)
    assert story.shown("vic") == []
    story.tell("ann", "edit", "p", min_age=0)
    assert story.shown("vic") == ["p"]


def test_sensitive_posts_come_from_followees_only_and_not_to_minors() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    story.tell("ann", "post", "p", days=2, sensitive=True)
    story.tell("bob", "post", "q", days=2, sensitive=True)
    assert story.shown("vic") == ["p"]
    story.tell("vic", "user", birth_year=YEAR - 17)
    assert story.shown("vic") == []
    story.tell("vic", "user", birth_year=YEAR - 30)
    assert story.shown("vic") == ["p"]


def test_strangers_are_shown_in_a_language_the_viewer_reads_followees_in_any() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    for author, language in (("ann", "fr"), ("bob", "fr"), ("dan", "de"), ("eve", "en"), ("fay", None)):
        about = {} if language is None else {"language": language}
        story.tell(author, "post", f"by-{author}", days=2, **about)
    everyone = {"by-ann", "by-bob", "by-dan", "by-eve", "by-fay"}
    assert set(story.shown("vic")) == everyone
    story.tell("vic", "user", language="de")
    assert set(story.shown("vic")) == everyone - {"by-bob"}


def test_who_is_not_known_is_shown_what_is_fit_for_everyone() -> None:
    story = Story()
    story.tell("ann", "post", "p", days=2, sensitive=True)
    story.tell("ann", "post", "q", days=2, min_age=12)
    story.tell("ann", "post", "r", days=2)
    assert [item.item_id for item in items_of(story.pipeline.trending(NOW))] == ["r"]


def test_own_posts_are_no_news() -> None:
    story = one_post_by()
    assert story.shown("ann") == []


@pytest.mark.parametrize("kind", ["hide", "report", "not_interested", "like", "comment", "share", "save", "click"])
def test_a_post_the_viewer_dealt_with_does_not_come_back(kind: str) -> None:
    story = one_post_by()
    story.tell("vic", kind, "p", days=1)
    assert story.shown("vic") == []
    story.tell("wes", "login")
    assert story.shown("wes") == ["p"]


def test_a_like_taken_back_is_still_a_post_seen_whichever_event_comes_first() -> None:
    told_late, told_in_time = one_post_by(), one_post_by()
    told_in_time.tell("vic", "like", "p", days=1)
    told_in_time.tell("vic", "unlike", "p")
    told_late.tell("vic", "unlike", "p")
    told_late.tell("vic", "like", "p", days=1)
    assert told_in_time.shown("vic") == told_late.shown("vic") == []


def test_a_post_seen_91_days_ago_comes_back_one_seen_90_days_ago_does_not() -> None:
    story = Story(Settings(selection=config.Selection(days=200)))
    story.tell("vic", "follow", "ann", days=200)
    story.tell("ann", "post", "p", days=150)
    story.tell("ann", "post", "q", days=150)
    story.tell("vic", "view", objects=["p"], days=91)
    story.tell("vic", "view", objects=["q"], days=90)
    assert story.shown("vic") == ["p"]


def test_who_follows_nobody_gets_what_is_popular_among_everyone() -> None:
    story = Story()
    for number in range(4):
        story.tell("ann", "post", f"p{number}", days=1 + number)
    for fan in ("f1", "f2"):
        story.tell(fan, "like", "p2", days=0.1)
    story.tell("vic", "login")
    assert {item.reason for item in story.feed("vic")} == {"trending"}
    assert set(story.shown("vic")) == {"p0", "p1", "p2", "p3"}


def test_a_viewer_never_seen_has_no_feed_and_everyone_may_have_the_trending_one() -> None:
    story = one_post_by()
    assert story.pipeline.generate(["nobody"], NOW) == [None]
    assert story.explainer.explain("nobody", NOW) is None
    assert story.pipeline.trending(NOW).items.count == 1


def test_after_two_weeks_away_one_author_cannot_use_the_cap_up() -> None:
    story = Story()
    for author, posts in (("loud", 1_150), ("ann", 25), ("ben", 25)):
        story.tell("vic", "follow", author, days=30)
        for number in range(posts):
            story.tell(author, "post", f"{author}{number:04}", days=13.9 * (number + 1) / posts)
    story.tell("vic", "login", days=14)
    feed = story.feed("vic")
    by_author = {name: [item.item_id for item in feed if item.author_id == name] for name in ("loud", "ann", "ben")}
    assert {name: len(posts) for name, posts in by_author.items()} == {"loud": 450, "ann": 25, "ben": 25}
    assert sorted(by_author["loud"]) == [f"loud{number:04}" for number in range(450)]  # the newest ones


def test_who_has_seen_a_cap_of_new_posts_gets_the_rest() -> None:
    story = Story(SMALL)
    story.tell("vic", "login", days=3.5)
    for author in ("ann", "ben", "cid"):
        story.tell("vic", "follow", author, days=3.9)
        for number in range(3):
            story.tell(author, "post", f"{author}{number}", days=1 + number)
    story.tell("vic", "view", objects=["ann0", "ben0", "cid0"])
    assert [item.item_id for item in story.feed("vic") if item.reason == "followed"] == ["ann1", "ben1", "cid1"]


def test_who_never_logged_in_has_only_new_posts() -> None:
    story = one_post_by()
    explained = story.explainer.explain("vic", NOW)
    assert explained is not None
    assert explained["last_login"] is None
    none = {"new_followee": 0, "popular": 0, "grown": 0, "interest": 0, "trending": 0}
    assert explained["candidates"] == {"followed": 1, **none}


def test_a_post_dated_ahead_waits_for_its_moment() -> None:
    story = one_post_by()
    story.tell("ann", "post", "soon", days=-0.5)
    assert "soon" not in story.shown("vic")
    assert "soon" in story.shown("vic", NOW + 0.5 * DAY)


def test_posts_beyond_retention_are_neither_shown_nor_paged_to() -> None:
    story = Story(Settings(state=config.State(retention_days=10)))
    story.tell("vic", "follow", "ann", days=30)
    story.tell("ann", "post", "old", days=10.01)
    story.tell("ann", "post", "edge", days=10)
    assert story.shown("vic") == ["edge"]
    older = story.pipeline.older("vic", until=NOW, after=None, exclude=(), limit=9)
    assert [item.item_id for item in older] == ["edge"]


def test_posts_of_more_than_a_month_ago_are_paged_to_but_not_shown() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=90)
    story.tell("ann", "post", "old", days=30.01)
    story.tell("ann", "post", "edge", days=30)
    assert story.shown("vic") == ["edge"]
    older = story.pipeline.older("vic", until=NOW, after="edge", exclude=(), limit=9)
    assert [item.item_id for item in older] == ["old"]
    explained = story.explainer.explain("vic", NOW, "old")
    assert explained is not None
    assert explained["item"]["outcome"] == "too_old"


REMOVALS: Final[dict[str, list[tuple[str, str, str | None, dict[str, Any]]]]] = {
    "own": [],  # no source names one of these three
    "deleted": [],
    "withheld": [],
    "age": [("ann", "edit", "p", {"min_age": 18})],
    "sensitive": [("ann", "edit", "p", {"sensitive": True}), ("vic", "user", None, {"birth_year": YEAR - 17})],
    "language": [("vic", "user", None, {"language": "de"}), ("eve", "post", "fr", {"language": "fr"})],
    "blocked": [("vic", "mute", "ann", {})],
    "hidden": [("vic", "not_interested", "p", {})],
    "seen": [("vic", "view", None, {"objects": ["p"]})],
}
"""For each filter what makes it remove one candidate of `one_post_by`, or one that comes with it."""


@pytest.mark.parametrize("name", [name for name, told in REMOVALS.items() if told])
def test_each_filter_counts_what_it_removes_under_its_name(name: str) -> None:
    story = one_post_by()
    story.tell("ben", "post", "kept", days=1)
    for actor, kind, target, attrs in REMOVALS[name]:
        story.tell(actor, kind, target, **attrs)
    explained = story.explainer.explain("vic", NOW)
    assert explained is not None
    assert {filter_: count for filter_, count in explained["removed"].items() if count} == {name: 1}
    assert "kept" in {item["item_id"] for item in explained["items"]}
    assert sum(explained["candidates"].values()) == len(explained["items"]) + 1
    story.feed("vic")
    assert story.pipeline.counted[f"filter_{name}"] == 1


def test_every_filter_of_the_pipeline_has_its_scenario() -> None:
    assert set(REMOVALS) == {rule.name for rule in Story().pipeline.filters}


GONE: Final = [("ann", "delete", "p", {}), *(("mod", "review", "p", {"state": to}) for to in ("pending", "rejected"))]


@pytest.mark.parametrize(("actor", "kind", "post", "attrs"), GONE)
def test_a_post_taken_back_or_withheld_is_named_by_no_source_and_says_why_it_is_not_shown(
    actor: str, kind: str, post: str, attrs: dict[str, Any]
) -> None:
    story = one_post_by()
    story.tell("vic", "view", objects=["p"], days=1.5)
    story.tell("vic", "login", days=1)
    story.tell(actor, kind, post, **attrs)
    told = story.explainer.explain("vic", NOW, "p")
    assert told is not None
    assert not any(told["candidates"].values())
    assert told["item"] == {"item_id": "p", "outcome": "removed", "by": "deleted" if kind == "delete" else "withheld"}
    assert story.pipeline.older("vic", until=NOW, after=None, exclude=(), limit=9) == []


def taste_of(story: Story) -> list[float]:
    """By topic, what `vic` cares for."""
    ranked = story.pipeline.rank_by_id("vic", NOW)
    assert ranked is not None
    return ranked.context.taste.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("actor", "kind", "post", "attrs"), GONE)
@pytest.mark.parametrize("author", ["ann", "vic"])
def test_a_post_taken_back_or_withheld_counts_neither_for_taste_nor_for_places(
    author: str, actor: str, kind: str, post: str, attrs: dict[str, Any]
) -> None:
    """As if it had never been by this author: in the other world a stranger posts it, so that topics are as rare."""
    worlds, limits = list[Story](), config.Selection(new_cap=3, interest_cap=2)
    for by in (author, "stranger"):
        story = Story(Settings(selection=limits))
        for friend, topic in (("ann", "chess"), ("ben", "tea")):
            story.tell("vic", "follow", friend, days=9)
            for number in range(3):
                story.tell(friend, "post", f"{friend}{number}", days=3 + number, topics=[topic])
        for number, topic in enumerate(("chess", "tea", "go")):
            story.tell("eve", "post", f"eve{number}", days=3 + number, topics=[topic])
        story.tell("vic", "post", "mine", days=3, topics=["tea"])
        story.tell(by, "post", "p", days=1, topics=["go"])
        worlds.append(story)
    with_it, without = worlds
    assert taste_of(with_it) != taste_of(without)
    for story in worlds:
        story.tell(actor, kind, post, **attrs)
    assert taste_of(with_it) == taste_of(without)
    shown, expected = ({(item.item_id, item.reason) for item in story.feed("vic")} for story in worlds)
    assert {item for item, reason in shown if reason == "followed"} == {"ann0", "ben0", "ann1"}
    assert shown == expected


def test_an_own_post_is_removed_should_a_source_name_it() -> None:
    story = one_post_by()
    story.tell("vic", "post", "mine", days=1)
    told = story.explainer.explain("vic", NOW, "mine")
    assert told is not None
    assert told["item"] == {"item_id": "mine", "outcome": "removed", "by": "own"}


@pytest.mark.parametrize("name", [name for name, told in REMOVALS.items() if told and name != "language"])
def test_a_feed_emptied_by_a_filter_says_so(name: str) -> None:
    story = one_post_by()
    for actor, kind, target, attrs in REMOVALS[name]:
        story.tell(actor, kind, target, **attrs)
    explained = story.explainer.explain("vic", NOW)
    assert explained is not None
    assert explained["items"] == []
    assert explained["empty_because"] == "every candidate was removed by a filter; see `removed`"
    assert explained["removed"][name] == 1


def test_removals_are_counted_under_the_first_filter_that_makes_them() -> None:
    story = one_post_by()
    story.tell("vic", "hide", "p")
    story.tell("vic", "like", "p")
    explained = story.explainer.explain("vic", NOW)
    assert explained is not None
    assert explained["removed"] == {
        "duplicate": 0,
        "own": 0,
        "deleted": 0,
        "withheld": 0,
        "age": 0,
        "sensitive": 0,
        "language": 0,
        "blocked": 0,
        "hidden": 1,
        "seen": 0,
    }
