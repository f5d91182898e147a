"""What events add up to: the same whatever their order, in the words of outside ids."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.events import FEEDBACK, Event
from feedgen.state.attributes import MEDIA, NONE
from feedgen.state.engagement import KINDS
from feedgen.state.state import State
from tests.twin import Twin
from tests.whole import rows_of, told
from tests.worlds import DAY, NOW, POSTS, SMALL, Story, batch_sizes, events, folded, seeds, shuffled

SINCE = NOW - SMALL.state.retention_days * DAY


def topics_of(state: State, post: int) -> list[int]:
    """Indices of the post's topics."""
    at, count, topics = state.about_posts.topics
    found: list[int] = topics[at[post] : at[post] + count[post]].tolist()
    return found


def recent_of(state: State, author: int) -> list[int]:
    """Indices of the author's recent posts, oldest first."""
    posts: list[int] = state.posts.recent_of_all(np.array([author], np.int32))[0].tolist()
    return posts


def posts_of(state: State) -> dict[str, Any]:
    """Every post met: author, creation, topics, language, minimum age, sensitivity, media, if deleted or withheld."""
    posts, topics, about = state.posts, state.topic_names.names, state.about_posts
    authors = [None if author < 0 else state.users.name(author) for author in posts.author.tolist()]
    return {
        name: (
            author,
            float(posts.created[index]) if author else None,
            [topics[topic] for topic in topics_of(state, index)],
            None if about.language[index] == NONE else state.languages.name(int(about.language[index])),
            int(about.min_age[index]),
            bool(about.sensitive[index]),
            MEDIA[about.media[index]],
            bool(posts.deleted[index]),
            bool(posts.withheld[index]),
        )
        for index, (name, author) in enumerate(zip(state.post_ids.names, authors, strict=True))
    }


def standing_of(twin: Twin) -> Counter[tuple[str, str, int, str]]:
    """Post, viewer, hour and kind of what was not taken back."""
    return Counter((one.post, one.viewer, one.hour, one.kind) for one in twin.standing)


@settings(max_examples=100, deadline=None)
@given(events(), seeds)
def test_who_is_who_to_whom_is_what_the_plain_twin_says(found: list[Event], seed: int) -> None:
    twin, state = Twin.of(found, SMALL), folded(shuffled(found, seed))
    known = told(state, NOW)
    assert known["users"] == sorted(twin.people)
    assert known["graph"]["followees"] == sorted((*pair, at) for pair, at in twin.follows.items())
    assert known["graph"]["followers"] == sorted((name, twin.followers()[name]) for name in twin.people)
    assert known["graph"]["barred"] == sorted((name, other) for name in twin.barred for other in twin.barred[name])
    assert known["graph"]["follow_count"] == len(twin.follows)
    for name, author in ((name, author) for name in twin.people for author in twin.people):
        indices = [state.users.find(one) or 0 for one in (name, author)]
        assert state.graph.follows(*indices) == ((name, author) in twin.follows)
    assert known["about_users"] == {
        field: sorted(
            (
                name,
                *max((e.ts, e.id) for e in found if e.type == "user" and e.actor == name and field in e.attrs),
                value,
            )
            for name, said in twin.about.items()
            for key, value in said.items()
            if key == field
        )
        for field in ("language", "birth_year", "utc_offset_min", "verified", "location")
    }
    assert known["logins"] == sorted(
        (name, twin.logins.get(name, -np.inf), twin.devices.get(name, 0), twin.active.get(name, -np.inf))
        for name in twin.people
    )


