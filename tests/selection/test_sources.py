"""What each source names, told as it happens to people; each with its mirror, and its bound."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from feedgen import config
from feedgen.config import Settings
from tests.worlds import DAY, NOW, Story


def named(story: Story, source: str, viewer: str = "vic") -> set[str]:
    """The items of the viewer's feed that this source named first."""
    return {item.item_id for item in story.feed(viewer) if item.reason == source}


def fans(story: Story, post: str, names: Iterable[str], days: float = 0.0, kind: str = "like") -> None:
    """All of them engage with the post."""
    for name in names:
        story.tell(name, kind, post, days=days)


def follow(story: Story, fans: list[int], authors: list[int]) -> None:
    """Each of the fans follows the author at the same place, without a word to the log."""
    ts = np.full(len(fans), NOW - 30 * DAY)
    story.state.graph.follow_many(np.array(fans), np.array(authors), np.ones(len(fans), np.bool_), ts, None)


def limited(**limits: int | float) -> Story:
    """A story under other bounds of selection."""
    return Story(Settings(selection=config.Selection(**limits)))  # type: ignore[arg-type]


class TestNewFollowees:
    """(e) Recent posts of authors followed since the last login."""

    @pytest.fixture
    def story(self) -> Story:
        """`vic` logged in yesterday, following `old`, and then followed `ann`; both had posted before."""
        told = Story()
        told.tell("vic", "follow", "old", days=30)
        told.tell("vic", "login", days=1)
        told.tell("vic", "follow", "ann", days=0.9)
        for author in ("old", "ann"):
            told.tell(author, "post", f"by-{author}", days=3)
        return told

    def test_posts_of_before_the_login_by_one_followed_since_are_named(self, story: Story) -> None:
        assert named(story, "new_followee") == {"by-ann"}
        assert named(story, "popular") == {"by-old"}

    def test_after_the_next_login_the_author_is_one_like_others(self, story: Story) -> None:
        story.tell("vic", "login", days=0.5)
        assert named(story, "new_followee") == set()
        assert named(story, "popular") == {"by-ann", "by-old"}

    def test_one_followed_anew_is_new_again(self, story: Story) -> None:
        story.tell("vic", "unfollow", "old", days=0.8)
        assert named(story, "new_followee") == {"by-ann"}
        story.tell("vic", "follow", "old", days=0.7)
        assert named(story, "new_followee") == {"by-ann", "by-old"}

    def test_one_unfollowed_again_is_not_named(self, story: Story) -> None:
        story.tell("vic", "unfollow", "ann")
        assert named(story, "new_followee") == set()

    def test_a_post_seen_before_the_follow_is_not_new(self, story: Story) -> None:
        story.tell("vic", "view", days=2, objects=["by-ann"])
        assert named(story, "new_followee") == set()

    def test_what_came_since_the_login_is_new_whoever_wrote_it(self, story: Story) -> None:
        story.tell("ann", "post", "later", days=0.5)
        assert named(story, "followed") == {"later"}

    def test_posts_older_than_two_weeks_are_not_recent(self, story: Story) -> None:
        story.tell("ann", "post", "edge", days=14)
        story.tell("ann", "post", "old", days=14.001)
        assert named(story, "new_followee") == {"by-ann", "edge"}
        assert "old" in named(story, "popular")

    def test_who_never_logged_in_has_no_login_to_follow_after(self) -> None:
        story = Story()
        story.tell("ann", "post", "p", days=3)
        story.tell("vic", "follow", "ann")
        assert named(story, "new_followee") == set()
        assert named(story, "followed") == {"p"}

    def test_over_the_cap_authors_take_turns_newest_first(self) -> None:
        story = limited(new_followee_cap=3)
        story.tell("vic", "login", days=1)
        for author, posts in (("loud", 9), ("ann", 1)):
            for number in range(posts):
                story.tell(author, "post", f"{author}{number}", days=2 + number)
            story.tell("vic", "follow", author)
        assert named(story, "new_followee") == {"loud0", "loud1", "ann0"}


