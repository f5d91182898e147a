"""Diversity: each rule with its mirror, all of them equal to the plain twin, and draws as likely as they say."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen import config
from feedgen.config import Settings
from feedgen.diversity import Diverse, Diversifier, explore, lead, part_media, seeds
from feedgen.feed.record import propensity
from feedgen.state.attributes import MEDIA
from tests.state_twin import Post
from tests.twin import Twin
from tests.worlds import HOUR, NOW, Story

PLAIN = config.Diversity(author_penalty=0.0, media_places=0, fresh_lift=0.0, explore_share=0.0)
"""No rule does anything; each test turns on its own."""

rules = st.builds(
    config.Diversity,
    author_penalty=st.sampled_from((0.0, 0.05, 0.1, 0.25, 1.0, 10.0)),
    media_places=st.integers(0, 5),
    fresh_lift=st.sampled_from((0.0, 0.05, 0.25, 2.0)),
    fresh_hours=st.sampled_from((1.0, 6.0)),
    explore_share=st.sampled_from((0.0, 0.05, 0.5, 1.0)),
    seed=st.integers(0, 5),
)
posts = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 3), st.sampled_from(MEDIA), st.sampled_from((0.0, 1.0, 6.0, 9.0))),
    max_size=25,
)
"""Score, author, medium, age in hours."""


def reordered(
    settings: config.Diversity, scores: Any, authors: Any, media: Any, age_h: Any, generation: str = "7.5"
) -> Diverse:
    return Diversifier(settings).reorder(
        np.array(scores, np.float64),
        np.array(authors, np.int32),
        np.array([MEDIA.index(medium) for medium in media], np.uint8),
        np.array(age_h, np.float64) * HOUR,
        generation,
        "vic",
    )


def order_of(settings: config.Diversity, *posts: tuple[float, int, str, float]) -> list[int]:
    """What becomes of ranked posts (score, author, medium, age in hours), by their places in the ranking."""
    scores, authors, media, age_h = zip(*posts, strict=True)
    return reordered(settings, scores, authors, media, age_h).order.tolist()


@given(posts, rules)
def test_it_is_equal_to_its_plain_twin(found: list[tuple[int, int, str, float]], settings: config.Diversity) -> None:
    found = sorted(found, key=lambda one: -one[0])
    names = [f"p{at:02}" for at in range(len(found))]
    twin = Twin(Settings(diversity=settings), 2_023, 7)
    for name, (_, author, medium, age_h) in zip(names, found, strict=True):
        twin.posts[name] = Post(f"a{author}", NOW - age_h * HOUR, {"media": medium})
    worth = twin.in_turns({name: one[0] / 4 for name, one in zip(names, found, strict=True)}, NOW)
    expected = twin.explored(twin.parted(list(worth)), "vic", NOW)
    scores, authors, media, age_h = zip(*found, strict=True) if found else ((), (), (), ())
    diverse = reordered(settings, np.array(scores) / 4, authors, media, age_h, f"7.{round(NOW * 1000)}")
    assert [names[at] for at in diverse.order] == expected
    assert {name: float(diverse.adjusted[at]) for at, name in enumerate(names)} == worth


@given(posts, rules)
def test_nothing_is_lost_and_the_places_lead_from_one_rule_to_the_next(
    found: list[tuple[int, int, str, float]], settings: config.Diversity
) -> None:
    found = sorted(found, key=lambda one: -one[0])
    scores, authors, media, age_h = zip(*found, strict=True) if found else ((), (), (), ())
    diverse = reordered(settings, scores, authors, media, age_h)
    everything = list(range(len(found)))
    by_score, parted = (places.tolist() for places in diverse.places)
    for places in (diverse.order.tolist(), by_score, parted):
        assert sorted(places) == everything
    assert [int(diverse.by_score[at]) for at in by_score] == diverse.order.tolist()
    assert [diverse.parted[at] for at in parted] == by_score
    assert diverse.explored.tolist() == [at != min(parted[place:]) for place, at in enumerate(parted)]


class TestAuthorRepeats:
    SETTINGS = config.Diversity(media_places=0, fresh_lift=0.0, explore_share=0.0)
    RANKED = ((1.0, 7, "none", 9.0), (0.95, 7, "none", 9.0), (0.9, 8, "none", 9.0), (0.0, 9, "none", 9.0))

    def test_an_author_is_penalised_for_repeats_and_another_comes_between(self) -> None:
        diverse = reordered(self.SETTINGS, *zip(*self.RANKED, strict=True))
        assert diverse.order.tolist() == [0, 2, 1, 3]
        assert diverse.adjusted.tolist() == pytest.approx([1.0, 0.85, 0.9, 0.0])
        assert diverse.repeats.tolist() == [0, 1, 0, 0]

    def test_without_a_penalty_the_order_stays(self) -> None:
        assert order_of(PLAIN, *self.RANKED) == [0, 1, 2, 3]

    def test_equal_scores_are_all_nothing_before_the_penalty(self) -> None:
        diverse = reordered(self.SETTINGS, [4.2] * 3, [7, 7, 8], ["none"] * 3, [9.0] * 3)
        assert diverse.adjusted.tolist() == pytest.approx([0.0, -0.1, 0.0])
        assert diverse.order.tolist() == [0, 2, 1]
        assert not len(reordered(self.SETTINGS, [], [], [], []).order)


class TestMedia:
    SETTINGS = config.Diversity(author_penalty=0.0, media_places=3, fresh_lift=0.0, explore_share=0.0)

    @pytest.mark.parametrize(
        ("ranked", "shown", "why"),
        [
            ("iiTTTT", "iTTTiT", "the second of two images goes three places down"),
            ("TTTT", "TTTT", "posts that show nothing are no neighbours of the same medium"),
            ("iviv", "iviv", "an image and a video are not the same"),
            ("iivT", "ivTi", "near the end, down is to the end"),
            ("TTii", "TTii", "the last one has nowhere to go"),
            ("iiiTTT", "iTTiTi", "who comes up in its place is looked at in turn"),
            ("iiiiiT", "iiTiii", "where all that could come up are images too, it stays"),
            ("vvvv", "vvvv", "nothing but videos stays as it is ranked"),
            ("", "", "an empty feed"),
        ],
    )
    def test_neighbours_of_the_same_medium_are_parted(self, ranked: str, shown: str, why: str) -> None:
        codes = ["Tivl".index(one) for one in ranked]
        assert "".join(ranked[at] for at in part_media(codes, 3)) == shown, why

    def test_the_one_that_goes_down_is_the_second_and_three_come_up(self) -> None:
        assert part_media([1, 1, 0, 2, 3, 0], 3) == [0, 2, 3, 4, 1, 5]
        assert part_media([1, 1, 0, 2, 3, 0], 1) == [0, 2, 1, 3, 4, 5]
        assert part_media([1, 1, 0, 2, 3, 0], 0) == [0, 1, 2, 3, 4, 5]

    @given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 6))
    def test_nothing_is_lost_and_nothing_comes_up_by_more_places_than_others_go_down(
        self, media: list[int], places: int
    ) -> None:
        order = part_media(media, places)
        assert sorted(order) == list(range(len(media)))
        assert all(was - at <= places for at, was in enumerate(order))

    def test_two_videos_are_parted_and_two_texts_are_not(self) -> None:
        story = Story(Settings(diversity=self.SETTINGS))
        story.tell("vic", "follow", "ann", days=9)
        for number, medium in enumerate(("video", "video", "none", "none", "none")):
            story.tell("ann", "post", f"{medium}{number}", days=1 + number / 10, media=medium)
        assert story.shown("vic") == ["video0", "none2", "none3", "none4", "video1"]
        story.tell("ann", "edit", "video1", media="image")
        assert story.shown("vic") == ["video0", "video1", "none2", "none3", "none4"]


class TestFreshPosts:
    SETTINGS = config.Diversity(author_penalty=0.0, media_places=0, fresh_lift=0.2, fresh_hours=6.0, explore_share=0.0)

    def test_a_fresh_post_is_lifted_past_one_that_is_a_little_better(self) -> None:
        assert order_of(self.SETTINGS, (1.0, 1, "none", 9.0), (0.9, 2, "none", 5.9), (0.0, 3, "none", 9.0)) == [1, 0, 2]

    def test_six_hours_old_is_no_longer_fresh(self) -> None:
        assert order_of(self.SETTINGS, (1.0, 1, "none", 9.0), (0.9, 2, "none", 6.0), (0.0, 3, "none", 9.0)) == [0, 1, 2]

    def test_one_that_is_much_better_stays_first(self) -> None:
        assert order_of(self.SETTINGS, (1.0, 1, "none", 9.0), (0.7, 2, "none", 0.1), (0.0, 3, "none", 9.0)) == [0, 1, 2]

    def test_an_authors_fresh_post_comes_before_their_older_one_and_that_one_is_the_repeat(self) -> None:
        settings = config.Diversity(media_places=0, fresh_lift=0.2, explore_share=0.0)
        diverse = reordered(settings, [1.0, 0.9, 0.0], [7, 7, 8], ["none"] * 3, [9.0, 1.0, 9.0])
        assert diverse.order.tolist() == [1, 0, 2]
        assert diverse.repeats.tolist() == [1, 0, 0]


def drawn(share: float, count: int, runs: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Orders of `runs` feeds of `count` posts each, and the propensity of each place; shape (runs, count)."""
    made = [explore(list(range(count)), share, seeds(lead(1, f"{run}.0"), "vic")) for run in range(runs)]
    orders = np.array([order for order, _ in made])
    chances = [[propensity(share, count - at, bool(far)) for at, far in enumerate(explored)] for _, explored in made]
    return orders, np.array(chances)


