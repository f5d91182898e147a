"""Trains a model from examples: a line for each action, trees for each action, and what is stacked on them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.forest import LEAVES
from feedgen.models.actions import ACTIONS, ENGAGED
from feedgen.models.boosting import Growth, boosted, with_shared
from feedgen.models.examples import HEADS, Examples
from feedgen.models.forests import Forests, Rows, forests_of, tidy
from feedgen.models.logistic import Chunk, Floats, Line, logistic, shift, sigmoid
from feedgen.models.measures import measured
from feedgen.models.model import Lines, Meta, Model
from feedgen.models.stacking import Pace, Stacked
from feedgen.models.wide import along, levelled, logits_of

_CHUNK: Final = 65_536
_HELD: Final = 0.15
"""The latest share of the rows: how many trees are grown is decided on them, and what the version says of itself."""
_KEEP: Final = 0.9
"""Of a leaf's value when it is learnt anew from the latest rows alone."""
_EASY: Final = 0.01
"""Of engagements, the share that the line held least likely: what is below that is thinned to the next number."""
_EASY_KEPT: Final = 0.1
_LINE_ROWS: Final = 300_000
_WIDE_ROWS: Final = 80_000
"""Rows that lines and wide lines are learnt from, about: so few weights are known well from them."""
_LEAST_SHARE: Final = 0.05
"""Of rows in which nothing happened, however many are something else."""
_RIDGE: Final = 1.0
_ENOUGH: Final = 1_000
"""Of an action among the latest rows, to be calibrated on them alone."""


@dataclass(frozen=True)
class Course:
    """How a model is trained. `least`: of an action, fewer have the shared head stand in."""

    seed: int = 1
    least: int = 100
    ridge: float = 1.0
    action_ridge: float = 30.0
    wide_ridge: float = 3_000.0
    trees: bool = True
    stacked: bool = True
    growth: Growth = field(default_factory=Growth)
    pace: Pace = field(default_factory=Pace)


Say = Callable[[str], None]
Progress = Callable[[float], None]


def fit(
    examples: Examples,
    definitions: Mapping[str, str],
    linear_inputs: int,
    course: Course,
    say: Say = lambda line: None,
    on_progress: Progress = lambda share: None,
) -> Model:
    """A model from all the examples. `definitions`: the fingerprint of each input, the linear ones first.

    `say` is told of each action with too few positives. The same examples and course give the same model.

    Raises ModelError when there are too few engagements to learn from.
    """
    if tuple(definitions) != examples.inputs:
        raise ModelError("the training data has other inputs than this version; make it anew")
    heads, stand_ins = _divided(examples, course, say)
    metrics: dict[str, Any] = {head: {"positives": int(examples.happened[head].sum())} for head in HEADS}
    for action in stand_ins:
        metrics[action]["stand_in"] = ENGAGED
    linear, line = _linear(_about(examples, _LINE_ROWS, course.seed), heads, linear_inputs, course, metrics)
    on_progress(0.2)
    seen = _worth_a_look(examples.only(examples.picked), linear, course.seed)
    held = _latest(seen)
    wide = _wide(seen, heads, held, line, course)
    trees, stacked = None, None
    if course.trees:
        wider = _shared_line(_about(seen.only(~held), _WIDE_ROWS, course.seed), line, course).weights
        early = _trees(seen, heads, wider, held, course, lambda share: on_progress(0.2 + 0.35 * share))
        shifts = _calibration(early.logits(seen.rows), heads, seen, held)
        _judge(early, shifts, seen, held, course, metrics)
        grown = _trees(seen, heads, wide.weights[0], early, course, lambda share: on_progress(0.55 + 0.35 * share))
        trees = _shifted(grown, shifts)
        if course.stacked:
            stacked = _blank(grown, course)
            _stack(stacked, grown, seen, seen.weights)
    on_progress(1.0)
    meta = Meta(
        inputs=dict(definitions),
        linear_inputs=linear_inputs,
        actions=ACTIONS,
        stand_ins=stand_ins,
        since=float(examples.ts[0]),
        until=float(examples.ts[-1]),
        rows=len(examples),
        seed=course.seed,
        metrics=metrics,
    )
    return Model(meta, linear, wide, trees, stacked)


def _latest(examples: Examples) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.arange(len(examples)) >= int(len(examples) * (1 - _HELD))
    return mask