@settings(max_examples=100, deadline=None)
@given(events(), seeds)
def test_posts_are_what_the_plain_twin_says(found: list[Event], seed: int) -> None:
    twin, state = Twin.of(found, SMALL), folded(shuffled(found, seed))
    for name, (author, created, topics, *about, deleted, withheld) in posts_of(state).items():
        post = twin.posts.get(name)
        assert (author, created, topics) == ((post.author, post.created, post.topics) if post else (None, None, []))
        said = post.about if post else {}
        assert about == [
            said.get("language"),
            said.get("min_age", 0),
            said.get("sensitive", False),
            said.get("media", "none"),
        ]
        assert deleted == (name in twin.deleted)
        assert withheld == twin.withheld.get(name, False)
    assert state.posts.live_count == len(set(twin.posts) - twin.deleted)
    topics = Counter(topic for post in twin.posts.values() for topic in post.topics)
    assert told(state, NOW)["about_posts"]["posts_about"] == sorted(topics.items())
    for index, name in enumerate(state.users.names):
        recent = [state.post_ids.name(post) for post in recent_of(state, index) if state.posts.created[post] >= SINCE]
        assert recent == [p for p in reversed(twin.recent(name)) if twin.posts[p].created >= SINCE]


def forgotten(twin: Twin) -> set[str]:
    """Posts of which nobody asks any more what was done with them."""
    return {name for name, post in twin.posts.items() if post.created < SINCE - DAY}


@settings(max_examples=100, deadline=None)
@given(events(), seeds)
def test_engagements_are_what_the_plain_twin_says(found: list[Event], seed: int) -> None:
    twin, state = Twin.of(found, SMALL), folded(shuffled(found, seed))
    known = told(state, NOW)["engagement"]
    standing = standing_of(twin)
    old = forgotten(twin)
    assert known["by post"] == sorted((*one, count) for one, count in standing.items() if one[0] not in old)
    assert known["by viewer"] == sorted(
        (viewer, post, hour, kind, count)
        for (post, viewer, hour, kind), count in standing.items()
        if kind not in FEEDBACK
    )
    assert known["touched"] == sorted((name, post) for name in twin.engaged for post in twin.engaged[name])
    assert known["counts"] == sorted((post, twin.engaged_times()[post]) for post in state.post_ids.names)
    wanted = [name for name in POSTS if state.post_ids.find(name) is not None and name not in old][::-2]
    place, rows = state.engagement.of_posts(np.array([state.post_ids.find(name) for name in wanted], np.int32))
    by_place: Counter[tuple[str, str, int, str]] = Counter()
    for at, _, viewer, hour, kind, sign in rows_of(place, *rows):
        by_place[wanted[at], state.users.name(viewer), hour, KINDS[kind]] += sign
    assert +by_place == Counter({one: count for one, count in standing.items() if one[0] in wanted})
    assert not -by_place, "taken back more often than given"


@settings(max_examples=100, deadline=None)
@given(events(), seeds)
def test_impressions_are_what_the_plain_twin_says(found: list[Event], seed: int) -> None:
    twin, state = Twin.of(found, SMALL), folded(shuffled(found, seed))
    known, posts = told(state, NOW)["impressions"], state.post_ids
    assert known["views"] == sorted((post, twin.shown_times()[post]) for post in posts.names)
    assert known["hidden"] == sorted((name, post) for name in twin.hidden for post in twin.hidden[name])
    for index, name in enumerate(state.users.names):
        for now in (NOW + days * DAY for days in range(5)):
            for latest, log in ((state.impressions.seen, twin.views), (state.impressions.served, twin.served)):
                got = {posts.name(post): day for post, day in rows_of(*latest.of(index, now))}
                assert got == twin.latest(log, name, now)


