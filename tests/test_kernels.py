"""Kernels: each equal to a plain twin; a batch makes the same bytes as the stages one by one."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from threading import Barrier
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from feedgen import config, diversity
from feedgen.events import Event
from feedgen.feed import ids
from feedgen.feed.record import Bulk, Exploration, bulk_of_columns, encode_bulk
from feedgen.kernels import mixing, packing, picking
from feedgen.kernels.cards import USER, UserParts, blank, write_users
from feedgen.kernels.marks import Marks
from feedgen.models.ranker import LineUp
from feedgen.pipeline import Pipeline, Ranked
from feedgen.prefetch import prefetch
from feedgen.state.lists import Spans
from feedgen.state.state import State
from feedgen.state.symbols import Names, Symbols
from tests.worlds import DAY, HOUR, NOW, PEOPLE, SMALL, Story, batch_sizes, batches, events, folded

THREE_HEADS = {
    "like": config.Head(value=1.0, bias=-2.0, weights={"freshness": 0.7, "topic": 1.3, "followers": 0.1}),
    "share": config.Head(value=4.0, bias=-4.5, weights={"freshness": 0.2, "liked_share": 1.0, "network": 0.3}),
    "hide": config.Head(value=-3.0, weights={"recency": -0.4, "engagement": -0.2}),
}
LOOKS = (NOW, NOW + HOUR, NOW + 2 * DAY)
texts = st.one_of(
    st.text(max_size=6).filter(lambda text: text.isprintable()),
    st.text("0123456789abcdef", min_size=2, max_size=2),
    st.text("0123456789abcdef", min_size=18, max_size=18),
    st.integers(-(1 << 64), 1 << 64).map(str),
    st.sampled_from(("-0", "007", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "-", "+1")),
)


def named(names: Sequence[str]) -> Names:
    """The ids as kernels see them."""
    symbols = Symbols()
    for name in names:
        symbols.intern(name)
    return symbols.encoded


def coded(names: Names) -> NDArray[Any]:
    """Cards of users with nothing but their ids."""
    cards, nothing = blank(len(names.bounds) - 1, USER), np.zeros(len(names.bounds) - 1)
    none = Spans(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
    write_users(UserParts(nothing, nothing, nothing, none, none, names), 0, cards)
    return cards


def plain(state: State, pipeline: Pipeline, ranked: Ranked) -> Bulk:
    """The record of a feed ranked stage by stage."""
    names, people = state.post_ids.names, state.users.names
    shared = pipeline.diversity.explore_share
    return bulk_of_columns(
        pipeline.trending(ranked.context.now).generation,
        [names[post] for post in ranked.posts.tolist()],
        [people[author] for author in state.posts.author[ranked.posts].tolist()],
        ranked.diverse.adjusted[ranked.diverse.order],
        [source.name for source in pipeline.sources],
        ranked.origin.tolist(),
        state.posts.created[ranked.posts],
        Exploration(shared, ranked.diverse.explored),
    )


@settings(max_examples=300, deadline=None)
@given(events(), st.sampled_from(LOOKS), st.sampled_from(({}, THREE_HEADS)))
def test_a_batch_makes_the_same_bytes_as_the_stages_one_by_one(
    found: list[Event], now: float, heads: dict[str, config.Head]
) -> None:
    state = folded(found)
    pipeline = Pipeline(state, msgspec.structs.replace(SMALL, ranking=config.Ranking(heads=heads)))
    counted = dict.fromkeys(pipeline.counted, 0)
    for viewer, made in zip(PEOPLE, pipeline.generate(PEOPLE, now), strict=True):
        ranked = pipeline.rank_by_id(viewer, now)
        if ranked is None:
            assert made is None
            continue
        assert isinstance(made, Bulk), made
        assert encode_bulk(made) == encode_bulk(plain(state, pipeline, ranked))
        for name, count in ranked.candidates.items():
            counted[f"source_{name}"] += count
        for name, count in ranked.removed.items():
            counted[f"filter_{name}"] += count
        counted["spam_damped"] += int(np.count_nonzero(ranked.all_damped))
    assert dict(pipeline.counted) == counted


@settings(max_examples=200, deadline=None)
@given(events(), st.sampled_from(LOOKS), st.sampled_from(({}, THREE_HEADS)))
def test_a_shortlist_is_what_the_stages_choose_from_and_choose(
    found: list[Event], now: float, heads: dict[str, config.Head]
) -> None:
    state = folded(found)
    pipeline = Pipeline(state, msgspec.structs.replace(SMALL, ranking=config.Ranking(heads=heads)))
    for viewer in range(len(state.users)):
        ranked, short = pipeline.rank(viewer, now), pipeline.shortlist(viewer, now)
        assert short.posts.tolist() == ranked.posts.tolist()
        before = np.argsort(ranked.diverse.order)
        assert short.order.tolist() == ranked.posts[before].tolist()
        assert short.scores.tobytes() == ranked.scores[before].tobytes()
        assert set(short.considered[: len(short.posts)].tolist()) == set(ranked.posts.tolist())
        plainly, by_kernel = np.argsort(ranked.considered), np.argsort(short.considered)
        assert short.considered[by_kernel].tolist() == ranked.considered[plainly].tolist()
        assert short.features[by_kernel].tobytes() == ranked.all_features[plainly].tobytes()


@settings(max_examples=60, deadline=None)
@given(events(), batch_sizes, st.lists(st.sampled_from(LOOKS), min_size=1, max_size=4))
def test_what_is_kept_from_fold_to_fold_changes_no_byte(
    found: list[Event], sizes: list[int], moments: list[float]
) -> None:
    state = State(SMALL.state, SMALL.ranking)
    pipeline = Pipeline(state, SMALL)
    for batch, now in zip(batches(found, sizes), cycle(moments), strict=False):
        state.fold(batch)
        for viewer, made in zip(PEOPLE, pipeline.generate(PEOPLE, now), strict=True):
            ranked = pipeline.rank_by_id(viewer, now)
            assert (made is None) == (ranked is None)
            if ranked is not None:
                assert isinstance(made, Bulk), made
                assert encode_bulk(made) == encode_bulk(plain(state, pipeline, ranked))


@pytest.mark.parametrize("cap", [3, 40, 900])
def test_of_a_long_pool_the_best_matches_are_found(cap: int) -> None:
    """What is looked at step by step, and ended early, against all of it sorted."""
    limits = msgspec.structs.replace(config.Selection(), interest_cap=cap)
    rng, story = random.Random(cap), Story(msgspec.structs.replace(config.Settings(), selection=limits))
    for number in range(12):
        story.tell("me", "follow", f"friend{number}", days=9)
        topics = rng.sample("abcdefg", rng.randint(0, 3))
        story.tell(f"friend{number}", "post", f"f{number}", days=rng.random(), topics=topics)
    for number in range(600):
        topics = rng.sample("abcdefghijklm", rng.choice((0, 1, 1, 2, 3, 5)))
        story.tell(f"writer{number % 70}", "post", f"p{number}", days=3 * rng.random(), topics=topics)
        for liker in range(int(rng.expovariate(1))):
            story.tell(f"reader{liker}", "like", f"p{number}", days=rng.random())
    story.tell("me", "like", "p7")
    for viewer in ("me", "writer3", "reader0"):
        ranked, made = story.pipeline.rank_by_id(viewer, NOW), story.pipeline.generate([viewer], NOW)[0]
        assert ranked is not None
        assert isinstance(made, Bulk)
        assert ranked.candidates["interest"] <= cap
        assert viewer != "me" or ranked.candidates["interest"]
        assert encode_bulk(made) == encode_bulk(plain(story.state, story.pipeline, ranked))


@njit
def _prefetched(column: NDArray[np.int64], rows: NDArray[np.float64], index: int) -> int:
    prefetch(column, index)
    prefetch(rows, index)
    return len(column)


@pytest.mark.parametrize("index", [0, 2, 3, -1, 1 << 40, -(1 << 62)])
def test_what_is_prefetched_need_not_be_there(index: int) -> None:
    assert _prefetched(np.arange(3), np.zeros((3, 2)), index) == 3


@settings(max_examples=50, deadline=None)
@given(events(), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_neither_the_size_of_batches_nor_another_thread_changes_a_byte(found: list[Event], sizes: list[int]) -> None:
    pipeline = Pipeline(folded(found), SMALL)
    whole = pipeline.generate(PEOPLE, NOW)
    parts, rest = list[tuple[str, ...]](), PEOPLE
    for size in cycle(sizes):
        parts, rest = [*parts, rest[:size]], rest[size:]
        if not rest:
            break
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda part: pipeline.generate(part, NOW), [*parts, PEOPLE]))
    assert [feed for part in made[:-1] for feed in part] == whole
    assert made[-1] == whole


@pytest.mark.parametrize("kernel", ["batch.generate", "choosing.select", "batch.mix", "shortlist.mixed"])
def test_a_kernel_that_stops_half_way_leaves_no_marks(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    story, dirty = Story(), list[NDArray[Any]]()
    for number in range(30):
        story.tell("me", "follow", f"friend{number}", days=9)
        story.tell(f"friend{number}", "post", f"p{number}", days=number / 10)
    pipeline, me = story.pipeline, story.state.users.find("me")
    assert me is not None
    marks = pipeline._chooser.marks
    whole, posts = pipeline.generate(["me"], NOW), pipeline.shortlist(me, NOW).posts.tolist()

    def stop(*_: object) -> None:
        for part in marks():
            part += 1
            dirty.append(part)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(f"feedgen.{kernel}", stop)
        patch.setattr(pipeline.ranker, "line_up", LineUp(missing=kernel in ("choosing.select", "batch.mix")))
        if kernel != "shortlist.mixed":
            assert isinstance(pipeline.generate(["me"], NOW)[0], MemoryError)
        else:
            with pytest.raises(MemoryError):
                pipeline.shortlist(me, NOW)
    assert len(dirty) == len(marks())
    assert not any(np.shares_memory(part, used) for part, used in zip(marks(), dirty, strict=True))
    assert pipeline.generate(["me"], NOW) == whole
    assert pipeline.shortlist(me, NOW).posts.tolist() == posts


def test_a_batch_larger_than_what_is_held_at_once_and_one_that_grows() -> None:
    story = Story()
    people = [f"v{number}" for number in range(40)]
    for person in people:
        story.tell(person, "follow", "ann", days=9)
        story.tell(person, "post", f"by-{person}", days=1)
    story.tell("ann", "post", "p", days=1)
    whole = story.pipeline.generate(people, NOW)
    assert whole == [story.pipeline.generate([person], NOW)[0] for person in people]
    for number in range(300):  # state outgrows the scratch of the thread
        story.tell(f"w{number}", "post", f"more-{number}", days=2)
    again = story.pipeline.generate([*people, *(f"w{number}" for number in range(300))], NOW)
    assert all(isinstance(feed, Bulk) for feed in again)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, unique=True, max_size=12), st.data())
def test_ids_are_packed_as_the_record_packs_them(names: list[str], data: st.DataObject) -> None:
    which = data.draw(st.permutations(range(len(names))))
    source, chosen, ends = named(names), np.array(which, np.int32), np.empty(len(which), np.uint32)
    plainly = ids.pack_ids([names[one] for one in which])
    for cards in (coded(source), np.zeros(len(names), USER)):  # from their codes, and from the ids themselves
        form, room = packing.measured(cards, source, chosen)
        arena = np.full(room + 1, 77, np.uint8)
        kind, width, end = packing.pack_names(cards, source, chosen, form, arena[:room], ends)
        assert (end <= room, arena[room]) == (True, 77)
        assert (packing.KINDS[kind], width, arena[:end].tobytes()) == (plainly.kind, plainly.width, plainly.data)
        assert plainly.ends in (b"", ends.tobytes())
        assert (kind == packing.ARENA) == bool(plainly.ends)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((0.0, 1.0, 2.5)), st.sampled_from((0.0, 7.0)), texts), unique_by=lambda t: t[2]),
    st.integers(0, 40),
)
def test_the_best_are_picked_and_arranged_by_keys_then_id(rows: list[tuple[float, float, str]], count: int) -> None:
    order = sorted(range(len(rows)), key=lambda at: rows[at])
    first, second = (np.array([row[key] for row in rows], np.float64) for key in (0, 1))
    keys = picking.Keys(first, second, np.arange(len(rows), dtype=np.int32), named([row[2] for row in rows]))
    best = picking.picked(keys, count)
    assert sorted(best.tolist()) == sorted(order[:count])
    assert picking.arranged(keys, best).tolist() == order[:count]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(-1, 1),
            st.floats(allow_nan=False),
            st.sampled_from((0.0, -0.0, 1.0, np.inf, -np.inf)),
            st.integers(0, 5),
        ),
        min_size=30,
        max_size=200,
    )
)
def test_many_are_arranged_as_few_are(values: list[float]) -> None:
    """More than are merged at once: dealt into cells, nearly equal ones, infinite ones and both zeros among them."""
    first = np.array(values, np.float64)
    count = len(first)
    source = named([str(number) for number in range(count)])
    keys = picking.Keys(first, np.arange(count) % 3.0, np.arange(count, dtype=np.int32), source)
    order = sorted(range(count), key=lambda at: (values[at], at % 3, str(at)))
    assert picking.arranged(keys, np.arange(count, dtype=np.int32)).tolist() == order
    assert sorted(picking.picked(keys, 20).tolist()) == sorted(order[:20])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 4))
def test_media_are_parted_as_diversity_parts_them(media: list[int], places: int) -> None:
    order = np.arange(len(media)).astype(np.int32)
    mixing.part_media(order, np.array(media, np.uint8), places)
    assert order.tolist() == diversity.part_media(media, places)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.floats(0, 1), st.text(max_size=20))
def test_places_are_explored_as_diversity_explores_them(count: int, share: float, viewer: str) -> None:
    lead = diversity.lead(1, "5.1000")
    words = mixing.seeds(lead, named(["another", viewer]), 1)
    assert words.tolist() == diversity.seeds(lead, viewer).tolist()
    order, bits = np.arange(count).astype(np.int32), np.empty((count + 7) // 8, np.uint8)
    mixing.explore(order, words, share, bits)
    expected, drawn = diversity.explore(list(range(count)), share, words)
    assert (order.tolist(), bits.tobytes()) == (expected, np.packbits(drawn, bitorder="little").tobytes())


def test_a_kernel_that_stops_in_one_thread_leaves_the_marks_of_others_in_place() -> None:
    story = Story()
    story.tell("vic", "follow", "ann")
    chooser, found, turn = story.pipeline._chooser, list[Marks](), Barrier(2)

    def fails() -> None:
        found.append(chooser.marks())
        turn.wait(60)
        with suppress(MemoryError), chooser:
            raise MemoryError
        turn.wait(60)
        found.append(chooser.marks())

    with ThreadPoolExecutor(1) as threads:
        failing = threads.submit(fails)
        turn.wait(60)
        before = chooser.marks()
        turn.wait(60)
        failing.result(60)
    assert all(mark is same for mark, same in zip(chooser.marks(), before, strict=True))
    assert not any(np.shares_memory(new, used) for new, used in zip(found[1], found[0], strict=True) if len(used))