def _divided(examples: Examples, course: Course, say: Say) -> tuple[tuple[str, ...], dict[str, float]]:
    """Heads with positives enough, and of the other actions how many there are for each engagement."""
    shared = int(examples.happened[ENGAGED].sum())
    if shared < course.least or shared == len(examples):
        raise ModelError(
            f"{shared} engagements in {len(examples)} examples are too few to learn from; {course.least} are needed"
        )
    every = float(examples.counts @ examples.happened[ENGAGED])
    heads, stand_ins = [ENGAGED], {}
    for action in ACTIONS:
        happened = examples.happened[action]
        if (positives := int(happened.sum())) >= course.least:
            heads.append(action)
        else:
            stand_ins[action] = float(examples.counts @ happened) / every
            say(f"{positives} × {action} are too few ({course.least} are needed): the shared head stands in")
    return tuple(heads), stand_ins


def _chunks(rows: NDArray[np.float32], happened: NDArray[np.bool_], counts: Floats) -> Callable[[], Iterator[Chunk]]:
    def chunks() -> Iterator[Chunk]:
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            yield rows[part], happened[part], counts[part]

    return chunks


def _linear(
    examples: Examples,
    heads: tuple[str, ...],
    inputs: int,
    course: Course,
    metrics: dict[str, Any],
) -> tuple[Lines, Line]:
    """Stage one, and its line for engagement before it is calibrated.

    The line of each action is drawn to the shared one: fifteen weights from as many reports foresee anything of posts
    that are unlike those that were shown.
    """
    held = _latest(examples)
    rows, counts = examples.rows[:, :inputs], examples.counts
    early = _lines(rows[~held], {head: examples.happened[head][~held] for head in heads}, counts[~held], course)
    for head, line in early.items():
        odds = sigmoid(_on_line(rows[held], line.weights, line.bias))
        metrics[head]["linear"] = measured(odds, examples.happened[head][held], counts[held])
    lines = _lines(rows, {head: examples.happened[head] for head in heads}, counts, course)
    weights = np.array([line.weights for line in lines.values()])
    bias = np.array([line.bias for line in lines.values()])
    logits = logits_of(np.nan_to_num(rows), weights, bias)
    return Lines(heads, weights, bias + _calibration(logits, heads, examples, held)), lines[ENGAGED]


def _lines(rows: Rows, happened: Mapping[str, NDArray[np.bool_]], counts: Floats, course: Course) -> dict[str, Line]:
    """Of each head; the shared one first, which the others are drawn to."""
    shared = logistic(_chunks(rows, happened[ENGAGED], counts), rows.shape[1], course.ridge)
    sums, lines = _on_line(rows, shared.weights, shared.bias), {ENGAGED: shared}
    for action in [head for head in happened if head != ENGAGED]:
        flags = happened[action]
        prior = _scaled(shared, *_lean(sums, flags, counts))
        lines[action] = logistic(_chunks(rows, flags, counts), rows.shape[1], course.action_ridge, prior)
    return lines


def _on_line(rows: Rows, weights: Floats, bias: float) -> Floats:
    """Log-odds of features by one line; what is missing counts as 0."""
    logits: Floats = np.nan_to_num(rows.astype(np.float64)) @ weights + bias
    return logits


def _scaled(line: Line, bias: float, slope: float) -> Line:
    return Line(slope * line.weights, bias + slope * line.bias)


def _wide(examples: Examples, heads: tuple[str, ...], held: NDArray[np.bool_], under: Line, course: Course) -> Lines:
    """Lines over all inputs, from the rows for trees, some of them where there are many. The shared one is drawn to
    stage one's; that of each action leans on it.
    """
    few = _about(examples, _WIDE_ROWS, course.seed)
    line = _shared_line(few, under, course)
    sums = levelled(few.rows) @ line.weights + line.bias
    leans = [_scaled(line, *_lean(sums, few.happened[head], few.weights)) for head in heads]
    weights = np.array([each.weights for each in leans])
    bias = np.array([each.bias for each in leans])
    logits = logits_of(levelled(examples.rows), weights, bias)
    return Lines(heads, weights, bias + _calibration(logits, heads, examples, held))


def _shared_line(examples: Examples, under: Line, course: Course) -> Line:
    inputs, happened = levelled(examples.rows), examples.happened[ENGAGED]
    prior = Line(np.append(under.weights, np.zeros(inputs.shape[1] - len(under.weights))), under.bias)
    return logistic(_chunks(inputs, happened, examples.weights), inputs.shape[1], course.wide_ridge, prior)


