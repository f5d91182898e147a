"""What viewers do with what they are shown: engagements drawn with their true probability, and what follows."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from feedgen.synthetic.follows import Follows
from feedgen.synthetic.ragged import Bools, Floats, Ints, chunks, found_in, side_by_side
from feedgen.synthetic.sessions import Shown, Slots
from feedgen.synthetic.spec import SESSION_MAX_S
from feedgen.synthetic.truth import KINDS, Truth

DEEDS: Final = (*KINDS, "unlike", "block", "unfollow", "mute")
"""Types of events that come of a seen post; the bit of each in `Outcome.did`."""
_BATCH: Final = 1 << 18
_PER_POST_S: Final = 8
_AFTER_S: Final = {
    "click": 1,
    "hide": 2,
    "like": 3,
    "report": 3,
    "save": 4,
    "not_interested": 4,
    "comment": 5,
    "share": 6,
}
"""Seconds after a post comes into sight; what follows from one of these comes after 7."""
_DWELL_S: Final = (5, 60)
_UNLIKE, _UNFOLLOW, _MUTE, _BLOCK = 0.012, 0.15, 0.06, 0.2
"""Chance of an unlike after a like, of an unfollow or a mute after a hide, of a block after a report."""
_ENDING: Final = sum(1 << DEEDS.index(kind) for kind in ("block", "unfollow", "mute"))


class Outcome(Struct, frozen=True):
    """What came of the sessions. One row per seen post, 13 bytes each."""

    shown: Shown
    did: NDArray[np.uint16]
    """Of DEEDS, a bit each."""
    wait_s: NDArray[np.uint16]
    """Seconds from the slate's being shown until the post came into sight."""
    dwell_s: NDArray[np.uint8]
    """Seconds a dwell took; 0 where there was none."""
    ended: Ints
    """Logout per session, s since the epoch."""

    def rows(self, kind: str) -> Ints:
        """Positions of the rows where `kind` was done. O(rows)."""
        return np.flatnonzero(self.did & np.uint16(1 << DEEDS.index(kind))).astype(np.int64)

    def moment(self, kind: str, rows: Ints) -> Ints:
        """When `kind` was done at each of its `rows`, s since the epoch."""
        sight: Ints = self.shown.slots(rows).ts + self.wait_s[rows]
        return sight + (self.dwell_s[rows] if kind == "dwell" else _AFTER_S.get(kind, 7))


def engage(truth: Truth, follows: Follows, shown: Shown, rng: np.random.Generator) -> Outcome:
    """Draw what each viewer does with each shown post; what unfollowing, muting and blocking rule out is not shown.

    The draws of different rows are independent, so leaving rows out because of earlier rows does not bias the rest.
    """
    did, dwell_s = _draw(truth, follows, shown, rng)
    wait_s, ended = _pace(shown, dwell_s)
    keep = _still_shown(truth, shown, wait_s, did)
    return Outcome(shown=shown.rows(keep), did=did[keep], wait_s=wait_s[keep], dwell_s=dwell_s[keep], ended=ended)


