"""Features and scores, against the formulas in their docstrings."""

from math import log, log1p

import pytest

from feedgen.ranking.features import FEATURES
from tests.worlds import DAY, NOW, Story


@pytest.fixture
def story() -> Story:
    """`vic` follows `ann`, who wrote `past` (about tea) and then `p` (about tea and chess) a week ago."""
    told = Story()
    told.tell("vic", "follow", "ann", days=30)
    told.tell("ann", "post", "past", days=20, topics=["tea"])
    told.tell("ann", "post", "p", days=7, topics=["tea", "chess"])
    return told


def test_without_history_a_post_has_its_age_and_what_is_usual(story: Story) -> None:
    values = {name: story.score("vic", "p", name) for name in FEATURES}
    assert values.pop("freshness") == pytest.approx(-log(1 + 168 / 12))
    assert values.pop("recency") == pytest.approx(-log(2))  # 168 hours
    assert values.pop("followed") == 1
    assert values.pop("followers") == pytest.approx(log(2))
    assert values.pop("author_rate") == pytest.approx(log(5 / 17))  # 15 views at 1/3, and her two posts
    assert values.pop("post_rate") == pytest.approx(log(15 * (5 / 17) / 16))
    assert values.pop("topic") == pytest.approx(log(2), abs=0.3)  # ann's topics are all there are
    assert values == dict.fromkeys(values, 0), "what nobody did counts nothing"


def test_an_engagement_counts_for_its_author_at_three_half_lives(story: Story) -> None:
    story.tell("vic", "comment", "past", days=30)
    for half_life, name in ((7, "short"), (30, "mid"), (90, "long")):
        assert story.score("vic", "p", f"affinity_{name}") == pytest.approx(log1p(3 * 2 ** (-30 / half_life)), rel=1e-5)


def test_what_others_do_with_an_author_and_what_is_against_one_is_no_affinity(story: Story) -> None:
    story.tell("wes", "comment", "past")
    story.tell("vic", "report", "past")
    assert story.score("vic", "p", "affinity_long") == 0
    assert story.score("vic", "p", "liked_share") == 0


def test_an_unlike_takes_the_affinity_back(story: Story) -> None:
    story.tell("vic", "like", "past", days=1)
    assert story.score("vic", "p", "affinity_long") > 0.6
    story.tell("vic", "unlike", "past")
    assert story.score("vic", "p", "affinity_long") == 0


def test_a_later_like_replaces_an_earlier_one(story: Story) -> None:
    story.tell("vic", "like", "past", days=90)
    story.tell("vic", "like", "past", days=0)
    story.tell("vic", "like", "past", days=45)
    assert story.score("vic", "p", "affinity_long") == pytest.approx(log(2))


def test_one_liked_oftener_than_shown_is_liked_above_the_share(story: Story) -> None:
    story.tell("ben", "post", "b", days=6)
    story.tell("ben", "post", "c", days=6)
    story.tell("vic", "follow", "ben", days=30)
    story.tell("vic", "like", "past")
    # one of four posts was engaged with: 1/2 is expected of each author, as nobody says what was seen
    assert story.score("vic", "p", "liked_share") == pytest.approx(log(2 / 1.5))
    assert story.score("vic", "b", "liked_share") == pytest.approx(log(1 / 1.5))
    story.tell("vic", "unlike", "past")
    assert story.score("vic", "p", "liked_share") == story.score("vic", "b", "liked_share") == 0
    story.tell("vic", "share", "past")
    story.tell("vic", "view", objects=["past"])  # now it is known that nothing else was
    assert story.score("vic", "p", "liked_share") == pytest.approx(log(2 / 2))
    assert story.score("vic", "b", "liked_share") == 0


def test_who_follows_back_is_told_from_who_does_not(story: Story) -> None:
    story.tell("ben", "post", "b", days=6)
    story.tell("ann", "follow", "vic")
    assert [story.score("vic", post, "follows_back") for post in ("p", "b")] == [1, 0]
    assert [story.score("vic", post, "followed") for post in ("p", "b")] == [1, 0]
    story.tell("ann", "unfollow", "vic")
    assert story.score("vic", "p", "follows_back") == 0


def test_followers_are_counted_as_they_stand(story: Story) -> None:
    for fan in ("f1", "f2", "f2", "f3"):
        story.tell(fan, "follow", "ann")
    story.tell("f3", "unfollow", "ann")
    assert story.score("vic", "p", "followers") == pytest.approx(log1p(3))


def test_everyones_engagements_count_for_the_post_and_fade_with_the_hours(story: Story) -> None:
    story.tell("wes", "share", "p", days=1)
    story.tell("xia", "save", "p", days=0)
    story.tell("xia", "dwell", "p", value=40.0)
    assert story.score("vic", "p", "engagement") == pytest.approx(log1p(4 / 25 + 2))
    assert story.score("vic", "p", "engagement", NOW + DAY) == pytest.approx(log1p(4 / 49 + 2 / 25))
    assert story.score("vic", "p", "network") == 0
    story.tell("vic", "follow", "xia")
    assert story.score("vic", "p", "network") == pytest.approx(log1p(2))


