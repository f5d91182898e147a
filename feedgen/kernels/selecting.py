"""Of a batch of viewers, one after the other: candidates, filters, features, scores, and the best of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import compiled, inner
from feedgen.kernels.features import ROWS, fill, mark_beyond_rate
from feedgen.kernels.filters import keep
from feedgen.kernels.marks import Marks, Past, clean, favoured, mark_grown, mark_near, viewed
from feedgen.kernels.network import network_of, written_by
from feedgen.kernels.scoring import Picked, Scoring, pick
from feedgen.kernels.sources import gather
from feedgen.kernels.taste import taste
from feedgen.lending import lent


class Tally(NamedTuple):
    """Of a batch: posts `named` by each source, `removed` by each filter; `whole`: those gathered, and those damped."""

    named: NDArray[np.int64]
    removed: NDArray[np.int64]
    whole: NDArray[np.int64]


@inner
def _select_one(
    columns: Columns,
    marks: Marks,
    rules: Rules,
    viewers: Viewers,
    scoring: Scoring,
    row: int,
    into: Picked,
    tally: Tally,
) -> None:
    viewer, login = viewers.who[row], viewers.last_login[row]
    mark_near(columns, marks, viewer)
    posts, day = viewed(columns, marks, rules, viewer)
    past = Past(posts, day, favoured(columns, marks, viewer))
    mark_grown(columns, marks, rules, viewer, past)
    network = network_of(columns, rules, viewer)
    owners, written = columns.cards.users[viewer].followees, written_by(columns, rules, viewer)
    cares = taste(columns, marks, network, written, owners, past)
    gathered = gather(columns, marks, rules, network, viewer, cares, login)
    tally.named[:] += gathered.named
    tally.whole[0] += len(gathered.posts)
    kept = keep(columns, marks, rules, viewers, row, gathered.posts, tally.removed)
    posts, origin = gathered.posts[kept], gathered.origin[kept]
    damped, rows = np.empty(len(posts), np.bool_), np.empty((ROWS, len(posts)))
    mark_beyond_rate(columns, rules, posts, damped)
    tally.whole[1] += damped.sum()
    fill(columns, marks, rules, viewer, network, past, cares, posts, rows)
    pick(columns.posts.names, scoring, posts, origin, damped, rows, row, into)
    clean(columns, marks, viewer, past)


@compiled
def select(
    columns: Columns, marks: Marks, rules: Rules, viewers: Viewers, scoring: Scoring, into: Picked, tally: Tally
) -> None:
    """Fill `into`, and add to the tally. Leaves the marks clean."""
    columns, marks, viewers, scoring = lent(columns), lent(marks), lent(viewers), lent(scoring)
    into, tally = lent(into), lent(tally)
    for row in range(len(viewers.who)):
        _select_one(columns, marks, rules, viewers, scoring, row, into, tally)
