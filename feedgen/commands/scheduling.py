"""`feedgen schedule-replay`: how the logins of a past period would have been met."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from feedgen.commands.console import MESSAGE_MAX, Reporter, one_line, put_json
from feedgen.config import Settings
from feedgen.errors import ForefeedError, ImportFailed
from feedgen.events import Event
from feedgen.importers import jsonl, source
from feedgen.login import baselines
from feedgen.login.eviction import evictions
from feedgen.login.predictor import Hazards, Learnt
from feedgen.login.replay import Pace, Replayed, met, regulars, replay
from feedgen.login.training import train
from feedgen.login.visits import Visits
from feedgen.state.habits import Ints

CURVE_BUDGETS: Final = (2.5, 5.0, 10.0, 20.0, 40.0)


def show(
    settings: Settings,
    sessions: str,
    begin: float,
    until: float,
    budget: float,
    *,
    dump: Path | None,
    eviction: bool,
    curve: Path | None,
) -> None:
    """Replay the logins of `sessions` in [begin, until) and say how they were met; times in s.

    The predictor is trained on what the file holds of before `begin`. Raises ImportFailed, ModelError, OSError.
    """
    with Reporter("reading the sessions") as reporter:
        visits = _read(sessions, reporter)
    if not (visits.came & (visits.ts >= begin) & (visits.ts < until)).any():
        raise ForefeedError(f"{sessions}: no login between --from and --until")
    with Reporter("training the login predictor") as reporter:
        learnt = Learnt(train(visits, begin, on_progress=_share(reporter)))
    period = _Period(settings, visits, begin, until)
    with Reporter(f"replaying at {budget:g} generations a login") as reporter:
        replayed = period.replay(learnt, budget, _share(reporter))
    if dump is not None:
        _write(dump, visits, replayed)
    answer = {
        "budget": budget,
        "price": round(replayed.price, 5),
        **period.figures(replayed),
        "scheduler": msgspec.to_builtins(replayed.counts),
    }
    answer["baselines"] = period.baselines(budget)
    if eviction:
        with Reporter("replaying evictions") as reporter:
            answer["eviction"] = _evictions(visits, begin, until, learnt, _share(reporter))
    if curve is not None:
        answer["curve"] = _curve(curve, period, learnt)
    put_json(answer)


class _Period:
    """The logins that are asked about. Regular viewers are reported by themselves: others have no past to go by."""

    def __init__(self, settings: Settings, visits: Visits, begin: float, until: float) -> None:
        self._settings = settings
        self._visits = visits
        self._span = begin, until
        self._regulars = np.flatnonzero(regulars(visits, begin))

    def replay(self, hazards: Hazards, budget: float, on_progress: Callable[[float], None]) -> Replayed:
        scheduler = self._settings.scheduler
        pace = Pace(
            fresh_s=self._settings.cache.fresh_s,
            tick_s=scheduler.tick_s,
            longest_s=scheduler.longest_days * 86_400,
            active_s=self._settings.worker.active_days * 86_400,
            least_price=scheduler.least_chance,
        )
        return replay(self._visits, *self._span, budget, hazards, pace, on_progress)

    def figures(self, replayed: Replayed) -> dict[str, Any]:
        """Of the regular viewers, and of everyone."""
        everyone = np.arange(len(self._visits.names))
        return {"regular": self._met(replayed, self._regulars), "everyone": self._met(replayed, everyone)}

    def baselines(self, budget: float) -> dict[str, Any]:
        """The regular viewers' figures by the rules the scheduler is measured against."""
        fresh_s, days = self._settings.cache.fresh_s, self._settings.worker.active_days
        active = baselines.active_lately(self._visits, *self._span, fresh_s, days)
        histogram = baselines.histogram(self._visits, *self._span, budget, fresh_s)
        return {
            "active_lately": self._met(active, self._regulars),
            "hour_histogram": self._met(histogram, self._regulars),
        }

    def _met(self, replayed: Replayed, who: Ints) -> dict[str, float | int]:
        cache = self._settings.cache
        return met(
            self._visits, *self._span, replayed.viewers, replayed.ts, who, cache.fresh_s, cache.stale_s
        ).figures()


def _read(path: str, reporter: Reporter) -> Visits:
    events: list[Event] = []
    failure = None
    with source.opened(path) as opened:
        for batch in jsonl.batches(opened, time.time(), 5_000):
            events += [event for event in batch.events if event.type in ("login", "logout")]
            for line, reason, what in batch.refused:
                reporter.say(f"{what} {line}: {one_line(reason, MESSAGE_MAX)}")
            failure = batch.failure
            reporter.progress(opened.read_bytes(), opened.size_bytes, f"{len(events):,} logins and logouts read")
    if failure is not None:
        raise ImportFailed(f"{path}: {failure.replace('was imported', 'could be read')}")
    unique = {event.id: event for event in reversed(events)}  # the same id twice counts once: the first
    return Visits.of(reversed(unique.values()))


def _share(reporter: Reporter) -> Callable[[float], None]:
    return lambda share: reporter.progress(share, 1.0, f"{share:.0%}")


def _write(path: Path, visits: Visits, replayed: Replayed) -> None:
    encoder = msgspec.json.Encoder()

    def lines() -> Iterator[bytes]:
        for viewer, ts in zip(replayed.viewers.tolist(), replayed.ts.tolist(), strict=True):
            yield encoder.encode({"viewer": visits.names[viewer], "ts": int(ts) if ts == int(ts) else ts}) + b"\n"

    with path.open("wb") as file:
        file.writelines(lines())


def _evictions(
    visits: Visits, begin: float, until: float, hazards: Hazards, on_progress: Callable[[float], None]
) -> list[dict[str, float]]:
    return [
        {
            "capacity": each.capacity,
            "lru": round(each.lru, 4),
            "predicted": round(each.predicted, 4),
            "belady": round(each.belady, 4),
            "gap_closed": round(each.closed, 3),
        }
        for each in evictions(visits, begin, until, hazards, on_progress)
    ]


def _curve(path: Path, period: _Period, hazards: Hazards) -> list[dict[str, Any]]:
    """Draw hit rate over generations a login, ours beside the baselines; the points."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ForefeedError("--curve needs matplotlib; install the extra forefeed[plots]") from None
    points = []
    for budget in CURVE_BUDGETS:
        with Reporter(f"replaying at {budget:g} generations a login") as reporter:
            ours = period.figures(period.replay(hazards, budget, _share(reporter)))["regular"]
        points.append({"budget": budget, "scheduler": ours, **period.baselines(budget)})
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, label in (("scheduler", "scheduler"), ("hour_histogram", "hour-of-day histogram")):
        spent = [point[name]["generations_per_login"] for point in points]
        axes.plot(spent, [point[name]["hit_rate"] for point in points], marker="o", label=label)
    every = points[0]["active_lately"]
    axes.plot(every["generations_per_login"], every["hit_rate"], "s", label="everyone active lately")
    axes.set(xlabel="generations per login", ylabel="logins met by a fresh feed", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
    return points
