"""What a viewer has seen: the latest, within a span of days, within a bound."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedgen.state.changes import Changes
from feedgen.state.columns import Column
from feedgen.state.impressions import Impressions
from feedgen.state.symbols import Symbols
from feedgen.state.tally import Tally
from tests.worlds import DAY

views = st.lists(st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 6)), max_size=30)


def names() -> Symbols:
    """Posts whose ids sort another way than their indices."""
    symbols = Symbols()
    for index in range(13):
        symbols.intern(f"p{index * 7 % 13:02}")
    return symbols


def impressions_of(posts: Symbols, days: float, per_viewer: int) -> Impressions:
    """Of posts nobody claimed."""
    return Impressions(posts, days, per_viewer, Tally(Column(np.int32), base=1), Changes())


def see(impressions: Impressions, posts: list[int], ts: float) -> None:
    """Viewer 0 sees posts."""
    impressions.see_many(np.zeros(len(posts), np.int32), np.array(posts, np.int32), np.full(len(posts), ts))


@given(views, st.integers(1, 6), st.sampled_from((0.5, 1.0, 3.0, 100.0)), st.integers(0, 8))
def test_it_keeps_the_latest_by_day_then_id(
    found: list[tuple[list[int], int]], bound: int, days: float, today: int
) -> None:
    symbols = names()
    impressions = impressions_of(symbols, days, bound)
    last: dict[int, int] = {}
    for posts, day in found:
        see(impressions, posts, (1_000 + day) * DAY + 5.0)
        for post in posts:
            last[post] = max(day, last.get(post, 0))
        assert len(impressions.seen._packed.of(0)) <= 2 * bound + len(posts)
    shown, days_of = impressions.seen.of(0, (1_000 + today) * DAY)
    recent = [post for post, day in last.items() if day >= int(1_000 + today - days) - 1_000]
    expected = sorted(recent, key=lambda post: (-last[post], symbols.name(post)))[:bound]
    assert sorted(shown.tolist()) == sorted(expected)
    assert set(impressions.seen.posts_of(0, (1_000 + today) * DAY).tolist()) == set(expected)
    assert dict(zip(shown.tolist(), days_of.tolist(), strict=True)) == {post: 1_000 + last[post] for post in expected}
    assert impressions.views(13).tolist() == [sum(posts.count(post) for posts, _ in found) for post in range(13)]


def test_what_was_served_is_kept_apart_from_what_was_seen() -> None:
    impressions = impressions_of(names(), 90.0, 5)
    impressions.served.add_many(np.array([0, 0]), np.array([4, 7]), np.full(2, 1_000 * DAY))
    see(impressions, [7], 1_001 * DAY)
    assert [part.tolist() for part in impressions.seen.of(0, 1_001 * DAY)] == [[7], [1_001]]
    served = zip(*(part.tolist() for part in impressions.served.of(0, 1_001 * DAY)), strict=True)
    assert dict(served) == {4: 1_000, 7: 1_000}
    assert impressions.views(13).sum() == 1


def test_a_viewer_nobody_met_has_seen_nothing() -> None:
    impressions = impressions_of(names(), 90.0, 5)
    assert impressions.seen.of(3, 1e9)[0].tolist() == []
    assert impressions.hidden_from(3).tolist() == []


def test_a_whole_day_counts() -> None:
    impressions = impressions_of(names(), 90.0, 5)
    see(impressions, [4], 1_000 * DAY + 10.0)
    assert impressions.seen.of(0, 1_091 * DAY - 1.0)[0].tolist() == [4]
    assert impressions.seen.of(0, 1_091 * DAY)[0].tolist() == []
