"""Candidates of a batch of viewers and their features, viewer after viewer."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns, Rules, Viewers
from feedgen.kernels.compiled import compiled
from feedgen.kernels.features import fill, mark_beyond_rate
from feedgen.kernels.filters import keep
from feedgen.kernels.marks import Marks, Past, clean, favoured, list_of, mark_grown, mark_near, times_of, viewed
from feedgen.kernels.network import network_of
from feedgen.kernels.sources import gather
from feedgen.kernels.taste import taste


class Selected(NamedTuple):
    """Candidates that may be shown, those of viewer v from `bounds[v]` to `bounds[v + 1]`. `rows`: see features.fill.

    By viewer: posts `named` by each source, and `removed` by each filter.
    """

    bounds: NDArray[np.int64]
    posts: NDArray[np.int32]
    origin: NDArray[np.uint8]
    damped: NDArray[np.bool_]
    rows: NDArray[np.float64]
    named: NDArray[np.int64]
    removed: NDArray[np.int64]
    gathered: NDArray[np.int64]


@compiled
def _select_one(columns: Columns, marks: Marks, rules: Rules, viewers: Viewers, row: int, into: Selected) -> None:
    viewer, login = viewers.who[row], viewers.last_login[row]
    mark_near(columns, marks, viewer, 1)
    posts, day = viewed(columns, marks, rules, viewer)
    past = Past(posts, day, favoured(columns, marks, viewer))
    mark_grown(columns, marks, rules, viewer, past)
    network = network_of(columns, rules, viewer)
    cares = taste(columns, marks, network, len(list_of(columns.people.followees, viewer)), past)
    since = times_of(columns, viewer)
    gathered = gather(columns, marks, rules, network, since, cares, login)
    into.named[row] = gathered.named
    into.gathered[row] = len(gathered.posts)
    kept = keep(columns, marks, rules, viewers, row, gathered.posts, into.removed[row])
    posts = gathered.posts[kept]
    first = into.bounds[row]
    end = first + len(posts)
    into.bounds[row + 1] = end
    into.posts[first:end] = posts
    into.origin[first:end] = gathered.origin[kept]
    mark_beyond_rate(columns, rules, posts, into.damped[first:end])
    fill(columns, marks, rules, viewer, network, past, cares, posts, into.rows[:, first:end])
    clean(columns, marks, viewer, past)


@compiled
def select(columns: Columns, marks: Marks, rules: Rules, viewers: Viewers, into: Selected) -> None:
    """Fill `into`, which has room for `fetch_cap` candidates a viewer. Leaves the marks clean."""
    into.bounds[0] = 0
    into.removed[:] = 0
    for row in range(len(viewers.who)):
        _select_one(columns, marks, rules, viewers, row, into)
