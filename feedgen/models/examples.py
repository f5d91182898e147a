"""What models are trained on: Parquet parts in a folder, read into arrays in the order of time.

Columns: `viewer`, `post` (str), `ts` (s); `f_<input>` (float32) for each input; `y_<action>` and `y_engaged` (bool);
`rate`: the share of such rows that was kept; `propensity`: with which chance the post stood where it did. Where they
are there, `author` (str) and `topics` (list of str) name what the stacked model knows posts by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.models.actions import ACTIONS, ENGAGED
from feedgen.models.forests import Rows
from feedgen.models.logistic import Floats
from feedgen.models.stacking import hashed_ids, key_of

HEADS: Final = (ENGAGED, *ACTIONS)
TOPICS: Final = 3
"""Topics of a post that count for the stacked model: the first ones."""
_CLIP: Final = 10.0
"""A row counts no more than so many times for having been unlikely: one draw must not outweigh a day."""
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Examples:
    """Rows by time. `counts`: what each counts, 1 / rate × 1 / propensity, so that sums are those of all there were."""

    inputs: tuple[str, ...]
    rows: Rows
    happened: dict[str, NDArray[np.bool_]]
    ts: Floats
    counts: Floats
    viewers: Keys
    authors: Keys
    topics: tuple[Keys, ...]

    def __len__(self) -> int:
        return len(self.ts)

    def since(self, ts: float) -> "Examples":
        """Those at or after a moment (s). O(1)."""
        rows = slice(int(np.searchsorted(self.ts, ts)), None)
        return Examples(
            self.inputs,
            self.rows[rows],
            {head: flags[rows] for head, flags in self.happened.items()},
            self.ts[rows],
            self.counts[rows],
            self.viewers[rows],
            self.authors[rows],
            tuple(column[rows] for column in self.topics),
        )

    def hashed(self) -> NDArray[np.uint32]:
        """Buckets of the ids of each row. O(rows)."""
        return hashed_ids(self.viewers, self.authors, self.topics)


def read_examples(folder: Path, rows_max: int) -> Examples:
    """The latest `rows_max` rows of all parts. Memory: 4 bytes an input and row.

    Raises ModelError when there are none, or parts are broken or of different inputs.
    """
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        raise ModelError(f"{folder}: no training data (*.parquet)")
    read: list[Examples] = []
    left = rows_max
    for part in reversed(parts):  # the latest first, until there are enough
        if left <= 0:
            break
        read.append(_read(part))
        left -= len(read[-1])
    return _joined(list(reversed(read)), rows_max)


def _read(path: Path) -> Examples:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ModelError("reading training data needs pyarrow; install the extra forefeed[learn]") from None
    try:
        table = parquet.ParquetFile(path).read()
        names = [name for name in table.column_names if name.startswith("f_")]
        rows = np.column_stack([np.asarray(table[name], np.float32) for name in names])
        counts = 1.0 / np.maximum(np.asarray(table["rate"], np.float64), 1e-6)
        counts *= np.minimum(1.0 / np.maximum(np.asarray(table["propensity"], np.float64), 1e-6), _CLIP)
        happened = {head: np.asarray(table[f"y_{head}"], np.bool_) for head in HEADS}
        topics = _topics(table["topics"].to_pylist() if "topics" in table.column_names else [()] * len(rows))
        authors = _keys(table["author"].to_pylist() if "author" in table.column_names else [""] * len(rows))
        return Examples(
            tuple(name.removeprefix("f_") for name in names),
            rows,
            happened,
            np.asarray(table["ts"], np.float64),
            counts,
            _keys(table["viewer"].to_pylist()),
            authors,
            topics,
        )
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: no part of training data: {error}") from None


def _keys(names: Sequence[str]) -> Keys:
    """Keys of ids; 0 for an empty one."""
    known: dict[str, int] = {"": 0}
    for name in names:
        if name not in known:
            known[name] = key_of(name)
    return np.array([known[name] for name in names], np.uint64)


def _topics(topics: Sequence[Sequence[str]]) -> tuple[Keys, ...]:
    return tuple(_keys([each[place] if len(each) > place else "" for each in topics]) for place in range(TOPICS))


def _joined(read: Sequence[Examples], rows_max: int) -> Examples:
    inputs = read[0].inputs
    if any(part.inputs != inputs for part in read):
        raise ModelError("the parts of the training data have different inputs; make them anew")
    ts = np.concatenate([part.ts for part in read])
    order = np.argsort(ts, kind="stable")[-rows_max:]

    def column(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(parts)[order]

    return Examples(
        inputs,
        column([part.rows for part in read]),
        {head: column([part.happened[head] for part in read]) for head in HEADS},
        ts[order],
        column([part.counts for part in read]),
        column([part.viewers for part in read]),
        column([part.authors for part in read]),
        tuple(column([part.topics[place] for part in read]) for place in range(TOPICS)),
    )
