"""A small neural network over the features: hazards of a login in the spans that follow one another. Plain numpy."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.login.features import LOOK_S, Matrix
from feedgen.state.habits import Floats

SPAN_ENDS_S: Final = np.array(
    [300.0, LOOK_S, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 57_600.0, 86_400.0, 172_800.0, 432_000.0, 1_209_600.0]
)
"""Head k tells the chance of a login before SPAN_ENDS_S[k], given there was none before the end of the span before."""
HIDDEN: Final = (64, 32)
_HEAD_WEIGHT: Final = np.array([1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.4, 0.2, 0.2, 0.1, 0.05], np.float32)
"""The spans that decide about a generation come first; the later ones are for eviction, and say yes far more often."""
_CLIP: Final = 5.0
_STEPS_LEAST: Final = 2_500
_EPOCHS_MOST: Final = 30
"""A small community's rows are gone through more often: in 20 steps nothing is learnt."""
_ROWS_AT_ONCE: Final = 16_384
"""What stays in the second-level cache."""


@dataclass(frozen=True)
class Network:
    """Weights float32; features are standardised by `mean` and `scale`."""

    weights: tuple[Matrix, ...]
    biases: tuple[NDArray[np.float32], ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    def hazards(self, features: Matrix) -> Matrix:
        """float32[viewers, spans], each in (0, 1). About 1 µs a viewer."""
        chunks = [self._hazards(features[at : at + _ROWS_AT_ONCE]) for at in range(0, len(features), _ROWS_AT_ONCE)]
        return np.concatenate(chunks) if chunks else np.zeros((0, len(SPAN_ENDS_S)), np.float32)

    def _hazards(self, features: Matrix) -> Matrix:
        values = np.clip((features - self.mean) * self.scale, -_CLIP, _CLIP)
        return _sigmoid(_layers(self.weights, self.biases, values)[-1])


def fit(
    features: Matrix,
    until_login_s: Floats,
    seen_s: Floats,
    weights: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    epochs: int = 6,
    batch: int = 4_096,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Network:
    """The network for these rows: time until the next login (s, inf for none seen) and for how long one looked (s).

    Cross-entropy of each span's hazard over the rows still waiting at its start, by Adam with a cosine schedule. The
    same rows and generator give the same network. About 8 s a million rows and epoch on one core.
    """
    mean = features.mean(axis=0)
    scale = (1 / (features.std(axis=0) + 1e-6)).astype(np.float32)
    came, counted = _targets(until_login_s, seen_s, weights)
    sizes = (features.shape[1], *HIDDEN, len(SPAN_ENDS_S))
    shapes = list(pairwise(sizes))
    w = [(rng.standard_normal(shape) * np.sqrt(2 / shape[0])).astype(np.float32) for shape in shapes]
    b = [np.zeros(shape[1], np.float32) for shape in shapes]
    w[-1] *= 0.1
    base = (came * counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    b[-1][:] = np.log((base + 1e-4) / (1 - base + 1e-4))
    adam = _Adam([*w, *b])
    batch = min(batch, max(256, len(features) // 64), len(features))
    an_epoch = len(features) // batch
    steps = max(epochs * an_epoch, min(_STEPS_LEAST, _EPOCHS_MOST * an_epoch))
    for step in range(steps):
        in_epoch = step % an_epoch
        if in_epoch == 0:
            order = rng.permutation(len(features))
            on_progress(step / steps)
        at = order[in_epoch * batch : (in_epoch + 1) * batch]
        values = np.clip((features[at] - mean) * scale, -_CLIP, _CLIP)
        gradient = _gradient(w, b, values, came[at], counted[at])
        rate = 2e-3 * min(1.0, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * step / steps))
        adam.step(gradient, rate)
    return Network(tuple(w), tuple(b), mean, scale)


def _targets(until_s: Floats, seen_s: Floats, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Whether a login came in each span, and what the row counts there: nothing once it came or looking ended."""
    starts = np.concatenate(([0.0], SPAN_ENDS_S[:-1]))
    came = (until_s[:, None] < SPAN_ENDS_S).astype(np.float32)
    waiting = until_s[:, None] >= starts
    known = (seen_s[:, None] >= SPAN_ENDS_S) | (until_s[:, None] < SPAN_ENDS_S)
    counted: Matrix = (waiting & known) * weights[:, None] * _HEAD_WEIGHT
    return came, counted


def _layers(w: "tuple[Matrix, ...] | list[Matrix]", b: "tuple[Matrix, ...] | list[Matrix]", x: Matrix) -> list[Matrix]:
    outputs = []
    for at, (weight, bias) in enumerate(zip(w, b, strict=True)):
        x = x @ weight
        x += bias
        if at < len(w) - 1:
            np.maximum(x, 0, out=x)
        outputs.append(x)
    return outputs


def _sigmoid(x: Matrix) -> Matrix:
    chance: Matrix = np.divide(1, 1 + np.exp(-np.clip(x, -30, 30)), dtype=np.float32)
    return chance


def _gradient(w: list[Matrix], b: list[Matrix], x: Matrix, came: Matrix, counted: Matrix) -> list[Matrix]:
    outputs = _layers(w, b, x)
    back = np.multiply(_sigmoid(outputs[-1]) - came, counted / np.float32(len(x)), dtype=np.float32)
    of_w: list[Matrix] = []
    of_b: list[Matrix] = []
    for at in range(len(w) - 1, -1, -1):
        below = outputs[at - 1] if at else x
        of_w.append(below.T @ back)
        of_b.append(back.sum(axis=0))
        if at:
            back = np.multiply(back @ w[at].T, below > 0, dtype=np.float32)
    return [*of_w[::-1], *of_b[::-1]]


class _Adam:
    """Kingma and Ba's, with decoupled decay of the matrices."""

    def __init__(self, values: list[Matrix]) -> None:
        self._values = values
        self._first = [np.zeros_like(each) for each in values]
        self._second = [np.zeros_like(each) for each in values]
        self._steps = 0

    def step(self, gradient: list[Matrix], rate: float) -> None:
        self._steps += 1
        to_first, to_second = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for value, slope, first, second in zip(self._values, gradient, self._first, self._second, strict=True):
            first += np.float32(0.1) * (slope - first)
            second += np.float32(0.001) * (slope * slope - second)
            decay = np.float32(1e-4) if value.ndim == 2 else np.float32(0)
            value -= np.float32(rate) * (
                first / np.float32(to_first) / (np.sqrt(second / np.float32(to_second)) + np.float32(1e-8))
                + decay * value
            )
