"""A model: what was learnt, on which inputs, from which days; a folder of two files."""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.forest import LEAVES, Trees, stack
from feedgen.models.actions import ENGAGED
from feedgen.models.forests import TYPES, Forests, Rows, tidy
from feedgen.models.logistic import Floats, sigmoid
from feedgen.models.stacking import Pace, Stacked
from feedgen.models.wide import levelled, logits_of

FORMAT: Final = 3
_META, _ARRAYS = "model.json", "arrays.npz"
NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
"""What versions are called: the moment up to which they have learnt (UTC), and a digest of the content."""


class Meta(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be known of a model besides its numbers. Times in s.

    `inputs`: name of each input, in order, and the fingerprint of its definition; the first `linear_inputs` of them are
    stage one's. `actions`: those the model foresees. `stand_ins`: of the actions that had too few positives, how often
    they happen for each engagement; the shared head stands in for them.
    """

    inputs: dict[str, str]
    linear_inputs: int
    actions: tuple[str, ...]
    stand_ins: dict[str, float]
    since: float
    until: float
    rows: int
    seed: int
    metrics: dict[str, Any]
    format: int = FORMAT
    arrays: str = ""
    """Digest of the other file."""


@dataclass(frozen=True)
class Lines:
    """Log-odds = inputs · weights[head] + bias[head], the shared head first."""

    heads: tuple[str, ...]
    weights: Floats
    bias: Floats


@dataclass(frozen=True)
class Model:
    """`linear`, which is stage one, and `wide`, over all inputs as wide.levelled gives them, are always there; trees
    and what is stacked on them may not be.
    """

    meta: Meta
    linear: Lines
    wide: Lines
    trees: Forests | None = None
    stacked: Stacked | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together. Raises ModelError."""
        heads, inputs = len(self.linear.heads), self.meta.linear_inputs
        if self.linear.weights.shape != (heads, inputs) or self.linear.bias.shape != (heads,):
            raise ModelError("the linear heads do not belong together")
        if self.wide.weights.shape != (len(self.wide.heads), len(self.meta.inputs)):
            raise ModelError("the wide lines do not belong to the inputs")
        if self.trees is not None:
            self.trees.check(len(self.meta.inputs))
        rows = 0 if self.trees is None else len(self.trees.trees.leaf) * LEAVES
        if self.stacked is not None and (
            self.trees is None or len(self.stacked.z) <= rows or self.stacked.z.shape[1] != len(self.trees.heads)
        ):
            raise ModelError("the stacked weights do not belong to the trees")

    @property
    def name(self) -> str:
        """What this version is called; the same content has the same name."""
        until = np.datetime64(int(self.meta.until), "s").item()
        return f"{until:%Y%m%dT%H%M%S}-{hashlib.sha256(self._meta_bytes()).hexdigest()[:8]}"

    def logits_wide(self, rows: Rows) -> Floats:
        """Log-odds by row and head of the wide lines, from the inputs as they are made."""
        return logits_of(levelled(rows), self.wide.weights, self.wide.bias)

    def logits_by_trees(self, rows: Rows) -> Floats:
        """Log-odds by row and head of the trees, from the inputs as they are made. Raises ModelError without trees."""
        if self.trees is None:
            raise ModelError("this version has no trees")
        return self.trees.logits(tidy(rows))

    def logits_stacked(self, rows: Rows, hashed: NDArray[np.uint32], weights: NDArray[np.float32]) -> Floats:
        """The same with what the stack adds. `weights`: Stacked.weights(). Raises ModelError without a stack."""
        if self.trees is None or self.stacked is None:
            raise ModelError("this version has nothing stacked on trees")
        logits, leaves = self.trees.leaves(tidy(rows))
        stack(leaves, hashed, weights, logits)
        return logits

    def probabilities(self, heads: tuple[str, ...], logits: Floats) -> dict[str, Floats]:
        """By action, and of engagement at all, from log-odds by row and head."""
        odds = dict(zip(heads, sigmoid(logits).T, strict=True))
        shared = odds[ENGAGED]
        return odds | {action: np.minimum(shared * share, 1.0) for action, share in self.meta.stand_ins.items()}

    def worths(self, heads: tuple[str, ...], values: Mapping[str, float]) -> Floats:
        """What P of each head counts in the score: an action's value; the shared head's, those it stands in for."""
        shared = sum(values[action] * share for action, share in self.meta.stand_ins.items())
        return np.array([shared if head == ENGAGED else values[head] for head in heads])

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "linear.heads": np.array(self.linear.heads),
            "linear.weights": self.linear.weights,
            "linear.bias": self.linear.bias,
            "wide.heads": np.array(self.wide.heads),
            "wide.weights": self.wide.weights,
            "wide.bias": self.wide.bias,
        }
        if self.trees is not None:
            arrays["trees.heads"] = np.array(self.trees.heads)
            arrays["trees.start"], arrays["trees.line"] = self.trees.start, self.trees.line
            arrays |= {f"trees.{name}": array for name, array in self.trees.trees._asdict().items()}
        if self.stacked is not None:
            arrays |= stacked_arrays(self.stacked)
        return arrays

    def _arrays_bytes(self) -> bytes:
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, **self._arrays())
        return written.getvalue()

    def _meta_bytes(self) -> bytes:
        arrays = hashlib.sha256(self._arrays_bytes()).hexdigest()
        return msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(self.meta, arrays=arrays)))

    def files(self) -> dict[str, bytes]:
        """What a version's folder holds, by file name. O(size)."""
        return {_META: self._meta_bytes(), _ARRAYS: self._arrays_bytes()}