def _draw(
    truth: Truth, follows: Follows, shown: Shown, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """What was done, and how long each dwell took, some rows at a time: that bounds the features' memory."""
    n = len(shown)
    did, dwell_s = np.zeros(n, np.uint16), np.zeros(n, np.uint8)
    (for_kinds,) = side_by_side(rng, 1, len(KINDS) * n)
    (for_chance,) = side_by_side(rng, 1, n)
    for low in range(0, n, _BATCH):
        rows = slice(low, low + _BATCH)
        slots = shown.slots(rows)
        features: Floats = truth.features(slots.viewer, slots.post, slots.ts.astype(np.float64))
        count = features.shape[1]
        drawn = {
            kind: for_kinds.random(count) < truth.chances(number, features) for number, kind in enumerate(KINDS)
        }  # fmt: skip
        drawn |= _following(truth, follows, slots, drawn, for_chance.random(len(slots.post)))
        for number, kind in enumerate(DEEDS):
            did[rows] |= drawn[kind].astype(np.uint16) << np.uint16(number)
        seconds = np.clip(np.rint(rng.lognormal(2.7, 0.6, count)), *_DWELL_S)
        dwell_s[rows] = np.where(drawn["dwell"], seconds, 0)
    return did, dwell_s


def _following(
    truth: Truth, follows: Follows, slots: Slots, drawn: dict[str, Bools], chance: Floats
) -> dict[str, Bools]:
    """What follows from what was done."""
    ever, row = found_in(truth.follow_keys, slots.viewer * len(truth.eagerness) + truth.author[slots.post])
    followed = np.zeros_like(ever)
    followed[ever] = follows.ts[row[ever]] <= slots.ts[ever]
    block = drawn["report"] & (chance < _BLOCK)
    return {
        "unlike": drawn["like"] & (chance < _UNLIKE),
        "block": block,
        "unfollow": drawn["hide"] & ~block & followed & (chance < _UNFOLLOW),
        "mute": drawn["hide"] & ~block & (chance > 1 - _MUTE),
    }


def _pace(shown: Shown, dwell_s: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], Ints]:
    """How long after its slate each slot comes into sight, and when each session ends; none outlasts SESSION_MAX_S."""
    wait_s = np.empty(len(shown), np.uint16)
    length = np.zeros(len(shown.sessions.start), np.int64)
    for first in chunks(len(length)):
        bounds = shown.bounds(first)
        rows = slice(int(bounds[0]), int(bounds[-1]))
        spent = np.concatenate([np.zeros(1, np.int64), np.cumsum(_PER_POST_S + dwell_s[rows].astype(np.int64))])
        at = bounds - bounds[0]
        since = spent[:-1] - np.repeat(spent[at[:-1]], np.diff(at))
        wait_s[rows] = 1 + np.minimum(since, SESSION_MAX_S - 200)
        length[first] = spent[at[1:]] - spent[at[:-1]]
    return wait_s, shown.sessions.start + 10 + np.minimum(length, SESSION_MAX_S - 100)


def _still_shown(truth: Truth, shown: Shown, wait_s: NDArray[np.uint16], did: NDArray[np.uint16]) -> Bools:
    """Whether each slot is still shown after what the two people did before.

    After the first unfollow, mute or block the viewer is shown nothing more by that author; a block also ends it the
    other way, from the sessions in progress on.
    """
    keep = np.ones(len(shown), np.bool_)
    ends = np.flatnonzero(did & np.uint16(_ENDING))
    cut_pair, first = np.unique(_pair(truth, shown.slots(ends)), return_index=True)
    for rows, slots in _parts(shown):
        keep[rows] = _until(_pair(truth, slots), np.arange(rows.start, rows.stop), cut_pair, ends[first])
    blocks = np.flatnonzero((did & np.uint16(1 << DEEDS.index("block"))).astype(np.bool_) & keep)
    slots = shown.slots(blocks)
    reverse = truth.author[slots.post] * len(truth.eagerness) + slots.viewer
    order = np.argsort(reverse, kind="stable")
    last = (slots.ts + wait_s[blocks] - SESSION_MAX_S)[order]
    for rows, part in _parts(shown):
        keep[rows] &= _until(_pair(truth, part), part.ts, reverse[order], last)
    return keep


def _parts(shown: Shown) -> Iterator[tuple[slice, Slots]]:
    for rows in chunks(len(shown)):
        yield rows, shown.slots(rows)


def _pair(truth: Truth, slots: Slots) -> Ints:
    return slots.viewer * len(truth.eagerness) + truth.author[slots.post]


def _until(pair: Ints, moment: Ints, cut_pair: Ints, last: Ints) -> Bools:
    """For each row whether its `moment` is at most its pair's `last` one; `cut_pair` is sorted and distinct."""
    cut, row = found_in(cut_pair, pair)
    keep: Bools = ~cut
    keep[cut] = moment[cut] <= last[row[cut]]
    return keep
