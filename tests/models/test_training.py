"""Training: the same rows, the same model; too little of an action, said; sampled negatives, made up for."""

from dataclasses import replace

import numpy as np
import pytest

from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.models.actions import ACTIONS, ENGAGED, values_of
from feedgen.models.examples import examples_of
from feedgen.models.logistic import logistic, sigmoid
from feedgen.models.training import fit, refresh
from feedgen.ranking.features import FEATURES
from feedgen.ranking.inputs import INPUTS
from tests.models.small import COURSE, examples, known, model, rows


def test_the_same_rows_give_the_same_model() -> None:
    again = fit(examples(), known(), len(FEATURES), COURSE)
    assert again.files() == model().files()
    assert again.name == model().name != model(4).name


def test_rows_in_another_order_are_put_in_that_of_time() -> None:
    found = rows(500)
    turned = examples_of(found.select(np.arange(len(found))[::-1]))
    assert turned.ts.tolist() == found.ts.tolist()
    assert np.array_equal(turned.rows, found.inputs, equal_nan=True)
    assert turned.viewers.tolist() == examples_of(found).viewers.tolist()


def test_an_action_with_too_few_positives_is_said_and_stood_in_for() -> None:
    said: list[str] = []
    made = fit(examples(), known(), len(FEATURES), COURSE, said.append)
    assert made.trees is not None
    assert made.trees.heads == made.linear.heads == (ENGAGED, "like", "comment")
    assert set(made.meta.stand_ins) == set(ACTIONS) - {"like", "comment"}
    assert "5 × hide are too few (100 are needed): the shared head stands in" in said
    assert made.meta.metrics["hide"] == {"positives": 5, "stand_in": ENGAGED}
    logits = made.logits_by_trees(examples().rows)
    odds = made.probabilities(made.trees.heads, logits)
    engaged = examples().happened[ENGAGED].sum()
    assert odds["hide"].tolist() == pytest.approx((odds[ENGAGED] * 5 / engaged).tolist())
    assert not odds["report"].any()
    values = values_of(Settings())
    worth = sum(odds[action] * values[action] for action in ACTIONS)
    assert (sigmoid(logits) @ made.worths(made.trees.heads, values)).tolist() == pytest.approx(worth.tolist())


def test_too_few_engagements_are_refused() -> None:
    found = rows(200)
    with pytest.raises(ModelError, match="too few to learn from; 100 are needed"):
        fit(examples_of(found.select(np.arange(len(found)) < 60)), known(), len(FEATURES), COURSE)
    with pytest.raises(ModelError, match="nothing to learn from"):
        examples_of(found.select(np.zeros(len(found), np.bool_)))
    with pytest.raises(ModelError, match="other inputs"):
        fit(examples(), dict(list(known().items())[:-1]), len(FEATURES), COURSE)


def test_foreseen_is_what_happens_though_few_negatives_are_kept() -> None:
    made = fit(examples_of(rows(40_000, rate=0.2)), known(), len(FEATURES), COURSE)
    assert made.trees is not None
    fresh = examples_of(rows(6_000, seed=8))
    for odds in (
        made.probabilities(made.trees.heads, made.logits_by_trees(fresh.rows)),
        made.probabilities(
            made.linear.heads,
            np.nan_to_num(fresh.rows[:, : len(FEATURES)].astype(np.float64)) @ made.linear.weights.T + made.linear.bias,
        ),
    ):
        for head in (ENGAGED, "like", "comment"):
            assert odds[head].sum() == pytest.approx(fresh.happened[head].sum(), rel=0.12)


def test_of_posts_unlike_all_that_were_shown_it_goes_on_as_among_those() -> None:
    """Rows are of a narrow span of the first feature, on which likes depend; candidates are far beyond it."""
    found = rows(6_000)
    shown = found.select(np.abs(np.nan_to_num(found.inputs[:, 0])) < 0.7)
    made = fit(examples_of(shown), known(), len(FEATURES), COURSE)
    far = np.zeros((5, len(INPUTS)), np.float32)
    far[:, 0] = [-6.0, -3.0, 0.0, 3.0, 6.0]
    for heads, logits in (
        (made.linear.heads, far[:, : len(FEATURES)] @ made.linear.weights.T + made.linear.bias),
        (made.wide.heads, made.logits_wide(far)),
        (made.trees.heads if made.trees else (), made.logits_by_trees(far)),
    ):
        odds = made.probabilities(heads, np.asarray(logits, np.float64))
        assert (np.diff(odds[ENGAGED]) > 0).all()


def test_the_line_of_a_rare_action_is_drawn_to_the_shared_one() -> None:
    """A hundred comments that depend on nothing: their own line would have its weights by chance."""
    found = rows(6_000)
    chance = np.zeros(len(found), np.bool_)
    chance[np.random.default_rng(0).permutation(len(found))[:120]] = True
    found.done[:, ACTIONS.index("comment")] = chance
    linear = fit(examples_of(found), known(), len(FEATURES), replace(COURSE, trees=False)).linear
    shared, comment = linear.weights[0], linear.weights[linear.heads.index("comment")]
    alone = logistic(
        lambda: iter([(found.inputs[:, : len(FEATURES)], chance, np.ones(len(found)))]), len(FEATURES), COURSE.ridge
    ).weights
    assert np.abs(comment[1:]).max() < 0.9 * np.abs(alone[1:]).max()
    assert np.abs(shared[1:]).max() < np.abs(shared[0])


def test_each_part_tells_how_good_it_is_on_rows_it_has_not_seen() -> None:
    metrics = model().meta.metrics
    for head in (ENGAGED, "like", "comment"):
        for part in ("linear", "trees", "stacked"):
            assert metrics[head][part]["auc"] > 0.6
            assert 0.4 < metrics[head][part]["calibration"] < 2.5
    assert metrics["like"]["stacked"]["cross_entropy"] < metrics["like"]["trees"]["cross_entropy"]  # it knows viewers


def test_moved_on_it_knows_what_came_later() -> None:
    old, later = model(), examples(seed=9, begin=1e6)
    late = refresh(old, later, COURSE)
    assert late.meta.until == later.ts[-1] > old.meta.until
    assert old.trees is not None
    assert late.trees is not None
    assert np.array_equal(late.trees.trees.feature, old.trees.trees.feature)

    def loss(which: np.ndarray) -> float:
        happened = later.happened[ENGAGED]
        return float((np.logaddexp(0, which) - happened * which).sum())

    before, after = (trees.logits(later.rows)[:, 0] for trees in (old.trees, late.trees))
    assert loss(after) < loss(before)
    with pytest.raises(ModelError, match="nothing happened since"):
        refresh(late, later, COURSE)
