"""Feeds where one stage ranks: each is chosen, mixed and packed while what is read of its posts is near."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import compiled
from feedgen.kernels.marks import Marks
from feedgen.kernels.mixing import Mixing, mix_one, seeds
from feedgen.kernels.packing import Packed, Source, pack
from feedgen.kernels.scoring import Picked, Scoring
from feedgen.kernels.selecting import Tally, select_one
from feedgen.kernels.watch import OF_DIVERSITY, OF_PACKING, lap, timed


@compiled
def generate(
    columns: Columns,
    marks: Marks,
    rules: Rules,
    viewers: Viewers,
    scoring: Scoring,
    mixing: Mixing,
    lead: NDArray[np.uint64],
    picked: Picked,
    tally: Tally,
    arena: NDArray[np.uint8],
    into: Packed,
) -> NDArray[np.uint8]:
    """As selecting.select and then mixing.mix. `picked`: room for one viewer."""
    source, used = Source(columns.cards, columns.posts.names, columns.people.names), 0
    for row in range(len(viewers.who)):
        watched = timed(row, len(viewers.who))
        select_one(columns, marks, rules, viewers, scoring, row, picked, 0, tally)
        words = seeds(lead, source.people, viewers.who[row])
        feed = mix_one(source, mixing, picked, 0, words)
        lap(tally.took, watched, OF_DIVERSITY)
        arena, used = pack(source, feed, row, arena, used, into)
        lap(tally.took, watched, OF_PACKING)
    return arena
