"""What must be true of every feed, on whole networks: a synthetic one, and a real one where the shared data is."""

import gzip
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from feedgen import config
from feedgen.config import Settings
from feedgen.events import Event, decode_json
from feedgen.feed.record import Bulk
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate
from tests.twin import Twin
from tests.worlds import folded, items_of

REVIEWS = Path(__file__).parents[1] / ".." / "shared" / "data" / "reviews.jsonl.gz"
NEW_YEARS_EVE = 1_735_603_200.0
"""2024-12-31T00:00:00Z, within the last day of the reviews."""


DEFAULT = Settings()
BY_SCORE = Settings(diversity=config.Diversity(media_places=0, explore_share=0.0))
"""No rule but the score decides the order."""


def made_of(state: State, now: float, settings: Settings = DEFAULT) -> dict[str, Bulk]:
    """A feed for everyone."""
    viewers = list(state.users.names)
    made = dict(zip(viewers, Pipeline(state, settings).generate(viewers, now), strict=True))
    for viewer, bulk in made.items():
        assert isinstance(bulk, Bulk), (viewer, bulk)
    return {viewer: bulk for viewer, bulk in made.items() if isinstance(bulk, Bulk)}


def check(state: State, twin: Twin, now: float) -> Counter[str]:
    """Assert what must be true of each feed; how many items each source gave."""
    feeds, by_score = made_of(state, now), made_of(state, now, BY_SCORE)
    assert len(feeds) == len(twin.people)
    sources: Counter[str] = Counter()
    followees = defaultdict(set)
    for viewer, author in twin.follows:
        followees[viewer].add(author)
    for viewer, bulk in feeds.items():
        items = items_of(bulk)
        ids = [item.item_id for item in items]
        assert len(ids) == len(set(ids)) <= 500
        ranked = items_of(by_score[viewer])
        assert sorted(ranked) == sorted(items)
        assert ranked == sorted(ranked, key=lambda item: -item.score)
        assert twin.seen(viewer, now).intersection(ids) <= twin.grown(viewer, now)
        for item in items:
            post = twin.posts[item.item_id]
            assert (item.author_id, item.created_at) == (post.author, post.created)
            assert item.author_id != viewer
            assert item.created_at <= now
            assert twin.may_see(viewer, item.item_id)
            assert (item.author_id in followees[viewer]) == (item.reason not in {"trending", "interest"})
            sources[item.reason] += 1
    return sources


@pytest.mark.skipif(not REVIEWS.exists(), reason="the shared data is not beside the project")
def test_everyone_of_the_code_review_community_gets_a_feed() -> None:
    with gzip.open(REVIEWS) as lines:
        events = [decode_json(line, NEW_YEARS_EVE + 2 * 86_400) for line in lines]
    events = [event for event in events if event.ts <= NEW_YEARS_EVE]
    state = folded(events, settings=Settings())
    assert len(state.users) == 1_730
    sources = check(state, Twin.of(events, Settings()), NEW_YEARS_EVE)
    assert min(sources[name] for name in ("followed", "popular", "interest", "trending")) > 1_000


@pytest.fixture(scope="module")
def network() -> list[Event]:
    spec = NetworkSpec(viewers=80, days=12, followees_mean=12.0, history_days=20.0, seed=7)
    return list(generate(spec).events())


def test_everyone_of_a_synthetic_network_gets_a_feed(network: list[Event]) -> None:
    now = network[-1].ts
    sources = check(folded(network, settings=Settings()), Twin.of(network, Settings(), 2_024), now)
    assert min(sources[name] for name in ("followed", "popular", "interest", "trending")) > 1_000
    assert sources["new_followee"] > 50
