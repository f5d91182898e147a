"""What is done with posts, as features: engagement and momentum, which all viewers of an epoch share, and network."""

from typing import Final

import numpy as np
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
def _units(decays: Decays, value: int) -> int:
    """What one engagement counts when it fades by age; less than nothing where it is taken back."""
    kind, age = value >> 1 & KIND_MASK, max(decays.hour - (value >> 5 & HOUR_MASK), 0)
    sign = 1 - 2 * (value & BACK)
    if age < decays.fading.shape[1]:
        return sign * decays.fading[kind, age]
    return sign * np.int64(np.rint(decays.weights[kind] * (1.0 / (age + 1.0)) * UNIT))


@inner
def _reckon(columns: Columns, post: int, talk: NDArray[np.float64]) -> None:
    """Sums in UNITs, so in any order; of the week a seventh."""
    decays, everyone, day, week = columns.decays, 0, 0, 0
    for value in engagements_with(columns, post):
        kind, hour = value >> 1 & KIND_MASK, value >> 5 & HOUR_MASK
        everyone += _units(decays, value)
        if kind < AGAINST and hour >= decays.hour - _WEEK_HOURS:
            whole = (1 - 2 * (value & BACK)) * decays.fading[kind, 0]
            week += whole
            day += whole if hour >= decays.hour - _DAY_HOURS else 0
    talk[0] = signed_ln1p(everyone / UNIT)
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
    for at in range(count):
        if values[at] >> POST_SHIFT != viewer:
            units[place[at]] += _units(columns.decays, values[at])
    for at in range(len(posts)):
        row[at] = signed_ln1p(units[at] / UNIT)
