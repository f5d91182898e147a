"""The network looks like one: heavy tails, homophily, a daily rhythm. Fixed seed, wide bounds."""

from collections import Counter

import numpy as np
import pytest

from feedgen.events import Event
from feedgen.synthetic import Network


@pytest.fixture
def events(medium_events: list[Event]) -> list[Event]:
    return medium_events


def counts_of(events: list[Event], kind: str, field: str, viewers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    by_id = Counter(getattr(event, field) for event in events if event.type == kind)
    return np.array([by_id[f"u{row}"] for row in range(viewers)])


def test_followees_have_the_mean_asked_for_and_a_heavy_tail(medium: Network, events: list[Event]) -> None:
    followees = counts_of(events, "follow", "actor", medium.spec.viewers)
    followers = counts_of(events, "follow", "object", medium.spec.viewers)
    assert followees.mean() == pytest.approx(medium.spec.followees_mean, rel=0.1)
    assert np.quantile(followees, 0.99) > 3 * np.median(followees)
    assert followers.max() > 10 * np.median(followers)


def test_follows_are_homophilous_and_partly_returned(medium: Network) -> None:
    truth = medium.truth
    n = medium.spec.viewers
    viewer, author = truth.follow_keys // n, truth.follow_keys % n
    taste = truth.taste / np.linalg.norm(truth.taste, axis=1, keepdims=True)
    alike = (taste[viewer] * taste[author]).sum(axis=1).mean()
    anyone = (taste[viewer] * taste[np.random.default_rng(0).permutation(author)]).sum(axis=1).mean()
    assert alike > 1.3 * anyone
    returned = np.isin(author * n + viewer, truth.follow_keys).mean()
    assert 0.1 < returned < 0.6


def test_most_follows_are_made_before_the_window_and_some_in_it(medium: Network, events: list[Event]) -> None:
    late = np.mean([event.ts >= medium.spec.start for event in events if event.type == "follow"])
    assert 0.05 < late < 0.3


def test_some_post_ten_times_as_much_as_most(medium: Network, events: list[Event]) -> None:
    posts = np.sort(counts_of(events, "post", "actor", medium.spec.viewers))
    expected = medium.spec.posts_per_author_day * medium.spec.days
    assert posts.mean() == pytest.approx(expected, rel=0.15)
    assert posts[-len(posts) // 10 :].sum() > 0.25 * posts.sum()
    assert posts[: len(posts) // 10].sum() < 0.03 * posts.sum()
    assert posts.max() > 9 * np.median(posts)
    assert posts.var() > 5 * posts.mean()  # were all alike, it would be 1 ×


def test_activity_ranges_from_dormant_to_many_times_a_day(medium: Network, events: list[Event]) -> None:
    logins = counts_of(events, "login", "actor", medium.spec.viewers)
    assert 0.02 < (logins == 0).mean() < 0.3
    assert logins.max() > 3 * medium.spec.days
    assert 0.2 < ((logins >= 8) & (logins < medium.spec.days)).mean() < 0.7


@pytest.mark.parametrize("kind", ["login", "post"])
def test_evenings_are_busy_and_nights_quiet_where_people_live(events: list[Event], kind: str) -> None:
    offset = {event.actor: event.attrs["utc_offset_min"] * 60 for event in events if event.type == "user"}
    hours = Counter(int((event.ts + offset[event.actor]) // 3_600 % 24) for event in events if event.type == kind)
    evening, night = sum(hours[h] for h in (19, 20, 21)), sum(hours[h] for h in (2, 3, 4))
    assert evening > 5 * night


def test_slates_are_recent_and_hold_some_posts_from_beyond_the_network(medium: Network, events: list[Event]) -> None:
    created = {event.object: event.ts for event in events if event.type == "post"}
    author = {event.object: event.actor for event in events if event.type == "post"}
    follows = {(event.actor, event.object) for event in events if event.type == "follow"}
    views = [event for event in events if event.type == "view"]
    ages_h = [(view.ts - created[post]) / 3_600 for view in views for post in view.attrs["objects"]]
    network = [(view.actor, author[post]) in follows for view in views for post in view.attrs["objects"]]
    assert 4 < np.median(ages_h) < 36
    assert 0.75 < np.mean(network) < 0.97
    assert 10 < len(ages_h) / len(views) < 22


def test_posts_are_about_few_topics_per_author_in_several_media(events: list[Event]) -> None:
    posts = [event for event in events if event.type == "post"]
    by_author: dict[str, Counter[str]] = {}
    for post in posts:
        assert 1 <= len(set(post.attrs["topics"])) == len(post.attrs["topics"]) <= 3
        by_author.setdefault(post.actor, Counter()).update(post.attrs["topics"])
    prolific = [topics for topics in by_author.values() if topics.total() > 40]
    assert np.mean([sum(n for _, n in topics.most_common(3)) / topics.total() for topics in prolific]) > 0.6
    assert {post.attrs["media"] for post in posts} == {"none", "image", "video", "link"}
    assert 0 < sum(post.attrs.get("min_age", 0) == 18 for post in posts) < 0.03 * len(posts)
    assert 0 < sum(post.attrs.get("sensitive", False) for post in posts) < 0.05 * len(posts)


def test_nobody_too_young_is_shown_what_has_a_minimum_age(events: list[Event]) -> None:
    born = {event.actor: event.attrs["birth_year"] for event in events if event.type == "user"}
    adult = {event.object for event in events if event.type == "post" and event.attrs.get("min_age")}
    shown = [view.actor for view in events if view.type == "view" for post in view.attrs["objects"] if post in adult]
    assert shown
    assert all(born[viewer] <= 2024 - 18 for viewer in shown)
