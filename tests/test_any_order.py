"""Events in any order, late and repeated: the same state and the same feeds, byte for byte."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.config import Log, Settings
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate
from tests.whole import NOT_TOLD, TOLD, feeds, told, whole
from tests.worlds import DAY, HOUR, NOW, SMALL, batch_sizes, batches, events, folded, seeds


def delayed(found: Sequence[Event], seed: int, delay_s: float, repeated: float) -> list[Event]:
    """The events as they arrive: up to `delay_s` late, so many times over on average, each time with its own delay."""
    rng = random.Random(seed)
    again = [event for event in found if rng.random() < repeated]
    arrivals = [(event.ts + rng.random() * delay_s, rng.random(), event) for event in [*found, *again]]
    return [event for _, _, event in sorted(arrivals, key=lambda arrival: arrival[:2])]


async def logged(arrivals: Iterable[Event], sizes: Sequence[int], folder: Path) -> list[Event]:
    """What a log keeps of them, sent in batches of these sizes."""
    async with await EventLog.open(Log(), folder) as log:
        for batch in batches(list(arrivals), sizes):
            await log.append([event for _, event in batch])
        return [event for _, event in await log.read(0, 1 << 30)]


def through_a_log(arrivals: Iterable[Event], sizes: Sequence[int], settings: Settings) -> State:
    """The state after they went into a log, and from there in batches of other sizes into the state.

    Numbered anew on the way: a repeated event leaves a gap in the log's offsets, so watermarks would differ.
    """
    with TemporaryDirectory() as folder:
        kept = asyncio.run(logged(arrivals, sizes, Path(folder)))
    return folded(kept, [size + 1 for size in sizes], settings)


def everything(state: State, settings: Settings, now: float) -> tuple[bytes, dict[str, bytes]]:
    return whole(state, now), feeds(state, Pipeline(state, settings), now)


@settings(max_examples=60, deadline=None)
@given(events(), seeds, batch_sizes, st.sampled_from((0.0, HOUR, 3 * DAY, 1e12)), st.sampled_from((0.0, 0.3, 1.0)))
def test_neither_order_nor_delay_nor_repetition_matters(
    found: list[Event], seed: int, sizes: list[int], delay_s: float, repeated: float
) -> None:
    mixed = through_a_log(delayed(found, seed, delay_s, repeated), sizes, SMALL)
    assert told(mixed, NOW) == told(folded(found), NOW)  # says where they differ
    for now in (NOW, NOW + 2 * DAY):
        assert everything(mixed, SMALL, now) == everything(folded(found), SMALL, now)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_thousand_events_of_a_network_in_any_order_with_repeats(seed: int) -> None:
    spec = NetworkSpec(viewers=250, days=20, followees_mean=20.0, history_days=20.0, seed=seed)
    rng = random.Random(seed)
    found = rng.sample(list(generate(spec).events()), 10_000)
    now = float(spec.end)
    arrivals = [*found, *rng.sample(found, 2_500), *rng.sample(found, 500)]
    rng.shuffle(arrivals)
    mixed = through_a_log(arrivals, (997, 14, 2_003), Settings())
    assert mixed.watermark == 10_000
    in_time = folded(sorted(found, key=lambda event: event.ts), settings=Settings())
    assert everything(mixed, Settings(), now) == everything(in_time, Settings(), now)
    assert sum(len(feed) for feed in everything(mixed, Settings(), now)[1].values()) > 100_000


def test_the_state_is_told_with_nothing_left_out() -> None:
    parts = {".".join(name.split(".")[:2]) for name in State(SMALL.state, SMALL.ranking).columns()}
    names = {"users", "post_ids", "topic_names", "languages"}  # how a table of names is made up is its own affair
    met = {part.partition(".")[0] if part.partition(".")[0] in names else part for part in parts}
    assert met == TOLD | NOT_TOLD


def test_what_is_told_tells_states_apart() -> None:
    story = [
        {"type": "follow", "actor": "v", "object": "a"},
        {"type": "post", "actor": "a", "object": "p", "attrs": {"topics": ["tea"], "language": "de", "min_age": 3}},
        {"type": "edit", "actor": "a", "object": "p", "attrs": {"sensitive": True}},
        {"type": "review", "actor": "m", "object": "p", "attrs": {"state": "pending"}},
        {"type": "delete", "actor": "a", "object": "p"},
        {"type": "like", "actor": "v", "object": "p"},
        {"type": "unlike", "actor": "v", "object": "q"},
        {"type": "report", "actor": "v", "object": "p"},
        {"type": "view", "actor": "v", "attrs": {"objects": ["p"]}},
        {"type": "serve", "actor": "v", "attrs": {"objects": ["p"]}},
        {"type": "user", "actor": "v", "attrs": {"verified": True}},
        {"type": "block", "actor": "v", "object": "a"},
        {"type": "mute", "actor": "v", "object": "a"},
        {"type": "login", "actor": "v"},
    ]
    found = [msgspec.convert([f"e{n}", one["type"], NOW - HOUR, one["actor"], one.get("object"), one.get("attrs", {})],
                             Event) for n, one in enumerate(story)]  # fmt: skip
    without_each = [folded(found[:n] + found[n + 1 :]) for n in range(len(found))]
    for state in without_each:
        state.watermark = len(found)
    assert len({whole(state, NOW) for state in [folded(found), *without_each]}) == len(found) + 1
