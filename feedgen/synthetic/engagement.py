"""What viewers do with what they are shown: engagements drawn with their true probability, and what follows."""

from typing import Final

import numpy as np
from msgspec import Struct

from feedgen.synthetic.follows import Follows
from feedgen.synthetic.ragged import Bools, Floats, Ints, found_in, starts_of
from feedgen.synthetic.sessions import Sessions, Slots
from feedgen.synthetic.spec import SESSION_MAX_S
from feedgen.synthetic.truth import KINDS, Truth

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


class Outcome(Struct, frozen=True):
    """What came of the sessions. One row per seen post; `did` has a row for each type of event that came of it."""

    slots: Slots
    did: dict[str, Bools]
    at: Ints
    """When the post came into sight, s since the epoch."""
    dwell_s: Ints
    """Seconds a dwell took; 0 where there was none."""
    ended: Ints
    """Logout per session, s since the epoch."""

    def moment(self, kind: str) -> Ints:
        """When `kind` was done, for the rows where it was."""
        rows = self.did[kind]
        if kind == "dwell":
            return self.at[rows] + self.dwell_s[rows]
        return self.at[rows] + _AFTER_S.get(kind, 7)


def engage(truth: Truth, follows: Follows, sessions: Sessions, slots: Slots, rng: np.random.Generator) -> Outcome:
    """Draw what each viewer does with each shown post; what unfollowing, muting and blocking rule out is not shown.

    The draws of different rows are independent, so leaving rows out because of earlier rows does not bias the rest.
    """
    did = _draw(truth, follows, slots, rng)
    seconds = np.clip(np.rint(rng.lognormal(2.7, 0.6, len(slots.post))), *_DWELL_S).astype(np.int64)
    dwell_s: Ints = np.where(did["dwell"], seconds, 0)
    at, ended = _pace(sessions, slots, dwell_s)
    keep = _still_shown(truth, slots, at, did)
    return Outcome(
        slots=slots.rows(keep),
        did={kind: rows[keep] for kind, rows in did.items()},
        at=at[keep],
        dwell_s=dwell_s[keep],
        ended=ended,
    )


def _draw(truth: Truth, follows: Follows, slots: Slots, rng: np.random.Generator) -> dict[str, Bools]:
    n = len(slots.post)
    drawn = np.zeros((len(KINDS), n), np.bool_)
    for low in range(0, n, _BATCH):  # bounds the features' memory
        rows = slice(low, low + _BATCH)
        features: Floats = truth.features(slots.viewer[rows], slots.post[rows], slots.ts[rows].astype(np.float64))
        for kind in range(len(KINDS)):
            drawn[kind, rows] = rng.random(features.shape[1]) < truth.chances(kind, features)
    did: dict[str, Bools] = dict(zip(KINDS, drawn, strict=True))
    chance = rng.random(n)
    ever, row = found_in(truth.follow_keys, slots.viewer * len(truth.eagerness) + truth.author[slots.post])
    followed = np.zeros_like(ever)
    followed[ever] = follows.ts[row[ever]] <= slots.ts[ever]
    did["unlike"] = did["like"] & (chance < _UNLIKE)
    did["block"] = did["report"] & (chance < _BLOCK)
    did["unfollow"] = did["hide"] & ~did["block"] & followed & (chance < _UNFOLLOW)
    did["mute"] = did["hide"] & ~did["block"] & (chance > 1 - _MUTE)
    return did


def _pace(sessions: Sessions, slots: Slots, dwell_s: Ints) -> tuple[Ints, Ints]:
    """When each slot comes into sight, and when each session ends. No session outlasts SESSION_MAX_S."""
    bounds = starts_of(slots.session, len(sessions.start))
    spent = np.concatenate([np.zeros(1, np.int64), np.cumsum(_PER_POST_S + dwell_s)])
    since = spent[:-1] - spent[bounds[slots.session]]
    length = spent[bounds[1:]] - spent[bounds[:-1]]
    at = slots.ts + 1 + np.minimum(since, SESSION_MAX_S - 200)
    return at, sessions.start + 10 + np.minimum(length, SESSION_MAX_S - 100)


def _still_shown(truth: Truth, slots: Slots, at: Ints, did: dict[str, Bools]) -> Bools:
    """Whether each slot is still shown after what the two people did before.

    After the first unfollow, mute or block the viewer is shown nothing more by that author; a block also ends it the
    other way, from the sessions in progress on.
    """
    n = len(truth.eagerness)
    author = truth.author[slots.post]
    pair = slots.viewer * n + author
    ends = np.flatnonzero(did["unfollow"] | did["mute"] | did["block"])
    cut_pair, first = np.unique(pair[ends], return_index=True)
    keep = _until(pair, np.arange(len(pair)), cut_pair, ends[first])
    blocks = np.flatnonzero(did["block"] & keep)
    reverse = author[blocks] * n + slots.viewer[blocks]
    order = np.argsort(reverse, kind="stable")
    return keep & _until(pair, slots.ts, reverse[order], (at[blocks] - SESSION_MAX_S)[order])


def _until(pair: Ints, moment: Ints, cut_pair: Ints, last: Ints) -> Bools:
    """For each row whether its `moment` is at most its pair's `last` one; `cut_pair` is sorted and distinct."""
    cut, row = found_in(cut_pair, pair)
    keep: Bools = ~cut
    keep[cut] = moment[cut] <= last[row[cut]]
    return keep
