"""What the generating side shows on /metrics by family; foreseen has what the scheduler did."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric, SummaryMetricFamily

from feedgen.commands import foreseen
from feedgen.commands.engine import Engine


def exposed(engine: Engine) -> Iterator[Metric]:
    """Counted since the start of the process."""
    yield from foreseen.families(engine)
    timed, seconds = engine.pipeline.stage_times()
    stages = SummaryMetricFamily(
        "forefeed_generation_stage_seconds", "Processor time of a feed, of one viewer of each batch", labels=["stage"]
    )
    for stage, took_s in seconds.items():
        stages.add_metric([stage], timed, took_s)
    yield stages
