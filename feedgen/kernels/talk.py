"""What is done with posts, as features: engagement and momentum, which all viewers of an epoch share, and network."""

from typing import Final

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Decays
from feedgen.kernels.compiled import inner
from feedgen.kernels.exact import signed_ln1p
from feedgen.kernels.marks import NEAR, near_bits
from feedgen.kernels.ragged import flat
from feedgen.kernels.rows import engagements_with
from feedgen.state.engagement import AGAINST, BACK, HOUR_MASK, KIND_MASK, POST_SHIFT, UNIT, WINDOWS

_DAY_HOURS: Final = WINDOWS["1d"]
_WEEK_HOURS: Final = WINDOWS["7d"]


@inner
def _late(weight: float, age: int) -> int:
    """What an engagement counts whose age is past the end of Decays.fading."""
    return np.int64(np.rint(weight * (1.0 / (age + 1.0)) * UNIT))


@inner
def _add_units(
    decays: Decays, values: NDArray[np.int64], place: NDArray[np.uint32], without: int, into: NDArray[np.int64]
) -> None:
    """Add what each engagement counts when it fades by age, at its `place`; those of one user are left out."""
    hour, weights, fading = decays.hour, decays.weights, decays.fading
    for at in range(len(values)):
        value = values[at]
        if value >> POST_SHIFT != without:
            kind, age = value >> 1 & KIND_MASK, max(hour - (value >> 5 & HOUR_MASK), 0)
            units = fading[kind, age] if age < fading.shape[1] else _late(weights[kind], age)
            into[uint64(place[at])] += (1 - 2 * (value & BACK)) * units


@inner
def _reckon(columns: Columns, post: int, talk: NDArray[np.float64]) -> None:
    """Sums in UNITs, so in any order; of the week a seventh."""
    decays, values, everyone, day, week = columns.decays, engagements_with(columns, post), np.zeros(1, np.int64), 0, 0
    _add_units(decays, values, np.zeros(len(values), np.uint32), -1, everyone)
    for value in values:
        kind, hour = value >> 1 & KIND_MASK, value >> 5 & HOUR_MASK
        if kind < AGAINST and hour >= decays.hour - _WEEK_HOURS:
            whole = (1 - 2 * (value & BACK)) * decays.fading[kind, 0]
            week += whole
            day += whole if hour >= decays.hour - _DAY_HOURS else 0
    talk[0] = signed_ln1p(everyone[0] / UNIT)
    talk[1] = signed_ln1p(day / UNIT) - signed_ln1p(week * (1 / 7) / UNIT)


@inner
def talk_rows(
    columns: Columns, posts: NDArray[np.int32], engagement: NDArray[np.float64], momentum: NDArray[np.float64]
) -> None:
    """From Epoch.talk; what is not there yet is put there. Two threads may reckon the same, and find the same."""
    talk = columns.posts.talk
    for at in range(len(posts)):
        engagement[at], momentum[at] = talk[posts[at], 0], talk[posts[at], 1]
    for at in range(len(posts)):
        if np.isnan(engagement[at]) or np.isnan(momentum[at]):
            _reckon(columns, posts[at], talk[posts[at]])
            engagement[at], momentum[at] = talk[posts[at], 0], talk[posts[at], 1]


@inner
def network_row(
    columns: Columns, near: NDArray[np.uint8], viewer: int, posts: NDArray[np.int32], row: NDArray[np.float64]
) -> None:
    """As engagement, of those whom the viewer follows. All engagements are gone through together, without a branch."""
    cards, starts, counts = columns.cards.posts, np.empty(len(posts), np.int64), np.empty(len(posts), np.int32)
    for at in range(len(posts)):
        card = cards[posts[at]]
        starts[at], counts[at] = card.engaged_at, card.engagements
    values, place = flat(starts, counts, columns.engagements)
    count = 0
    for at in range(len(values)):
        value = values[at]
        values[count], place[count] = value, place[at]
        count += near_bits(near, value >> POST_SHIFT) & NEAR
    units = np.zeros(len(posts), np.int64)
    _add_units(columns.decays, values[:count], place, viewer, units)
    for at in range(len(posts)):
        row[at] = signed_ln1p(units[at] / UNIT)
