"""Of a batch of viewers, one after the other: candidates, filters, features, scores, and the best of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.features import ROWS, fill, mark_beyond_rate
from feedgen.kernels.filters import keep
from feedgen.kernels.marks import Marks, clean, mark_grown, mark_near, past_of
from feedgen.kernels.network import network_of, written_by
from feedgen.kernels.scoring import Picked, Scoring, pick
from feedgen.kernels.sources import gather
from feedgen.kernels.taste import taste
from feedgen.kernels.watch import OF_FILTERS, OF_HEADS, OF_MARKS, OF_NETWORK, OF_SOURCES, OF_TASTE, begin, lap, timed


class Tally(NamedTuple):
    """Of a batch: posts `named` by each source, `removed` by each filter; `whole`: those gathered, and those damped;
    `took`: see watch.begin."""

    named: NDArray[np.int64]
    removed: NDArray[np.int64]
    whole: NDArray[np.int64]
    took: NDArray[np.int64]


@inner
def select_one(
    columns: Columns,
    marks: Marks,
    rules: Rules,
    viewers: Viewers,
    scoring: Scoring,
    row: int,
    into: Picked,
    place: int,
    tally: Tally,
) -> None:
    """The viewer of one row of `viewers`, into a place of `into`."""
    viewer, login, took, watched = viewers.who[row], viewers.last_login[row], tally.took, timed(row, len(viewers.who))
    begin(took, watched)
    mark_near(columns, marks, viewer)
    past = past_of(columns, rules, viewer)
    mark_grown(columns, marks, rules, viewer, past)
    lap(took, watched, OF_MARKS)
    network = network_of(columns, rules, viewer)
    owners, written = columns.cards.users[viewer].followees, written_by(columns, rules, viewer)
    lap(took, watched, OF_NETWORK)
    cares = taste(columns, marks, network, written, owners, past)
    lap(took, watched, OF_TASTE)
    gathered = gather(columns, marks, past, rules, network, viewer, cares, login)
    tally.named[:] += gathered.named
    tally.whole[0] += len(gathered.posts)
    lap(took, watched, OF_SOURCES)
    kept = keep(columns, marks, past, rules, viewers, row, gathered.posts, tally.removed)
    posts, origin = gathered.posts[kept], gathered.origin[kept]
    damped, rows = np.empty(len(posts), np.bool_), np.empty((ROWS, len(posts)))
    mark_beyond_rate(columns, rules, posts, damped)
    tally.whole[1] += damped.sum()
    lap(took, watched, OF_FILTERS)
    fill(columns, marks, rules, viewer, network, past, cares, posts, rows, took, watched)
    pick(columns.posts.names, scoring, posts, origin, damped, rows, into, place)
    clean(columns, marks, viewer)
    lap(took, watched, OF_HEADS)


@compiled
def select(
    columns: Columns, marks: Marks, rules: Rules, viewers: Viewers, scoring: Scoring, into: Picked, tally: Tally
) -> None:
    """Fill `into`, and add to the tally. Leaves the marks clean."""
    for row in range(len(viewers.who)):
        select_one(columns, marks, rules, viewers, scoring, row, into, row, tally)