def _trees(
    examples: Examples,
    heads: tuple[str, ...],
    line: Floats,
    held: NDArray[np.bool_] | Forests,
    course: Course,
    on_progress: Progress,
) -> Forests:
    """From all rows but those `held`, or, given the forests that came of that, from all and as many trees as those.

    They are grown from what the wide `line` leaves over: what adds up is the line's, and of posts unlike those of the
    rows trees know nothing. Rows are taken as they were drawn, not as what they stand for: `_shifted` puts right what
    is foreseen.
    """
    rows, dumps, starts = tidy(examples.rows), {}, list[tuple[float, float, float]]()
    left_out = None if isinstance(held, Forests) else held
    learnt = slice(None) if left_out is None else ~left_out
    shared, of_line = along(line, examples.rows), 1.0
    for number, head in enumerate(heads):
        growth, happened = course.growth, examples.happened[head]
        most = growth.trees if head == ENGAGED else growth.trees_an_action
        if isinstance(held, Forests):
            most = int(np.diff(held.trees.bounds)[number])
        bias, lean = _lean(shared[learnt], happened[learnt], examples.weights[learnt])
        start = bias + lean * shared
        dumps[head] = boosted(rows, happened, examples.weights, start, left_out, growth, most, course.seed)
        if head == ENGAGED:
            starts.append((bias, 0.0, lean))
            found, of_line = forests_of(dumps), lean
            shared, rows = lean * shared + found.sums(rows)[:, 0], with_shared(rows, found)
        else:
            starts.append((bias, lean, lean * of_line))
        on_progress((number + 1) / len(heads))
    return forests_of(dumps, starts, line)


def _lean(sums: Floats, happened: NDArray[np.bool_], counts: Floats) -> tuple[float, float]:
    """Bias and slope of a head's log-odds over the sums of the shared one: what its own trees correct. O(rows)."""
    line = logistic(_chunks(sums.astype(np.float32)[:, None], happened, counts), 1, _RIDGE)
    return line.bias, float(line.weights[0])


def _worth_a_look(examples: Examples, linear: Lines, seed: int) -> Examples:
    """The rows for trees: what the line holds all but impossible is thinned, as it could only be ranked last.

    Those left count for them: trees that begin at the line would else hold the least likely for likelier. O(rows).
    """
    weights = linear.weights[0]
    logits = _on_line(examples.rows[:, : len(weights)], weights, linear.bias[0])
    easy = logits < np.quantile(logits[examples.happened[ENGAGED]], _EASY)
    easy &= ~np.any(list(examples.happened.values()), axis=0)
    weighed = replace(examples, weights=np.where(easy, examples.weights / _EASY_KEPT, examples.weights))
    return _thinned(weighed, easy, _EASY_KEPT, seed)


def _about(examples: Examples, rows: int, seed: int) -> Examples:
    """About so many of the rows, those in which something happened among them; the others left stand for the rest."""
    nothing = ~np.any(list(examples.happened.values()), axis=0)
    idle = int(nothing.sum())
    share = min(1.0, max((rows - (len(nothing) - idle)) / max(idle, 1), _LEAST_SHARE))
    return _thinned(examples, nothing, share, seed) if share < 1.0 else examples


def _thinned(examples: Examples, which: NDArray[np.bool_], share: float, seed: int) -> Examples:
    """All rows but those under the mask, of which a share is drawn and counts for all of them. O(rows); copies."""
    kept = ~which | (np.random.default_rng(seed).random(len(which)) < share)
    left = examples.only(kept)
    return replace(left, counts=np.where(which[kept], left.counts / share, left.counts))


def _calibration(logits: Floats, heads: tuple[str, ...], examples: Examples, held: NDArray[np.bool_]) -> list[float]:
    """By head, what makes the log-odds on the `held` rows foresee as much as happened, each row counting what it stands
    for: of late, as rates change in time. Of what hardly happened there, on all rows.
    """
    every, shifts = np.ones(len(held), np.bool_), []
    for number, head in enumerate(heads):
        happened = examples.happened[head]
        rows = held if happened[held].sum() >= _ENOUGH else every
        shifts.append(shift(logits[rows, number], happened[rows], examples.counts[rows]))
    return shifts


def _shifted(forests: Forests, shifts: Sequence[float]) -> Forests:
    start = forests.start + np.pad(np.array(shifts)[:, None], ((0, 0), (0, 2)))
    return Forests(forests.heads, forests.trees, start, forests.line)


