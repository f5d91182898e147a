"""Gradient-boosted trees by LightGBM, one ensemble an action, made into arrays that serve without it."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.models.forests import Forests, Rows
from feedgen.models.logistic import Floats
from feedgen.ranking.exact import sigmoid

Flags = NDArray[np.bool_]
Dump = dict[str, Any]
_THREADS: Final = 1
"""Fixed, as sums depend on it. One: on two busy cores two threads took 8.7 s of CPU for what one does in 1.8."""


@dataclass(frozen=True)
class Growth:
    """How trees are grown. `trees`: at most; those after the least loss on the latest rows are left out."""

    trees: int = 200
    trees_an_action: int = 24
    leaves: int = 31
    rate: float = 0.08
    least_rows: int = 100
    columns: float = 0.25
    rows: float = 0.7
    ridge: float = 5.0
    patience: int = 20


def boosted(
    rows: Rows,
    happened: Flags,
    counts: Floats,
    start: Floats | None,
    held: Flags | None,
    growth: Growth,
    most: int,
    seed: int,
) -> Dump:
    """LightGBM's dump of the trees for one head, from tidy rows. O(trees × rows × inputs).

    `start`: log-odds by row that the trees only correct; without, they are grown from the mean.
    With `held` those rows are not learnt from, and the trees that make the loss on them worse are left out; without,
    `most` are grown. The same rows and seed give the same trees.

    Raises ModelError when LightGBM is not there, or cannot grow trees from this.
    """
    lightgbm = _lightgbm()
    params = _params(growth, seed)
    flags, kept = happened.astype(np.float32), {"params": params, "free_raw_data": False}
    data = lightgbm.Dataset(rows, flags, weight=counts, init_score=start, **kept)
    try:
        if held is None:
            return dict(lightgbm.train(params, data, most).dump_model())
        learnt, judged = (data.subset(np.flatnonzero(which)) for which in (~held, held))
        stop = lightgbm.early_stopping(growth.patience, verbose=False)
        grown = lightgbm.train(params, learnt, most, valid_sets=[judged], callbacks=[stop])
        return dict(grown.dump_model(num_iteration=max(1, grown.best_iteration)))
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(f"no trees could be grown: {error}") from None


def with_shared(rows: Rows, shared: Forests) -> Rows:
    """The rows with what the shared head's trees say as a further column, computed as it is when serving."""
    return np.column_stack((rows, sigmoid(shared.sums(rows)[:, 0]).astype(np.float32)))


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError:
        raise ModelError("training trees needs LightGBM; install the extra forefeed[learn]") from None
    return lightgbm


def _params(growth: Growth, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": growth.leaves,
        "learning_rate": growth.rate,
        "min_data_in_leaf": growth.least_rows,
        "feature_fraction": growth.columns,
        "bagging_fraction": growth.rows,
        "bagging_freq": 1,
        "lambda_l2": growth.ridge,
        "max_bin": 63,
        "use_missing": False,
        "num_threads": _THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }
