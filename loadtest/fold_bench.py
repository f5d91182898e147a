"""How fast events are folded: a seeded network's, in log order, alone and beside generation.

Alone, with an epoch made each second as a server does; beside generation, with one for each batch of feeds.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.selection.epoch import Epochs
from feedgen.state.engagement import hour_of
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate
from loadtest.fold_beside import Batch, fold_beside

_DAY_S = 86_400.0


class Plan(NamedTuple):
    """`warm_share`: part of the events that is folded first, unmeasured. `batch_events`: as a server folds them."""

    viewers: int
    days: int
    warm_share: float
    batch_events: int
    seed: int


def measure(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Events a second of CPU time, what an epoch costs, and bytes by part of the state; `beside`: see fold_beside."""
    tell(f"drawing a network of {plan.viewers:,} viewers")
    network = generate(NetworkSpec(viewers=plan.viewers, days=plan.days, seed=plan.seed))
    events = list(network.events())
    settings = Settings()
    warm = int(len(events) * plan.warm_share)
    tell(f"folding {warm:,} events, and then {len(events) - warm:,} measured")
    state = _folded(events[:warm], settings, plan.batch_events)
    epochs = Epochs(state, settings.state.retention_days * _DAY_S, settings.feed.items)
    epochs.at(hour_of(events[warm].ts))
    alone = _measured(state, epochs, events[warm:], warm + 1, plan.batch_events)
    tell("the same beside a thread that generates")
    other = _folded(events[:warm], settings, plan.batch_events)
    batches = list(_batches(events[warm:], warm + 1, plan.batch_events))
    return {
        "viewers": plan.viewers,
        "events": len(events),
        "measured": len(events) - warm,
        **alone,
        "beside": asyncio.run(fold_beside(other, batches, settings)),
        "mix": dict(Counter(event.type for event in events).most_common()),
        "follows": state.graph.follow_count,
        "posts": len(state.post_ids),
        "engagements": len(state.engagement),
        "bytes": state.nbytes(),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _folded(events: Sequence[Event], settings: Settings, size: int) -> State:
    state = State(settings.state, settings.ranking)
    for batch in _batches(events, 1, size):
        state.fold(batch)
    return state


def _measured(state: State, epochs: Epochs, events: Sequence[Event], first: int, size: int) -> dict[str, float]:
    fold_s, epoch_s, made, hours, due = 0.0, 0.0, 0, 0, 1.0
    began, hour = time.perf_counter(), None
    for batch in _batches(events, first, size):
        before = time.process_time()
        state.fold(batch)
        fold_s += time.process_time() - before
        if fold_s + epoch_s < due:
            continue
        before, due = time.process_time(), due + 1.0
        now_hour = hour_of(batch[-1][1].ts)
        epochs.at(now_hour)
        epoch_s += time.process_time() - before
        made, hours, hour = made + 1, hours + (now_hour != hour), now_hour
    return {
        "events_per_s": round(len(events) / (fold_s + epoch_s)),
        "fold_us_per_event": round(fold_s / len(events) * 1e6, 2),
        "epochs": made,
        "epochs_of_a_new_hour": hours,
        "epoch_ms": round(epoch_s / max(made, 1) * 1e3, 2),
        "wall_s": round(time.perf_counter() - began, 2),
    }


def _batches(events: Sequence[Event], first: int, size: int) -> Iterator[Batch]:
    pairs = enumerate(events, start=first)
    while batch := list(islice(pairs, size)):
        yield batch