@settings(max_examples=60, deadline=None)
@given(events(), batch_sizes, st.lists(st.integers(-3, 40), min_size=1, max_size=6))
def test_cached_popularity_is_what_is_counted_anew(found: list[Event], sizes: list[int], hours: list[int]) -> None:
    base = int(NOW // 3_600)
    warm = State(SMALL.state, SMALL.ranking)
    at = 0
    for number, hour in enumerate(hours):
        size = sizes[number % len(sizes)]
        warm.fold([(at + n + 1, event) for n, event in enumerate(found[at : at + size])])
        at = min(at + size, len(found))
        cached = warm.engagement.popularity(base + hour, len(warm.post_ids))
        cold = folded(found[:at])
        fresh = cold.engagement.popularity(base + hour, len(cold.post_ids))
        by_name = dict(zip(warm.post_ids.names, cached.tolist(), strict=True))
        anew = dict(zip(cold.post_ids.names, fresh.tolist(), strict=True))
        asked = set(warm.post_ids.names) - forgotten(Twin.of(found[:at], SMALL))
        assert {name: by_name[name] for name in asked} == {name: anew[name] for name in asked}


@settings(max_examples=60, deadline=None)
@given(events(), st.sampled_from((NOW, NOW + 3_600, NOW + 2 * DAY)))
def test_popularity_is_what_the_twin_counts(found: list[Event], now: float) -> None:
    state = folded(found)
    counted = state.engagement.popularity(int(now // 3_600), len(state.post_ids)).tolist()
    twin = Twin.of(found, SMALL)
    expected, old = twin.popularity(now), forgotten(twin)
    known = dict(zip(state.post_ids.names, counted, strict=True))
    assert {name: known[name] for name in known if name not in old} == {
        name: expected[name] for name in known if name not in old
    }


class TestRetention:
    def test_an_author_keeps_the_newest_posts_whatever_the_order_they_come_in(self) -> None:
        story = Story(SMALL)
        for number in (4, 0, 2, 1, 3):
            story.tell("a", "post", f"p{number}", days=1 - number / 10)
        author = story.state.users.find("a")
        assert author is not None
        assert [story.state.post_ids.name(post) for post in recent_of(story.state, author)] == ["p2", "p3", "p4"]

    def test_an_old_post_leaves_when_its_author_posts_again(self) -> None:
        story = Story(SMALL)
        story.tell("a", "post", "old", days=7.1)
        story.tell("a", "post", "new")
        assert recent_of(story.state, 0) == [story.state.post_ids.find("new")]

    def test_a_post_dated_ahead_does_not_push_out_what_may_still_be_shown(self) -> None:
        story = Story(SMALL)
        story.tell("a", "post", "old", days=3.9)
        story.tell("a", "post", "ahead", days=-1)
        story.tell("v", "follow", "a")
        assert story.shown("v") == ["old"]

    def test_what_a_wrong_claim_pushed_out_comes_back_when_an_older_claim_takes_it(self) -> None:
        story = Story(SMALL)
        for number in range(4):
            story.tell("a", "post", f"p{number}", days=1 - number / 10)
        story.tell("b", "post", "p3", days=2)
        assert [story.state.post_ids.name(post) for post in recent_of(story.state, 0)] == ["p0", "p1", "p2"]

    def test_at_most_sixteen_topics_count(self) -> None:
        story = Story()
        story.tell("a", "post", "p", topics=[f"t{n}" for n in range(40)])
        assert len(topics_of(story.state, 0)) == 16
        story.tell("a", "edit", "p", topics=[f"e{n}" for n in range(40)])
        assert len(topics_of(story.state, 0)) == 16


def test_posts_met_only_by_engagement_have_room_and_no_author() -> None:
    story = Story()
    story.tell("v", "like", "unheard")
    story.tell("v", "view", objects=["x", "y"])
    assert story.state.posts.author.tolist() == [-1, -1, -1]
    assert story.pipeline.known_post_created_at("unheard") is None
    assert story.shown("v") == []


def test_many_posts_keep_their_columns_apart() -> None:
    story = Story()
    for number in range(200):
        story.tell(f"a{number % 7}", "post", f"p{number}", days=number / 100, topics=[f"t{number % 5}"])
    told = posts_of(story.state)
    assert told["p123"] == ("a4", NOW - 1.23 * DAY, ["t3"], None, 0, False, "none", False, False)
    assert len(told) == 200