def _judge(
    early: Forests,
    shifts: Sequence[float],
    examples: Examples,
    held: NDArray[np.bool_],
    course: Course,
    metrics: dict[str, Any],
) -> None:
    """What the trees, and the stack on them, foresee of rows that no tree was grown from."""
    logits = {"trees": early.logits(examples.rows[held])}
    if course.stacked:
        logits["stacked"] = _logits(_stack(_blank(early, course), early, examples, examples.weights)[held])
    for name, each in logits.items():
        odds = sigmoid(each + np.array(shifts))
        for number, head in enumerate(early.heads):
            metrics[head][name] = measured(odds[:, number], examples.happened[head][held], examples.counts[held])
    for head, count in zip(early.heads, np.diff(early.trees.bounds).tolist(), strict=True):
        metrics[head]["trees"]["count"] = count


def _logits(odds: Floats) -> Floats:
    safe = np.clip(odds, 1e-12, 1 - 1e-12)
    found: Floats = np.log(safe) - np.log1p(-safe)
    return found


def _blank(trees: Forests, course: Course) -> Stacked:
    stacked = Stacked.blank(len(trees.trees.leaf), len(trees.heads))
    stacked.pace = course.pace
    return stacked


def _stack(stacked: Stacked, trees: Forests, examples: Examples, counts: Floats) -> Floats:
    """One pass in the order of time; what it foresaw of each row, by head, before it learnt from it. `counts`: of rows
    as what they stand for with trees that are calibrated, of rows as they were drawn with trees that are not.
    """
    hashed, odds = examples.hashed(), np.empty((len(examples), len(trees.heads)))
    for first in range(0, len(examples), _CHUNK):
        part = slice(first, first + _CHUNK)
        logits, leaves = trees.leaves(examples.rows[part])
        happened = np.column_stack([examples.happened[head][part] for head in trees.heads])
        odds[part] = stacked.learn(leaves, hashed[part], logits, happened, counts[part])
    return odds


def refresh(model: Model, examples: Examples, course: Course) -> Model:
    """The model, moved on by examples that are later than all it knows: leaves drawn towards them, the stack taught.

    The lines and the shape of the trees stay; they are for the full training. O(rows × trees). Raises ModelError
    when nothing is later, or the model has no trees.
    """
    later = examples.only((examples.ts > model.meta.until) & examples.picked)
    if model.trees is None:
        raise ModelError("a version without trees cannot be moved on; train one in full")
    if not len(later):
        raise ModelError("nothing happened since this version was trained")
    trees, stacked = _relearnt(model.trees, later, course), model.stacked
    if stacked is not None:
        stacked = Stacked(stacked.z.copy(), stacked.n.copy(), stacked.pace, stacked.offset)
        _stack(stacked, trees, later, later.counts)
    changed = {"until": float(later.ts[-1]), "rows": model.meta.rows + len(later)}
    return Model(replaced(model.meta, **changed), model.linear, model.wide, trees, stacked)


def _relearnt(trees: Forests, later: Examples, course: Course) -> Forests:
    """Each tree in turn: its leaves' values drawn towards what a Newton step from the trees before it would give."""
    _, leaves = trees.leaves(later.rows)
    values, ridge, rate = trees.trees.leaf.copy(), course.growth.ridge, course.growth.rate
    shared, line = np.zeros(len(later)), trees.lined(later.rows)
    spans = zip(trees.heads, trees.start.tolist(), trees.trees.bounds[:-1], trees.trees.bounds[1:], strict=True)
    for head, (bias, of_shared, of_line), first, end in spans:
        happened, sums = later.happened[head], np.zeros(len(later))
        start = bias + of_shared * shared + of_line * line
        for tree in range(int(first), int(end)):
            place = leaves[:, tree]
            odds = sigmoid(start + sums)
            slope = np.bincount(place, later.counts * (happened - odds), LEAVES)
            bend = np.bincount(place, later.counts * odds * (1 - odds), LEAVES)
            met = np.bincount(place, minlength=LEAVES) > 0
            fresh = rate * slope / (bend + ridge)
            values[tree] = np.where(met, _KEEP * values[tree] + (1 - _KEEP) * fresh, values[tree])
            sums += values[tree][place]
        if head == ENGAGED:
            shared = sums
    return Forests(trees.heads, trees.trees._replace(leaf=values), trees.start, trees.line)