def test_talk_of_today_is_momentum_and_talk_of_the_week_is_not(story: Story) -> None:
    story.tell("wes", "share", "p", days=1)
    assert story.score("vic", "p", "momentum") == pytest.approx(log(5) - log1p(4 / 7))
    assert story.score("vic", "p", "momentum", NOW + DAY) == pytest.approx(-log1p(4 / 7))
    assert story.score("vic", "p", "momentum", NOW + 6 * DAY) == pytest.approx(-log1p(4 / 7))  # the seventh day
    assert story.score("vic", "p", "momentum", NOW + 7 * DAY) == 0


def test_each_report_counts_against_a_post_also_below_nothing(story: Story) -> None:
    for fan in ("f1", "f2", "f3", "f4"):
        story.tell(fan, "share", "p")
    story.tell("wes", "report", "p")
    story.tell("wes", "report", "p")  # once more is no more
    assert story.score("vic", "p", "engagement") == pytest.approx(log1p(4 * 4 - 10))
    story.tell("xia", "report", "p")
    assert story.score("vic", "p", "engagement") == pytest.approx(-log1p(2 * 10 - 4 * 4))


def test_a_post_reported_long_after_it_was_liked_gains_nothing_by_it() -> None:
    story = Story()
    story.tell("vic", "follow", "ann", days=9)
    for post in ("good", "bad"):
        story.tell("ann", "post", post, days=4)
        story.tell("x1", "like", post, days=3)
        story.tell("x2", "like", post, days=3)
    for number in range(3):
        story.tell(f"y{number}", "report", "bad", days=2.9)
    assert story.score("vic", "bad", "momentum") == story.score("vic", "good", "momentum")
    assert story.score("vic", "bad", "engagement") < 0 < story.score("vic", "good", "engagement")
    assert story.shown("vic")[0] == "good"


def test_an_engagement_dated_ahead_counts_as_of_now(story: Story) -> None:
    story.tell("wes", "like", "p", days=-1)
    assert story.score("vic", "p", "engagement") == pytest.approx(log1p(1))


def test_rates_are_engagements_per_view_drawn_to_what_is_usual(story: Story) -> None:
    for number in range(30):
        story.tell(f"r{number}", "view", objects=["p"])
        if number % 3 == 0:
            story.tell(f"r{number}", "click", "p")
    everyone = 11 / 33  # + 1 each, and each of two posts is thought to have been seen once
    author = (10 + 15 * everyone) / (32 + 15)
    assert story.score("vic", "p", "author_rate") == pytest.approx(log(author))
    assert story.score("vic", "p", "post_rate") == pytest.approx(log((10 + 15 * author) / (31 + 15)))


@pytest.fixture
def tastes() -> Story:
    """`vic` follows `ann` and `ben`, who write of chess, as few do; strangers write of tea and of jazz."""
    told = Story()
    for author in ("ann", "ben"):
        told.tell("vic", "follow", author, days=30)
        told.tell(author, "post", f"chess-{author}", days=3, topics=["chess"])
    for number in range(6):
        told.tell(f"s{number}", "post", f"tea{number}", days=3, topics=["tea"])
        told.tell(f"s{number}", "post", f"jazz{number}", days=3, topics=["jazz"])
    told.tell("s0", "post", "both", days=3, topics=["chess", "jazz"])
    told.tell("s1", "post", "nothing", days=3)
    told.tell("new", "login", days=3)
    return told


def test_taste_is_first_of_what_followees_write_about(tastes: Story) -> None:
    chess, both, tea, plain = (tastes.score("vic", post, "topic") for post in ("chess-ann", "both", "tea0", "nothing"))
    assert chess > both > plain == pytest.approx(log(2))
    assert plain > tea
    assert tastes.score("new", "tea0", "topic") == pytest.approx(log(2))


def test_taste_is_also_of_what_the_viewer_writes(tastes: Story) -> None:
    assert tastes.score("s5", "tea0", "topic") > log(2) > tastes.score("s5", "chess-ann", "topic")
    before = tastes.score("vic", "tea1", "topic")
    tastes.tell("vic", "post", "of-vic", topics=["tea"])
    assert tastes.score("vic", "tea1", "topic") > before + 0.02


def test_taste_is_also_of_what_the_viewer_engages_with(tastes: Story) -> None:
    before = {post: tastes.score("vic", post, "topic") for post in ("tea1", "jazz1")}
    assert before["tea1"] == pytest.approx(before["jazz1"], abs=0.02)
    tastes.tell("vic", "like", "tea0")
    assert tastes.score("vic", "tea1", "topic") > before["tea1"] + 0.01
    tastes.tell("s0", "edit", "tea0", topics=["jazz"])
    assert tastes.score("vic", "tea1", "topic") < tastes.score("vic", "jazz1", "topic")
    tastes.tell("vic", "unlike", "tea0")
    assert tastes.score("vic", "jazz1", "topic") == pytest.approx(before["jazz1"], abs=0.02)
