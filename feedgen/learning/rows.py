"""Rows to learn from: what was known of a post when a viewer came, and what the viewer did with it. Parquet parts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.models.actions import ACTIONS

IN_FAVOUR: Final = ("like", "comment", "share", "save", "click")
"""What counts as an engagement with a post: what is done in its favour, beyond looking at it."""


@dataclass(frozen=True)
class Rows:
    """Parallel columns; rows of one login stand together, logins by time.

    `inputs`: float32, (rows, ranking.inputs.INPUTS), NaN where not known. `done`: bool, (rows, ACTIONS), within the
    horizon after the login. `rate`: the chance the row had to be kept, 1 for every row in which something was done: it
    stands for 1 / rate rows. `propensity`: of being shown in its place, less than 1 where it was drawn to explore.
    `picked`: whether stage two gets to see the post; the signals of other rows are NaN.
    """

    viewer: NDArray[np.str_]
    ts: NDArray[np.float64]
    post: NDArray[np.str_]
    author: NDArray[np.str_]
    topics: NDArray[np.object_]
    inputs: NDArray[np.float32]
    done: NDArray[np.bool_]
    rate: NDArray[np.float32]
    propensity: NDArray[np.float32]
    picked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def engaged(self) -> NDArray[np.bool_]:
        """Whether anything of IN_FAVOUR was done. O(rows)."""
        columns = [ACTIONS.index(action) for action in IN_FAVOUR]
        done: NDArray[np.bool_] = np.any(self.done[:, columns], axis=1)
        return done


def joined(parts: Sequence[Rows]) -> Rows:
    """One after the other, at least one; copies."""
    return Rows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rows)))


def write(rows: Rows, names: Sequence[str], path: Path) -> None:
    """Write a part, whole or not at all; `names` are those of the inputs. About 1 µs a row. Raises ModelError, OSError.

    The file is what models.examples reads.
    """
    arrow, parquet = _arrow()
    plain = ("viewer", "ts", "post", "author", "rate", "propensity", "picked")
    columns: dict[str, Any] = {name: getattr(rows, name) for name in plain}
    columns["topics"] = arrow.array(rows.topics.tolist(), arrow.list_(arrow.string()))
    columns |= {f"f_{name}": rows.inputs[:, at] for at, name in enumerate(names)}
    columns |= {f"y_{name}": rows.done[:, at] for at, name in enumerate(ACTIONS)}
    columns["y_engaged"] = rows.engaged
    beside = path.with_suffix(".writing")
    parquet.write_table(arrow.table(columns), beside, compression="zstd")
    beside.replace(path)


def need_parquet() -> None:
    """Raise ModelError now where pyarrow is missing, not after the work."""
    _arrow()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ModelError("training needs pyarrow; install the extra forefeed[learn]") from None
    return pyarrow, parquet