class TestGrown:
    """(c) Posts seen before whose engagement has since grown much."""

    @pytest.fixture
    def story(self) -> Story:
        """`vic` saw a post by `ann` five days ago, when three liked it."""
        told = Story()
        told.tell("vic", "follow", "ann", days=30)
        told.tell("ann", "post", "p", days=6)
        told.tell("vic", "view", days=5, objects=["p"])
        told.tell("vic", "login", days=4)
        fans(told, "p", ("a", "b", "c"), days=5)
        return told

    def test_ten_more_and_three_times_as_many_bring_it_back(self, story: Story) -> None:
        fans(story, "p", (f"f{n}" for n in range(9)), days=2)
        assert named(story, "grown") == set()
        fans(story, "p", ("f9",), days=2, kind="comment")
        assert named(story, "grown") == {"p"}

    def test_what_was_much_talked_about_must_grow_more(self, story: Story) -> None:
        story.tell("d", "like", "p", days=5)
        fans(story, "p", (f"f{n}" for n in range(11)), days=2)
        assert named(story, "grown") == set()
        story.tell("f11", "like", "p", days=2)
        assert named(story, "grown") == {"p"}

    def test_talk_of_the_day_it_was_seen_on_is_not_since(self, story: Story) -> None:
        fans(story, "p", (f"f{n}" for n in range(10)), days=5)
        assert named(story, "grown") == set()

    def test_likes_taken_back_and_feedback_are_no_growth(self, story: Story) -> None:
        fans(story, "p", (f"f{n}" for n in range(9)), days=2)
        fans(story, "p", (f"r{n}" for n in range(5)), days=2, kind="report")
        story.tell("f9", "like", "p", days=2)
        story.tell("f9", "unlike", "p")
        assert named(story, "grown") == set()

    def test_seen_again_it_must_grow_again(self, story: Story) -> None:
        fans(story, "p", (f"f{n}" for n in range(20)), days=2)
        assert named(story, "grown") == {"p"}
        story.tell("vic", "view", days=1, objects=["p"])
        assert story.shown("vic") == []
        fans(story, "p", (f"g{n}" for n in range(69)))
        assert named(story, "grown") == {"p"}

    def test_who_engaged_with_it_does_not_get_it_again(self, story: Story) -> None:
        fans(story, "p", (f"f{n}" for n in range(20)), days=2)
        story.tell("vic", "like", "p", days=5)
        assert story.shown("vic") == []
        story.tell("vic", "unlike", "p")
        assert story.shown("vic") == []

    @pytest.mark.parametrize("kind", ["hide", "report", "not_interested"])
    def test_what_the_viewer_wants_no_more_does_not_come_back(self, story: Story, kind: str) -> None:
        fans(story, "p", (f"f{n}" for n in range(20)), days=2)
        story.tell("vic", kind, "p", days=5)
        assert story.shown("vic") == []

    def test_what_a_stranger_wrote_stays_seen(self, story: Story) -> None:
        story.tell("eve", "post", "q", days=6)
        story.tell("vic", "view", days=5, objects=["q"])
        fans(story, "q", (f"f{n}" for n in range(20)), days=2)
        assert story.shown("vic") == []
        story.tell("vic", "follow", "eve")
        assert named(story, "grown") == {"q"}

    def test_over_the_cap_the_most_popular_come_back(self) -> None:
        story = limited(grown_cap=1, grown_min=1)
        story.tell("vic", "follow", "ann", days=30)
        for post in ("p", "q"):
            story.tell("ann", "post", post, days=6)
        story.tell("vic", "view", days=5, objects=["p", "q"])
        story.tell("vic", "login", days=4)
        fans(story, "p", ("f",), days=1)
        fans(story, "q", ("f", "g"), days=1)
        assert named(story, "grown") == {"q"}
        assert story.shown("vic") == ["q"]

    def test_a_new_post_that_was_seen_and_has_grown_is_shown_once_and_counted_twice(self) -> None:
        story = limited(grown_min=1)
        story.tell("vic", "follow", "ann", days=30)
        story.tell("ann", "post", "p", days=3)
        story.tell("vic", "view", days=2, objects=["p"])
        fans(story, "p", ("f",), days=1)
        explained = story.explainer.explain("vic", NOW)
        assert explained is not None
        assert (explained["candidates"]["followed"], explained["candidates"]["grown"]) == (1, 1)
        assert explained["removed"]["duplicate"] == 1
        assert [(item["item_id"], item["reason"]) for item in explained["items"]] == [("p", "followed")]


