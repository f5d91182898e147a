"""What the login predictor and the scheduler did, for /metrics, and read back from there for `feedgen status`."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from feedgen.commands.engine import Engine
from feedgen.login.outcomes import BANDS

_BAND_NAMES: Final = ("0", *map(str, BANDS))
"""Forecasts are counted by the least chance of their band."""


def families(engine: Engine) -> Iterator[Metric]:
    """Counted since the start of the process."""
    foresight = engine.dispatcher.foresight
    met, counts = foresight.outcomes.met, foresight.scheduler.counts
    logins = CounterMetricFamily("forefeed_logins", "Logins by the feed that met them", labels=["feed"])
    for feed in ("fresh", "stale", "missed"):
        logins.add_metric([feed], getattr(met, feed))
    yield logins
    made = CounterMetricFamily(
        "forefeed_generations_ahead", "Generations made ahead, by whether a login came in time", labels=["outcome"]
    )
    for outcome in ("used", "wasted"):
        made.add_metric([outcome], getattr(met, outcome))
    yield made
    looks = CounterMetricFamily(
        "forefeed_scheduler", "What became of those whom the scheduler looked at", labels=["what"]
    )
    for field in fields(counts):
        looks.add_metric([field.name], getattr(counts, field.name))
    yield looks
    yield from _predictor(engine)
    yield GaugeMetricFamily(
        "forefeed_scheduler_price",
        "P(login) that a generation must be worth",
        value=foresight.scheduler.budget.price[0],
    )
    yield GaugeMetricFamily(
        "forefeed_scheduler_late_seconds", "Lateness of the last step", value=engine.dispatcher.late_s
    )


def _predictor(engine: Engine) -> Iterator[Metric]:
    outcomes = engine.dispatcher.foresight.outcomes
    columns = {
        "forecasts": ("Forecasts", outcomes.forecasts),
        "expected_logins": ("Logins that were expected of them", outcomes.expected),
        "logins": ("Logins that came of them", outcomes.came),
    }
    for name, (what, values) in columns.items():
        family = CounterMetricFamily(f"forefeed_predictor_{name}", f"{what}, by least chance", labels=["chance"])
        for band, value in zip(_BAND_NAMES, values.tolist(), strict=True):
            family.add_metric([band], value)
        yield family
    yield GaugeMetricFamily("forefeed_predictor_learnt", "Whether a network predicts", value=engine.teacher.learnt)


class Exposition:
    """Values of a /metrics text by name and label."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what is no exposition."""
        self._values: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._values.setdefault(sample.name, {})[",".join(sample.labels.values())] = sample.value

    def of(self, name: str) -> Mapping[str, float]:
        """By label; empty where the server does not say."""
        return self._values.get(name, {})

    def one(self, name: str) -> float | None:
        """The value of a metric without labels; None where the server does not say."""
        return self.of(name).get("")


def summary(text: str) -> dict[str, Any]:
    """A server's /metrics in the words of docs/scheduling.md. Raises ValueError for what is no exposition."""
    said = Exposition(text)
    logins = {feed: int(count) for feed, count in said.of("forefeed_logins_total").items()}
    made = {outcome: int(count) for outcome, count in said.of("forefeed_generations_ahead_total").items()}
    expected, came = (said.of(f"forefeed_predictor_{name}_total") for name in ("expected_logins", "logins"))
    return {
        "logins": {**logins, "fresh_share": _share(logins.get("fresh", 0), sum(logins.values()))},
        "feed_age_at_read_s": _quantiles(said.of("forefeed_feed_age_at_read_seconds_bucket")),
        "generations": {
            "made": _whole(said.one("forefeed_worker_generated_total")),
            **made,
            "used_share": _share(made.get("used", 0), sum(made.values())),
        },
        "predictor": {
            "learnt": bool(said.one("forefeed_predictor_learnt")),
            "expected_logins": round(sum(expected.values()), 1),
            "logins": int(sum(came.values())),
            "by_chance": {
                band: {"expected": round(expected[band], 1), "came": int(came.get(band, 0))} for band in expected
            },
        },
        "scheduler": {
            **{what: int(count) for what, count in said.of("forefeed_scheduler_total").items()},
            "price": said.one("forefeed_scheduler_price"),
            "late_s": said.one("forefeed_scheduler_late_seconds"),
        },
        "queue": {
            "queued": _whole(said.one("forefeed_worker_queued")),
            "lag_s": said.one("forefeed_worker_lag_seconds"),
        },
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _quantiles(buckets: Mapping[str, float]) -> dict[str, float | None]:
    """The bounds of the buckets that half, nine tenths and 99 % of the reads are below; None: past the last one."""
    counts = sorted((float(bound), count) for bound, count in buckets.items())
    total = counts[-1][1] if counts else 0.0
    found: dict[str, float | None] = {"reads": total}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        at = next((bound for bound, count in counts if total and count >= share * total), float("inf"))
        found[name] = None if at == float("inf") else at
    return found
