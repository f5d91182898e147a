"""Rows to learn from: what was known of a post when a viewer came, and what the viewer did with it. Parquet parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.ondisk import whole

ACTIONS: Final = ("like", "comment", "share", "save", "click", "dwell", "hide", "report")
"""What models predict, in the order of the columns of `done`."""
ENGAGED: Final = ("like", "comment", "share", "save", "click")
"""What counts as an engagement with a post: what is done in favour of it, beyond looking at it."""
_PART: Final = "part-*.parquet"


@dataclass(frozen=True)
class Rows:
    """Parallel columns; rows of one login stand together, logins by time.

    `inputs`: float32, (rows, names), NaN where not known. `done`: bool, (rows, ACTIONS), within the horizon after the
    login. `rate`: the chance the row had to be kept, 1 for every row in which something was done: what it stands for is
    1 / rate rows. `propensity`: of having been shown at all, where it was drawn to explore; 1 otherwise.
    `picked`: whether stage two gets to see the post; the signals of other rows are NaN.
    """

    names: tuple[str, ...]
    viewer: NDArray[np.str_]
    ts: NDArray[np.float64]
    post: NDArray[np.str_]
    author: NDArray[np.str_]
    inputs: NDArray[np.float32]
    done: NDArray[np.bool_]
    rate: NDArray[np.float32]
    propensity: NDArray[np.float32]
    picked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def engaged(self) -> NDArray[np.bool_]:
        """Whether anything of ENGAGED was done. O(rows)."""
        columns = [ACTIONS.index(action) for action in ENGAGED]
        done: NDArray[np.bool_] = np.any(self.done[:, columns], axis=1)
        return done

    @property
    def weight(self) -> NDArray[np.float64]:
        """How many rows each stands for: corrects for the sampling, and for what exploration shows too rarely."""
        return 1.0 / (self.rate.astype(np.float64) * self.propensity)

    def select(self, which: NDArray[Any]) -> "Rows":
        """Those under a mask or at these places; copies. O(n)."""
        parts = {field.name: getattr(self, field.name)[which] for field in fields(self) if field.name != "names"}
        return Rows(names=self.names, **parts)


def joined(parts: Sequence[Rows]) -> Rows:
    """One after the other; copies. Raises ModelError where there is none, or where their inputs differ."""
    if not parts:
        raise ModelError("there is nothing to learn from")
    if len({part.names for part in parts}) > 1:
        raise ModelError("these rows were made by versions with other inputs; make them anew")
    columns = [field.name for field in fields(Rows) if field.name != "names"]
    stacked = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return Rows(names=parts[0].names, **stacked)


def write(rows: Rows, path: Path) -> None:
    """Write a part, whole or not at all. About 1 µs a row. Raises ModelError without pyarrow, OSError."""
    arrow, parquet = _arrow()
    columns: dict[str, Any] = {"viewer": rows.viewer, "ts": rows.ts, "post": rows.post, "author": rows.author}
    columns |= {f"f_{name}": rows.inputs[:, at] for at, name in enumerate(rows.names)}
    columns |= {f"y_{name}": rows.done[:, at] for at, name in enumerate(ACTIONS)}
    columns |= {
        "y_engaged": rows.engaged,
        "rate": rows.rate,
        "propensity": rows.propensity,
        "picked": rows.picked,
    }
    with whole(path) as file:
        parquet.write_table(arrow.table(columns), file, compression="zstd")


def read(folder: Path, names: tuple[str, ...]) -> Rows:
    """All parts in the folder, by name. Holds them all: some 4 bytes an input and row, and 100 a row.

    `names`: the inputs of this version. Raises ModelError for none, for other inputs, and without pyarrow.
    """
    return joined(list(parts(folder, names)))


def parts(folder: Path, names: tuple[str, ...]) -> Iterator[Rows]:
    """The parts in the folder, by name, one at a time. Raises ModelError."""
    arrow, parquet = _arrow()
    for path in sorted(folder.glob(_PART)):
        try:
            table = parquet.read_table(path)
        except (OSError, arrow.ArrowInvalid) as error:
            raise ModelError(f"{path}: cannot be read: {error}") from None
        found = tuple(name.removeprefix("f_") for name in table.column_names if name.startswith("f_"))
        if found != names:
            raise ModelError(f"{path}: was made by a version with other inputs; make it anew")

        def column(name: str, kind: type[Any], table: Any = table) -> NDArray[Any]:
            return np.asarray(table.column(name).to_numpy()).astype(kind)

        yield Rows(
            names=names,
            viewer=column("viewer", np.str_),
            ts=column("ts", np.float64),
            post=column("post", np.str_),
            author=column("author", np.str_),
            inputs=np.column_stack([column(f"f_{name}", np.float32) for name in names]),
            done=np.column_stack([column(f"y_{name}", np.bool_) for name in ACTIONS]),
            rate=column("rate", np.float32),
            propensity=column("propensity", np.float32),
            picked=column("picked", np.bool_),
        )


def need_parquet() -> None:
    """Raise ModelError now where pyarrow is missing, not after the work."""
    _arrow()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ModelError("training needs pyarrow: pip install 'forefeed[parquet]'") from None
    return pyarrow, parquet