class TestInterest:
    """(d) From beyond the network: what matches the viewer's taste."""

    @pytest.fixture
    def story(self) -> Story:
        """`vic` follows `ann`, who writes of chess. Strangers wrote of chess and of tea."""
        return self.strangers(Story())

    @staticmethod
    def strangers(told: Story) -> Story:
        told.tell("vic", "follow", "ann", days=30)
        told.tell("ann", "post", "hers", days=4, topics=["chess"])
        for number in range(4):
            told.tell(f"s{number}", "post", f"chess{number}", days=3 - number / 10, topics=["chess"])
            told.tell(f"s{number}", "post", f"tea{number}", days=3, topics=["tea"])
            told.tell(f"s{number}", "post", f"plain{number}", days=3)
        return told

    def test_strangers_posts_of_the_topics_one_follows_people_for_are_named(self, story: Story) -> None:
        assert named(story, "interest") == {"chess0", "chess1", "chess2", "chess3"}
        assert {item[:3] for item in named(story, "trending")} == {"tea", "pla"}

    def test_of_what_followees_write_about_what_the_viewer_engages_with_is_of_interest(self, story: Story) -> None:
        story.tell("vic", "follow", "ben", days=30)
        story.tell("ben", "post", "his", days=4, topics=["tea"])
        before = named(story, "interest")
        fans(story, "tea0", ("vic",))
        story.tell("vic", "comment", "tea1")
        assert named(story, "interest") == {"tea2", "tea3"} != before

    def test_who_follows_nobody_and_did_nothing_has_no_interests_known(self, story: Story) -> None:
        story.tell("wes", "login")
        assert named(story, "interest", "wes") == set()
        assert len(named(story, "trending", "wes")) == 13
        story.tell("wes", "like", "tea0")
        assert named(story, "interest", "wes") == {"tea1", "tea2", "tea3"}

    def test_what_was_seen_is_not_named_nor_what_a_followee_wrote(self, story: Story) -> None:
        story.tell("vic", "view", objects=["chess0"])
        story.tell("vic", "follow", "s1")
        assert named(story, "interest").isdisjoint({"chess0", "chess1", "hers"})

    def test_over_the_cap_the_best_match_that_is_popular_comes_first(self) -> None:
        story = self.strangers(limited(interest_cap=2))
        assert named(story, "interest") == {"chess3", "chess2"}  # alike, so the newest
        fans(story, "chess0", ("f", "g"))
        assert named(story, "interest") == {"chess3", "chess0"}

    def test_a_post_named_by_interest_and_trending_is_counted_once_as_duplicate(self, story: Story) -> None:
        explained = story.explainer.explain("vic", NOW)
        assert explained is not None
        assert explained["candidates"]["interest"] == 4
        assert explained["candidates"]["trending"] == 12
        assert explained["removed"]["duplicate"] == 4
        assert len(explained["items"]) == 13


class TestPopular:
    """(b) Followees' retained posts the viewer has not seen, by popularity."""

    def test_posts_of_before_the_login_that_were_missed_are_named(self) -> None:
        story = Story()
        story.tell("vic", "follow", "ann", days=300)
        for number, days in enumerate((3, 20, 29.9, 30.1)):
            story.tell("ann", "post", f"p{number}", days=days)
        story.tell("vic", "login", days=1)
        assert named(story, "popular") == {"p0", "p1", "p2"}
        story.tell("vic", "view", objects=["p0"])
        assert named(story, "popular") == {"p1", "p2"}
        story.tell("vic", "unfollow", "ann")
        assert named(story, "popular") == set()

    def test_over_the_room_the_most_popular_are_named_and_a_report_counts_against_one(self) -> None:
        limits = config.Selection(new_cap=2, grown_cap=1, interest_cap=1, trending_cap=1, fetch_cap=5)
        story = Story(Settings(selection=limits, feed=config.Feed(items=5)))
        story.tell("vic", "follow", "ann", days=30)
        for post in ("p", "q", "r"):
            story.tell("ann", "post", post, days=5)
            fans(story, post, ("f",), days=2)
        story.tell("vic", "login", days=1)
        fans(story, "p", ("g",), days=2)
        fans(story, "r", ("g",), days=2)
        assert named(story, "popular") == {"p", "r"}
        story.tell("h", "report", "p")
        assert named(story, "popular") == {"q", "r"}
        assert {"p", "q", "r"}.issuperset(story.shown("h"))
        assert "p" not in story.shown("h"), "the reporter never sees it again"


class TestTrending:
    """(d) From beyond the network: what is popular among everyone."""

    def test_over_the_cap_the_most_popular_are_named(self) -> None:
        story = limited(trending_cap=2)
        for number in range(4):
            story.tell("ann", "post", f"p{number}", days=1 + number)
        fans(story, "p3", ("f1", "f2"))
        fans(story, "p2", ("f1",))
        story.tell("vic", "login")
        assert named(story, "trending") == {"p2", "p3"}
        story.tell("f3", "report", "p2")  # it loses what it had
        assert named(story, "trending") == {"p0", "p3"}

    def test_popularity_fades_within_days(self) -> None:
        story = limited(trending_cap=1)
        for post in ("p", "q"):
            story.tell("ann", "post", post, days=9)
        fans(story, "p", ("f1", "f2", "f3"), days=4)
        fans(story, "q", ("f1",), days=0)
        story.tell("vic", "login")
        assert named(story, "trending") == {"q"}

    def test_what_followees_wrote_and_what_was_seen_is_not_named(self) -> None:
        story = Story()
        for author in ("ann", "ben", "cid"):
            story.tell(author, "post", f"by-{author}", days=1)
        story.tell("vic", "follow", "ann")
        story.tell("vic", "view", objects=["by-ben"])
        assert named(story, "trending") == {"by-cid"}


class TestExtremes:
    def test_a_viewer_back_after_two_weeks_gets_everyone_in_turns_up_to_the_cap(self) -> None:
        story = limited(new_cap=50)
        story.tell("vic", "login", days=14)
        for author in range(20):
            story.tell("vic", "follow", f"a{author}", days=30)
            for number in range(1 + author):
                story.tell(f"a{author}", "post", f"a{author}-{number}", days=0.1 + number / 2)
        followed = [item for item in story.feed("vic") if item.reason == "followed"]
        assert len(followed) == 50
        assert Counter(int(item.item_id.split("-")[1]) for item in followed) == {0: 20, 1: 19, 2: 11}

    def test_who_follows_nobody_in_a_silent_world_has_an_empty_feed_that_says_so(self) -> None:
        story = Story()
        story.tell("vic", "login")
        explained = story.explainer.explain("vic", NOW)
        assert explained is not None
        assert explained["items"] == []
        assert explained["empty_because"] == "the viewer follows nobody, and nothing unseen is trending"

    def test_in_a_network_with_no_new_post_the_feed_is_what_was_missed_and_then_what_others_say(self) -> None:
        story = Story()
        story.tell("vic", "follow", "ann", days=90)
        story.tell("ann", "post", "p", days=25)
        story.tell("vic", "login", days=1)
        assert [(item.item_id, item.reason) for item in story.feed("vic")] == [("p", "popular")]
        story.tell("eve", "post", "q", days=25)
        assert named(story, "trending") == {"q"}
        story.tell("vic", "view", objects=["p", "q"])
        explained = story.explainer.explain("vic", NOW)
        assert explained is not None
        assert "posted nothing" in explained["empty_because"]

    def test_one_who_follows_twenty_thousand_gets_the_newest_of_each_up_to_the_cap(self) -> None:
        story = Story()
        story.tell("vic", "login", days=5)
        viewer = story.state.users.intern("vic")
        authors = [story.state.users.intern(f"a{number:05}") for number in range(20_000)]
        follow(story, [viewer] * len(authors), authors)
        for number in range(0, 20_000, 10):
            for again in range(2):
                story.tell(f"a{number:05}", "post", f"p{number:05}-{again}", days=again + 1 + number / 20_000)
        feed = story.feed("vic")
        assert len(feed) == 500
        assert {item.reason for item in feed} == {"followed"}
        assert {item.item_id for item in feed} == {f"p{number:05}-0" for number in range(0, 5_000, 10)}
        explained = story.explainer.explain("vic", NOW)
        assert explained is not None
        assert explained["followees"] == 20_000

    def test_an_author_with_twenty_thousand_followers_is_one_author_among_others(self) -> None:
        story = Story()
        story.tell("star", "post", "hers", days=1)
        story.tell("ann", "post", "p", days=1)
        author = story.state.users.intern("star")
        fans = story.state.users.intern_numbered("f", 20_000).tolist()
        follow(story, fans, [author] * len(fans))
        story.tell("f7", "follow", "ann", days=9)
        assert [(item.item_id, item.reason) for item in story.feed("f7")] == [("hers", "followed"), ("p", "followed")]
        assert [(item.item_id, item.reason) for item in story.feed("f8")] == [("hers", "followed"), ("p", "trending")]
        story.tell("f8", "block", "star")
        assert story.shown("f8") == ["p"]
        assert story.shown("star") == ["p"]