class TestExploring:
    def test_without_a_share_nothing_is_drawn_and_everything_is_certain(self) -> None:
        orders, chances = drawn(0.0, 9, 50)
        assert (orders == np.arange(9)).all()
        assert (chances == 1.0).all()

    def test_with_every_place_drawn_each_order_is_as_likely(self) -> None:
        orders, chances = drawn(1.0, 3, 6_000)
        counts = Counter(map(tuple, orders.tolist()))
        assert len(counts) == 6
        assert all(abs(count - 1_000) < 4 * 29 for count in counts.values()), counts  # σ = √(6000 · 1/6 · 5/6)
        assert np.allclose(chances, [1 / 3, 1 / 2, 1.0])

    def test_a_post_is_at_a_place_as_often_as_its_propensity_says(self) -> None:
        share, count, runs = 0.3, 5, 8_000
        orders, chances = drawn(share, count, runs)
        first = np.bincount(orders[:, 0], minlength=count) / runs
        expected = [propensity(share, count, at > 0) for at in range(count)]
        assert sum(expected) == pytest.approx(1.0)
        assert np.abs(first - expected).max() < 4 * 0.0048, first  # σ of the most frequent one
        # Seen through its propensity, every post left was at the place once: what training relies on.
        for place in range(count - 1):
            weights = 1 / chances[:, place]
            assert abs(weights.mean() - (count - place)) < 4 * weights.std() / runs**0.5, place
        for post in range(count):
            weights = (orders[:, 0] == post) / chances[:, 0]
            assert abs(weights.mean() - 1.0) < 4 * weights.std() / runs**0.5, post

    def test_about_the_share_of_the_places_is_drawn_each_as_often(self) -> None:
        explored = np.array(
            [explore(list(range(500)), 0.05, seeds(lead(1, f"{run}.0"), "vic"))[1] for run in range(400)]
        )
        expected = 0.05 * (1 - 1 / np.arange(500, 0, -1))
        assert abs(explored.mean() - expected.mean()) < 4 * (0.05 * 0.95 / explored.size) ** 0.5
        assert np.abs(explored.mean(axis=0) - expected).max() < 5 * (0.05 * 0.95 / 400) ** 0.5
        assert not explored[:, -1].any()

    def test_the_rest_keep_their_order(self) -> None:
        words = seeds(lead(1, "5.0"), "vic")
        order, explored = explore(list("abcdefghijklmnopqrstuvwxyz"), 0.2, words)  # type: ignore[arg-type]
        assert explored.any()
        rest = [one for one, far in zip(order, explored, strict=True) if not far]
        assert rest == sorted(rest)

    def test_the_draws_are_the_same_everywhere_and_for_ever(self) -> None:
        words = seeds(lead(1, "216388.1735603200000"), "u1340")
        assert explore(list(range(12)), 0.4, words)[0] == [3, 2, 0, 10, 1, 4, 5, 7, 6, 9, 11, 8]

    def test_another_seed_viewer_or_generation_draws_others(self) -> None:
        leads = [lead(1, "5.1000"), lead(2, "5.1000"), lead(1, "6.1000"), lead(1, "5.1001")]
        words = [seeds(one, "vic") for one in leads]
        words += [seeds(leads[0], name) for name in ("wes", "vic\udcff", "vic\0", "", "a long viewer", "a long viewes")]
        assert len({tuple(explore(list(range(100)), 0.2, both)[0]) for both in words}) == len(words)

    def test_a_feed_is_drawn_by_its_seed_and_generation_and_by_nothing_else(self) -> None:
        def shown(seed: int, viewer: str, later_s: float) -> list[str]:
            story = Story(Settings(diversity=config.Diversity(explore_share=0.5, seed=seed)))
            for number in range(40):
                story.tell("ann", "post", f"p{number}", days=2 + number / 2)
            for who in ("vic", "wes"):
                story.tell(who, "follow", "ann", days=60)
            return story.shown(viewer, NOW + later_s)

        once = shown(1, "vic", 0.0)
        assert shown(1, "vic", 0.0) == once
        assert sorted(once) == sorted(f"p{number}" for number in range(40))
        for others in (shown(2, "vic", 0.0), shown(1, "wes", 0.0), shown(1, "vic", 1.0)):
            assert others != once
            assert sorted(others) == sorted(once)
