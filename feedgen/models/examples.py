"""What models are trained on: the rows that a replay of the log gives, in the order of time, ids as numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.models.actions import ACTIONS, ENGAGED
from feedgen.models.forests import Rows
from feedgen.models.logistic import Floats
from feedgen.models.stacking import TOPICS, Keys, hashed_ids, keys_of
from feedgen.ranking import dataset

HEADS: Final = (ENGAGED, *ACTIONS)
_CLIP: Final = 10.0
"""A row counts no more than so many times for having been unlikely: one draw must not outweigh a day."""
TopicsOf = Callable[[str], Sequence[str]]
"""The topics of a post, by id."""


@dataclass(frozen=True)
class Examples:
    """Parallel columns, by time (s). `counts`: how many rows each stands for, as dataset.Rows.weight, but bounded.

    `weights`: the same without what sampling left out. `picked`: what stage two gets to see; the signals of other rows
    are missing.
    """

    inputs: tuple[str, ...]
    rows: Rows
    happened: dict[str, NDArray[np.bool_]]
    ts: Floats
    counts: Floats
    weights: Floats
    picked: NDArray[np.bool_]
    viewers: Keys
    authors: Keys
    topics: tuple[Keys, ...]

    def __len__(self) -> int:
        return len(self.ts)

    def only(self, which: NDArray[np.bool_] | slice) -> "Examples":
        """Those under a mask (copies), or in a slice. O(rows)."""
        return Examples(
            self.inputs,
            self.rows[which],
            {head: flags[which] for head, flags in self.happened.items()},
            self.ts[which],
            self.counts[which],
            self.weights[which],
            self.picked[which],
            self.viewers[which],
            self.authors[which],
            tuple(column[which] for column in self.topics),
        )

    def hashed(self) -> NDArray[np.uint32]:
        """Buckets of the ids of each row. O(rows)."""
        return hashed_ids(self.viewers, self.authors, self.topics)


def examples_of(rows: dataset.Rows, topics_of: TopicsOf = lambda post: ()) -> Examples:
    """From the rows of a dataset. O(rows log rows); copies. Raises ModelError when there are none."""
    if not len(rows):
        raise ModelError("there is nothing to learn from")
    order = np.argsort(rows.ts, kind="stable")
    happened = {action: rows.done[order, dataset.ACTIONS.index(action)] for action in ACTIONS}
    rate = np.maximum(rows.rate[order].astype(np.float64), 1e-6)
    propensity = np.maximum(rows.propensity[order].astype(np.float64), 1.0 / _CLIP)
    posts, place = np.unique(rows.post[order], return_inverse=True)
    topics = [topics_of(post) for post in posts.tolist()]
    columns = [[each[number] if len(each) > number else "" for each in topics] for number in range(TOPICS)]
    return Examples(
        rows.names,
        np.ascontiguousarray(rows.inputs[order], np.float32),
        {ENGAGED: rows.engaged[order], **happened},
        rows.ts[order],
        1.0 / (rate * propensity),
        1.0 / propensity,
        rows.picked[order],
        keys_of(rows.viewer[order].tolist()),
        keys_of(rows.author[order].tolist()),
        tuple(keys_of(column)[place] for column in columns),
    )