def read_meta(folder: Path) -> Meta:
    """Of a version's folder, without its numbers. Raises ModelError, one line."""
    try:
        raw = (folder / _META).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder.name}: {error.strerror or error}: {_META}") from None
    try:
        meta = msgspec.json.decode(raw, type=Meta)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{folder.name}: {_META} is broken: {error}") from None
    if meta.format != FORMAT:
        raise ModelError(f"{folder.name}: written in format {meta.format}; this version reads {FORMAT}")
    return meta


def read_model(folder: Path) -> Model:
    """The model of a version's folder. Raises ModelError, one line, when anything of it is missing or broken."""
    meta = read_meta(folder)
    try:
        raw = (folder / _ARRAYS).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder.name}: {error.strerror or error}: {_ARRAYS}") from None
    if hashlib.sha256(raw).hexdigest() != meta.arrays:
        raise ModelError(f"{folder.name}: {_ARRAYS} is not the one that was written (its digest differs)")
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return _model_of(meta, {name: arrays[name] for name in arrays.files})
    except (ValueError, KeyError, TypeError, OSError, ModelError) as error:
        raise ModelError(f"{folder.name}: {error}") from None


def _model_of(meta: Meta, arrays: Mapping[str, NDArray[Any]]) -> Model:
    linear, wide = (
        Lines(_heads(arrays[f"{name}.heads"]), arrays[f"{name}.weights"], arrays[f"{name}.bias"])
        for name in ("linear", "wide")
    )
    trees = None
    if "trees.heads" in arrays:
        parts = (arrays[f"trees.{name}"] for name in Trees._fields)
        typed = (np.ascontiguousarray(part, kind) for part, kind in zip(parts, TYPES, strict=True))
        trees = Forests(_heads(arrays["trees.heads"]), Trees(*typed), arrays["trees.start"], arrays["trees.line"])
    return Model(meta, linear, wide, trees, stacked_of(arrays) if "stacked.z" in arrays else None)


def _heads(array: NDArray[Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in array.tolist())


def stacked_arrays(stacked: Stacked) -> dict[str, NDArray[Any]]:
    """What is stacked, as arrays by name."""
    pace = stacked.pace
    return {
        "stacked.z": stacked.z,
        "stacked.n": stacked.n,
        "stacked.pace": np.array([pace.alpha, pace.beta, pace.l1, pace.l2]),
        "stacked.offset": np.array(stacked.offset, np.int64),
    }


def stacked_of(arrays: Mapping[str, NDArray[Any]]) -> Stacked:
    """The other way round. Raises ModelError, KeyError."""
    z, n = (np.ascontiguousarray(arrays[f"stacked.{name}"], np.float32) for name in ("z", "n"))
    return Stacked(z, n, Pace(*arrays["stacked.pace"].tolist()), int(arrays["stacked.offset"]))
