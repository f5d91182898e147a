"""What all viewers share, brought forward from fold to fold: the same as counted anew."""

from collections.abc import Iterable
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.events import Event
from feedgen.selection import epoch as module
from feedgen.selection.epoch import PRIOR_VIEWS, Epoch, Epochs, epoch_of
from feedgen.state.engagement import hour_of
from feedgen.state.state import State
from tests.worlds import DAY, HOUR, NOW, SMALL, batch_sizes, batches, events

RETENTION_S = SMALL.state.retention_days * DAY
HOURS = st.lists(st.sampled_from((NOW, NOW, NOW, NOW + HOUR, NOW - DAY)), min_size=1, max_size=6)


def plain_pool(state: State, epoch: Epoch, most: int) -> list[str]:
    """Every post that may be shown, sorted."""
    posts, end = state.posts, (epoch.hour + 1) * HOUR
    shown = [
        (-int(epoch.popularity[post]), -float(created), state.post_ids.name(post))
        for post, created in enumerate(posts.created.tolist())
        if posts.author[post] >= 0
        and not posts.deleted[post]
        and not posts.withheld[post]
        and end - RETENTION_S <= created < end
    ]
    return [name for _, _, name in sorted(shown)[:most]]


def plain_rates(state: State) -> tuple[list[float], list[float]]:
    """By post and by author, from the counts of all posts."""
    engaged = state.engagement.counts(len(state.post_ids))
    shown = state.impressions.views(len(state.post_ids)) + 1
    author = state.posts.author
    own = author >= 0
    everyone = (engaged[own].sum() + 1.0) / (shown[own].sum() + 1.0)
    users = range(len(state.users))
    by_author = [
        (engaged[author == user].sum() + PRIOR_VIEWS * everyone) / (shown[author == user].sum() + PRIOR_VIEWS)
        for user in users
    ]
    by_post = [
        (max(met, 0) + PRIOR_VIEWS * (by_author[of] if of >= 0 else everyone)) / (times + PRIOR_VIEWS)
        for met, times, of in zip(engaged.tolist(), shown.tolist(), author.tolist(), strict=True)
    ]
    return by_post, by_author


def names(state: State, posts: Iterable[int]) -> list[str]:
    return [state.post_ids.name(post) for post in posts]


@settings(max_examples=80, deadline=None)
@given(events(), batch_sizes, HOURS, st.sampled_from((1, 2, 4_000)))
def test_an_epoch_brought_forward_is_one_made_anew(
    found: list[Event], sizes: list[int], moments: list[float], most: int
) -> None:
    state = State(SMALL.state, SMALL.ranking)
    with patch.object(module, "POOL", most):
        epochs = Epochs(state, RETENTION_S, 1)
        for number, batch in enumerate(batches(found, sizes)):
            state.fold(batch)
            epoch = epochs.at(hour_of(moments[number % len(moments)]))
            anew = epoch_of(state, epoch.hour, RETENTION_S, 1)
            assert names(state, epoch.pool) == names(state, anew.pool) == plain_pool(state, epoch, most)
            assert epoch.trending.tolist() == epoch.pool[:1].tolist()
            everything = np.arange(len(state.post_ids), dtype=np.int32)
            by_post, by_author = plain_rates(state)
            assert epoch.post_rates(everything, state.posts.author).tolist() == by_post
            assert epoch.author_rate.tolist() == by_author
            assert epoch.popularity.tolist() == anew.popularity.tolist()
            assert epochs.at(epoch.hour) is epoch


@pytest.mark.parametrize("change", ["delete", "unlike"])
def test_what_falls_from_the_pool_makes_room_for_what_was_not_on_the_bench(change: str) -> None:
    state = State(SMALL.state, SMALL.ranking)
    told = [Event(f"{post}", "post", NOW - HOUR, "a", f"p{post}") for post in range(40)]
    told += [Event(f"{post} {fan}", "like", NOW, f"f{fan}", f"p{post}") for post in range(40) for fan in range(post)]
    with patch.object(module, "POOL", 2):
        epochs = Epochs(state, RETENTION_S, 1)
        state.fold(enumerate(told, start=1))
        assert names(state, epochs.at(hour_of(NOW)).pool) == ["p39", "p38"]
        for post in range(39, 1, -1):
            rows = range(post) if change == "unlike" else [0]
            undone = [Event(f"x{post} {fan}", change, NOW + 1, f"f{fan}", f"p{post}") for fan in rows]
            state.fold(enumerate(undone, start=state.watermark + 1))
            assert names(state, epochs.at(hour_of(NOW)).pool) == [f"p{post - 1}", f"p{post - 2}"]
