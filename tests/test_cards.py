"""Cards say what the columns say, however often they were brought forward."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.cards import CardIndex
from feedgen.events import Event
from feedgen.kernels.cards import DELETED, POST, SENSITIVE, USER, WITHHELD, blank
from feedgen.ranking.exact import ln, ln1p
from feedgen.selection.epoch import epoch_of
from feedgen.state import changes
from feedgen.state.bulk import Bulk
from feedgen.state.changes import Changes
from feedgen.state.returning import RETURNED
from feedgen.state.state import State
from tests.worlds import DAY, NOW, SMALL, batch_sizes, batches, events


def check(state: State, index: CardIndex) -> None:
    """Each card against the columns that other readers see."""
    epoch = epoch_of(state, round(NOW) // 3_600, 9 * DAY, 5)
    cards, about, many = index.at(epoch), state.about_posts, state.about_posts.topics
    assert len(cards.posts) == len(state.posts.author)
    for post, card in enumerate(cards.posts):
        assert card["created"] == state.posts.created[post]
        assert card["author"] == state.posts.author[post]
        assert card["favour"] == state.posts.engaged.by_post[post]
        assert card["viewed"] == state.posts.viewed.by_post[post]
        assert [card[name] for name in ("language", "media", "min_age")] == [
            about.language[post],
            about.media[post],
            about.min_age[post],
        ]
        doubts = state.posts.deleted[post], state.posts.withheld[post], about.sensitive[post]
        assert [bool(card["doubts"] & bit) for bit in (DELETED, WITHHELD, SENSITIVE)] == list(map(bool, doubts))
        first, count = int(many[0][post]), int(many[1][post])
        assert card["topics"] == count
        shown = [card[name] for name in ("first_topic", "second_topic", "third_topic")][:count]
        assert shown == many[2][first : first + count][:3].tolist()
        starts, counts, _ = state.engagement.by_post
        assert card["engagements"] == (counts[post] if post < len(counts) else 0)
        assert not card["engagements"] or card["engaged_at"] == starts[post]
    assert len(cards.users) == len(state.users)
    graph, followers = state.graph, state.graph.followers(len(state.users))
    for user, card in enumerate(cards.users):
        row = slice(card["followees_at"], card["followees_at"] + card["followees"])
        assert graph.spans[0].values[row].tolist() == graph.followees(user).tolist()
        back = [graph.follows(one, user) for one in graph.followees(user).tolist()]
        assert (graph.returned[row] >= RETURNED).tolist() == back
        recent = slice(card["recent_at"], card["recent_at"] + card["recent"])
        own = state.posts.recent_of_all(np.array([user], np.int32))[0]
        assert state.posts.recent.values[recent].tolist() == own.tolist()
        assert card["newest"] == (own[-1] if len(own) else -1)
        assert card["rate"] == epoch.author_rate[user]
        assert (card["log_rate"], card["log_followers"]) == (ln(epoch.author_rate)[user], ln1p(followers)[user])


@settings(max_examples=60, deadline=None)
@given(events(), batch_sizes, st.sampled_from((2, 8, 1 << 20)))
def test_cards_are_brought_forward_from_fold_to_fold(found: list[Event], sizes: list[int], most: int) -> None:
    """Also where more has changed than is kept in mind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_MOST", most)
        state = State(SMALL.state, SMALL.ranking)
        index = CardIndex(state)
        for number, batch in enumerate(batches(found, sizes)):
            state.fold(batch)
            if number % 3:
                check(state, index)
        check(state, index)


def test_cards_follow_what_is_put_in_without_an_event() -> None:
    """Follows in bulk move no watermark; what is restored has other names."""
    state = State(SMALL.state, SMALL.ranking)
    index, bulk = CardIndex(state), Bulk(state)
    state.users.intern_many(["aa", "bb", "cc"])
    bulk.follows(np.array([0, 2]), np.array([1, 0]), np.full(2, NOW))
    check(state, index)
    state.users.intern_many(["dd"])
    bulk.follows(np.array([0, 1, 3]), np.array([3, 0, 0]), np.full(3, NOW))
    check(state, index)
    other = State(SMALL.state, SMALL.ranking)
    other.users.intern_many(["11", "long ago, far away", "33", "0"])
    state.restore({name: column.copy() for name, column in other.columns().items()})
    check(state, index)
    fresh, cards = CardIndex(state), index.at(epoch_of(state, 0, DAY, 5))
    for name in ("code", "form"):
        assert cards.users[name].tolist() == fresh.at(epoch_of(state, 0, DAY, 5)).users[name].tolist()


def test_an_epoch_of_before_a_fold_is_refused() -> None:
    state = State(SMALL.state, SMALL.ranking)
    epoch = epoch_of(state, 0, DAY, 5)
    state.users.intern_many(["aa"])
    with pytest.raises(ValueError, match="before the last fold"):
        CardIndex(state).at(epoch)


@pytest.mark.parametrize("kind", [POST, USER])
def test_a_card_is_one_line_of_the_cache(kind: np.dtype) -> None:
    cards = blank(5, kind)
    assert (cards.itemsize, cards.ctypes.data % 64, len(cards)) == (64, 0, 5)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=20), st.integers(2, 12), st.data())
def test_changes_are_told_or_said_to_be_forgotten(noted: list[list[int]], most: int, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_MOST", most)
        kept, positions, told = Changes(), [0], list[list[int]]()
        for posts in noted:
            kept.note(np.array(posts, np.int64))
            told.append(posts)
            positions.append(kept.end)
        at = data.draw(st.integers(0, len(noted)))
        since, all_of_them = kept.since(positions[at]), sorted({post for posts in told[at:] for post in posts})
        assert since is None or since.tolist() == all_of_them
        assert since is not None or sum(map(len, told[at:])) > most // 2
