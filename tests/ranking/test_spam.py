"""Spam: who posts beyond the rate is damped for what is beyond it; each story with its mirror."""

import random

import pytest

from feedgen import config
from feedgen.config import Settings
from tests.worlds import DAY, HOUR, NOW, Story

SCORED = config.Diversity(author_penalty=0.0, media_places=0, fresh_lift=0.0, explore_share=0.0)
LIMITS = Settings(spam=config.Spam(posts_per_day=50, penalty=2.0), diversity=SCORED)


def posting(author: str, times: int, every_s: float, settings: Settings = LIMITS) -> Story:
    """`vic` follows the author, who posted so often, p0 first, the last time an hour ago."""
    story = Story(settings)
    story.tell("vic", "follow", author, days=90)
    for number in range(times):
        story.tell(author, "post", f"p{number}", days=(HOUR + (times - 1 - number) * every_s) / DAY)
    return story


def damped(story: Story, viewer: str = "vic") -> set[str]:
    """Posts of the viewer's feed that lose by it."""
    told = story.explainer.explain(viewer, NOW)
    assert told is not None
    lost = {item["item_id"]: item["spam_penalty"] for item in told["items"]}
    assert set(lost.values()) <= {0.0, story.settings.spam.penalty}
    assert told["spam_damped"] == sum(map(bool, lost.values()))
    return {post for post, penalty in lost.items() if penalty}


def test_an_author_who_posts_200_times_a_day_is_damped_from_the_51st_on() -> None:
    story = posting("ann", 200, 430.0)
    assert damped(story) == {f"p{number}" for number in range(50, 200)}


def test_one_who_posts_3_times_a_day_is_not() -> None:
    assert damped(posting("ann", 3, 8 * HOUR)) == set()
    assert damped(posting("ann", 150, 8 * HOUR)) == set()


def test_fifty_posts_in_a_day_are_allowed_and_the_next_one_is_not() -> None:
    assert damped(posting("ann", 50, 60.0)) == set()
    assert damped(posting("ann", 51, 60.0)) == {"p50"}


@pytest.mark.parametrize(("every_s", "beyond"), [(DAY / 50, set()), (DAY / 50 - 0.001, {"p50"})])
def test_a_day_is_24_hours_wherever_they_begin(every_s: float, beyond: set[str]) -> None:
    assert damped(posting("ann", 51, every_s)) == beyond


def test_what_was_posted_beyond_the_rate_stays_damped_when_the_author_is_quiet_again() -> None:
    story = posting("ann", 60, 60.0)
    for number in range(200):
        story.tell("ann", "post", f"quiet{number}", days=2 + number)
    assert damped(story) == {f"p{number}" for number in range(50, 60)}


def test_another_author_who_follows_the_same_rules_is_not_damped_for_it() -> None:
    story = posting("ann", 60, 60.0)
    story.tell("vic", "follow", "bob", days=90)
    for number in range(50):
        story.tell("bob", "post", f"b{number}", days=0.1)
    assert damped(story) == {f"p{number}" for number in range(50, 60)}


def test_to_take_posts_back_does_not_make_room_for_more() -> None:
    story = posting("ann", 60, 60.0)
    for number in range(20):
        story.tell("ann", "delete", f"p{number}")
    assert damped(story) == {f"p{number}" for number in range(50, 60)}


def test_posts_that_are_still_to_come_do_not_count() -> None:
    story = posting("ann", 50, 60.0)
    for number in range(50):
        story.tell("ann", "post", f"ahead{number}", days=-0.5)
    assert damped(story) == set()


def test_who_trends_beyond_the_network_is_damped_too() -> None:
    story = Story(LIMITS)
    story.tell("vic", "login")
    for number in range(52):
        story.tell("ann", "post", f"p{number:02}", days=0.5 - number / 1_000)
    assert damped(story) == {"p50", "p51"}


def test_a_damped_post_loses_the_penalty_and_its_place() -> None:
    story = posting("ann", 51, 60.0)
    story.tell("vic", "follow", "bob", days=90)
    story.tell("bob", "post", "older", days=2)
    assert story.shown("vic")[-1] == "p50"
    free = posting("ann", 51, 60.0, Settings(spam=config.Spam(posts_per_day=51), diversity=SCORED))
    assert free.shown("vic")[0] == "p50"


def test_what_is_damped_may_be_ranked_out_and_the_explanation_says_so() -> None:
    settings = Settings(spam=config.Spam(posts_per_day=2), feed=config.Feed(items=2), diversity=SCORED)
    story = posting("ann", 3, 60.0, settings)
    assert story.shown("vic") == ["p1", "p0"]
    told = story.explainer.explain("vic", NOW, "p2")
    assert told is not None
    assert told["spam_damped"] == 1
    assert told["item"] | {"ranked_score": 0.0} == {
        "item_id": "p2", "outcome": "ranked_out", "ranked_score": 0.0, "spam_penalty": 2.0, "better": 2,
    }  # fmt: skip


def test_it_is_counted_once_for_each_feed() -> None:
    story = posting("ann", 60, 60.0)
    damped(story)  # looking counts nothing
    assert story.pipeline.counted["spam_damped"] == 0
    story.feed("vic")
    story.feed("vic")
    assert story.pipeline.counted["spam_damped"] == 20
    quiet = posting("ann", 3, 60.0)
    quiet.feed("vic")
    assert quiet.pipeline.counted["spam_damped"] == 0


def test_the_order_in_which_posts_become_known_does_not_matter() -> None:
    expected = {f"p{number}" for number in range(50, 70)}
    for seed in range(3):
        order = list(range(70))
        random.Random(seed).shuffle(order)
        story = Story(LIMITS)
        story.tell("vic", "follow", "ann", days=90)
        for number in order:
            story.tell("ann", "post", f"p{number}", days=(HOUR + (69 - number) * 60.0) / DAY)
            if number % 20 == 0:
                story.feed("vic")  # what was found before more was known is forgotten
        assert damped(story) == expected
