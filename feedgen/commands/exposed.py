"""What the generating side shows on /metrics. Counters count since the start of the process."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from feedgen.commands import foreseen
from feedgen.commands.engine import Engine
from feedgen.commands.retraining import Retraining
from feedgen.models.ranker import Ranker
from feedgen.pipeline import Pipeline
from feedgen.snapshots import Cut, Snapshots
from feedgen.worker import PoolCounters

_DONE_BY_WORKERS: Final = {
    "generated": "Feeds made that the store took",
    "refused_older": "Feeds made that the store refused, a newer one being there",
    "unknown": "Wishes for viewers never seen",
    "failed_attempts": "Attempts to make or store a feed that failed",
    "set_aside": "Viewers set aside, as all attempts failed",
    "unstored": "Viewers given up as the store failed every time",
    "dropped": "Wishes not taken: the queue was full, or the viewer set aside",
    "joined": "Wishes that found their viewer queued or in flight",
    "crashed": "Errors that are bugs",
    "batches": "Batches made",
}

_NO_CUT: Final = Cut(Path(), 0, 0.0, 0.0, 0)
"""Before the first one."""


def exposed(engine: Engine, retraining: Retraining | None = None) -> Iterator[Metric]:
    """Every family, with a help text that says what it counts. `retraining`: where training goes by the clock."""
    yield from _selection(engine.pipeline)
    yield from _ranking(engine.pipeline.ranker)
    yield from _learning(engine, retraining)
    yield from _workers(engine.pool.counters)
    yield from _stages(engine.pipeline)
    yield from _snapshots(engine.snapshots)
    yield from _state(engine)
    yield from foreseen.families(engine)


def _selection(pipeline: Pipeline) -> Iterator[Metric]:
    counted = pipeline.counted
    yield _by_label("forefeed_selection_candidates", "Posts named, by source", "source", counted, "source_")
    yield _by_label("forefeed_selection_removed", "Candidates removed, by filter", "filter", counted, "filter_")
    yield CounterMetricFamily(
        "forefeed_selection_spam_damped",
        "Candidates damped, their authors posting too much",
        value=counted["spam_damped"],
    )


def _ranking(ranker: Ranker) -> Iterator[Metric]:
    yield _by_label(
        "forefeed_ranking_failed",
        "Times that a version could not rank a viewer, by reason",
        "reason",
        ranker.counted,
        "failed_",
    )
    yield _by_label(
        "forefeed_ranking_stood_in",
        "Viewers whom the version in front did not rank, by what did: the previous one or the formula",
        "by",
        ranker.counted,
        "by_",
    )


def _learning(engine: Engine, retraining: Retraining | None) -> Iterator[Metric]:
    trainings = CounterMetricFamily(
        "forefeed_ranking_trainings", "Trainings by the clock that ended, by outcome", labels=["outcome"]
    )
    trainings.add_metric(["succeeded"], retraining.done if retraining else 0)
    trainings.add_metric(["failed"], retraining.failed if retraining else 0)
    yield trainings
    modelled = engine.modelled
    yield GaugeMetricFamily(
        "forefeed_ranking_version_until_timestamp_seconds",
        "Up to when the version that ranks has learnt; 0: the formula ranks",
        value=modelled.until,
    )
    yield CounterMetricFamily(
        "forefeed_ranking_examples_learnt",
        "Examples that the version that ranks has learnt from as events came; another version begins at 0",
        value=modelled.learnt,
    )
    yield GaugeMetricFamily(
        "forefeed_ranking_learnt_offset",
        "Log offset at which the weights of the version that ranks stand; 0: it learns nothing",
        value=modelled.offset,
    )


def _workers(counters: PoolCounters) -> Iterator[Metric]:
    for name, what in _DONE_BY_WORKERS.items():
        yield CounterMetricFamily(f"forefeed_worker_{name}", what, value=getattr(counters, name))
    yield CounterMetricFamily(
        "forefeed_worker_making_seconds", "Time that workers spent on making feeds", value=counters.seconds_making
    )
    yield GaugeMetricFamily("forefeed_worker_queued", "Viewers whose feed waits to be made", value=counters.queued)
    yield GaugeMetricFamily(
        "forefeed_worker_in_flight",
        "Viewers whose feed is being made, or waits for another try",
        value=counters.in_flight,
    )
    yield GaugeMetricFamily(
        "forefeed_worker_lag_seconds", "How long the oldest wish in the background has waited", value=counters.lag_s
    )


def _stages(pipeline: Pipeline) -> Iterator[Metric]:
    timed, seconds = pipeline.stage_times()
    stages = SummaryMetricFamily(
        "forefeed_generation_stage_seconds", "Processor time of a feed, of one viewer of each batch", labels=["stage"]
    )
    for stage, took_s in seconds.items():
        stages.add_metric([stage], timed, took_s)
    yield stages


def _snapshots(snapshots: Snapshots) -> Iterator[Metric]:
    last = snapshots.last or _NO_CUT
    of_last = {
        "bytes": ("Size of the snapshot that this process wrote last", last.nbytes),
        "took_seconds": ("How long the last snapshot took to write", last.took_s),
        "pause_seconds": ("For how long nothing was folded while the last snapshot was written", last.pause_s),
        "passes": ("Passes in which the last snapshot was written", last.passes),
        "watermark": ("Log offset of the latest snapshot, read or written", snapshots.stands_at),
    }
    for name, (what, value) in of_last.items():
        yield GaugeMetricFamily(f"forefeed_snapshot_{name}", what, value=value)


def _state(engine: Engine) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "forefeed_state_events_folded", "Events folded into the state", value=engine.keeper.folded
    )
    state = engine.state
    held = {
        "watermark": ("Log offset at which the state stands", state.watermark),
        "users": ("Users known", len(state.users)),
        "posts": ("Posts kept", state.posts.live_count),
        "follows": ("Follows known", state.graph.follow_count),
        "bytes": ("Memory that the state's columns take", sum(state.nbytes().values())),
    }
    for name, (what, value) in held.items():
        yield GaugeMetricFamily(f"forefeed_state_{name}", what, value=value)


def _by_label(family: str, what: str, label: str, counted: Mapping[str, int], prefix: str) -> Metric:
    """Those of `counted` whose names begin with `prefix`; the rest of the name is the label's value."""
    counter = CounterMetricFamily(family, what, labels=[label])
    for name, count in counted.items():
        if name.startswith(prefix):
            counter.add_metric([name.removeprefix(prefix)], count)
    return counter
