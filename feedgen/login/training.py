"""Trains the predictor on the past: moments drawn at random, who was known then, and when they came next."""

from collections.abc import Callable
from typing import Final

import numpy as np

from feedgen.errors import ModelError
from feedgen.login.committee import MEMBERS, Committee
from feedgen.login.features import COUNT, LOOK_S, Matrix, features
from feedgen.login.network import SPAN_ENDS_S, fit
from feedgen.login.visits import Reader, Visits
from feedgen.state.habits import DAY_S, Floats, Habits, Ints

MOMENTS: Final = 40_000
"""At most, and ten for a login: more teach a small community's network nothing."""
VIEWERS_A_MOMENT: Final = 250
"""Drawn from all who are known: the cost of training does not grow with the community."""
YEARS: Final = 8
WARM_SHARE: Final = 0.1
"""Of the time there is to learn from, what only fills the histograms."""
ABSENT_DAYS: Final = 120.0
"""Who has been away longer is left out: hardly any of them come."""
_KEEP: Final = 0.15
_KEEP_LATELY: Final = 0.5
_LATELY_S: Final = 43_200.0
"""Shares of the rows without a login soon that are kept, of viewers seen lately and of others; they count for all."""
LEAST_LOGINS: Final = 200


def train(
    visits: Visits,
    until: float,
    seed: int = 0,
    *,
    moments: int = MOMENTS,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Committee:
    """The networks that the visits before `until` (s) teach. One to two minutes, whatever the size of the log.

    Raises ModelError when there are too few logins to learn from.
    """
    past = visits.before(until)
    logins = int(past.came.sum())
    if logins < LEAST_LOGINS:
        raise ModelError(f"{logins} logins are too few to learn from; {LEAST_LOGINS} are needed")
    rng = np.random.default_rng(seed)
    begin = max(float(past.ts[0]) + WARM_SHARE * (until - float(past.ts[0])), until - YEARS * 365 * DAY_S)
    drawn = np.sort(
        rng.integers(int(begin), max(int(until - SPAN_ENDS_S[0]), int(begin) + 1), min(moments, 10 * logins))
    )
    rows, until_s, seen_s, weights = _rows(past, drawn, until, rng, _part(on_progress, 0.0, 0.5))
    share = 0.5 / MEMBERS
    networks = [
        fit(rows, until_s, seen_s, weights, rng, on_progress=_part(on_progress, 0.5 + member * share, share))
        for member in range(MEMBERS)
    ]
    return Committee(tuple(networks))


def _part(on_progress: Callable[[float], None], begin: float, length: float) -> Callable[[float], None]:
    return lambda share: on_progress(begin + length * share)


def _rows(
    past: Visits,
    moments: Ints,
    until: float,
    rng: np.random.Generator,
    on_progress: Callable[[float], None],
) -> tuple[Matrix, Floats, Floats, Matrix]:
    habits = Habits()
    reader, logins = Reader(past, habits), past.logins()
    matrices: list[Matrix] = [np.zeros((0, COUNT), np.float32)]
    waits, seen, weights = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for number, moment in enumerate(moments.tolist()):
        reader.read_before(moment)
        here = np.flatnonzero(moment - habits.rows["came"].astype(np.float64) < ABSENT_DAYS * DAY_S)
        if len(here) > VIEWERS_A_MOMENT:
            here = np.sort(rng.choice(here, VIEWERS_A_MOMENT, replace=False))
        wait = logins.until_next(here, moment)
        lately = moment - habits.rows["came"][here].astype(np.float64) < _LATELY_S
        share = np.where(wait < LOOK_S, 1.0, np.where(lately, _KEEP_LATELY, _KEEP))
        kept = rng.random(len(here)) < share
        if kept.any():
            matrices.append(features(habits, here[kept], moment))
            waits.append(wait[kept])
            seen.append(np.full(int(kept.sum()), until - moment))
            weights.append(1 / share[kept])
        if number % 500 == 0:
            on_progress(number / len(moments))
    counts = np.concatenate(weights).astype(np.float32)
    return np.concatenate(matrices), np.concatenate(waits), np.concatenate(seen), counts
