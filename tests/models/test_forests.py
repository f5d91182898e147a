"""Trees as arrays: what LightGBM itself predicts, whatever the rows."""

import pickle
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.kernels.columnwise import columns_of
from feedgen.kernels.compiled import compiled
from feedgen.kernels.forest import LEAVES, stack
from feedgen.kernels.lanes import ROWS, WORDS, above, part, settle
from feedgen.models.boosting import with_shared
from feedgen.models.forests import Forests, forests_of, tidy
from feedgen.models.wide import levelled
from feedgen.ranking import inputs
from feedgen.ranking.exact import sigmoid

INPUTS = 5
odd = st.sampled_from((0.0, -0.0, 1e-36, -1e-36, 1e-45, np.nan, np.inf, -np.inf, 3e38, -3e38, 1.0, 1 / 3, 16_777_217.0))
counts = st.one_of(st.integers(0, 150), st.sampled_from((ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3)))
"""Of rows."""


def grown(seed: int, trees: int, inputs: int = INPUTS, depth: int = -1, leaves: int = 31) -> Any:
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(400, inputs)), int(rng.integers(0, 9))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    happened = np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + rng.normal(size=400) > 0.3
    params = {
        "objective": "binary",
        "max_depth": depth,
        "num_leaves": leaves,
        "min_data_in_leaf": 3,
        "use_missing": False,
    }
    params |= {"use_missing": False, "verbosity": -1, "num_threads": 1, "seed": seed, "learning_rate": 0.3}
    return lightgbm.train(params, lightgbm.Dataset(tidy(rows), happened.astype(np.float32), params=params), trees)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(1, 7), st.integers(1, 9), counts, st.data())
def test_they_foresee_what_lightgbm_foresees(
    seed: int, depth: int, trees: int, count: int, data: st.DataObject
) -> None:
    booster = grown(seed, trees, depth=depth, leaves=32)
    rng = np.random.default_rng(seed + 1)
    rows = rng.normal(size=(count, INPUTS)).astype(np.float32)
    for at in range(min(count, 8)):
        rows[at] = data.draw(st.lists(odd, min_size=INPUTS, max_size=INPUTS))
    forests = forests_of({"engaged": booster.dump_model()})
    logits, leaves = forests.leaves(rows)
    if count:
        theirs = np.asarray(booster.predict(tidy(rows), raw_score=True))
        assert logits[:, 0].tolist() == theirs.tolist()  # to the bit: the same leaves, added in the same order
    worths = np.array([2.5])
    assert forests.scores(rows, worths).tolist() == scored(logits, worths).tolist()
    for same in (rows, tidy(rows), np.asfortranarray(rows)):
        assert forests.logits(same).tolist() == logits.tolist()
    for at in range(count):
        assert leaves[at].tolist() == [_leaf(forests, tree, tidy(rows)[at]) for tree in range(trees)]
        assert logits[at, 0] == sum((forests.trees.leaf[tree, leaves[at, tree]] for tree in range(trees)), 0.0)


def _leaf(forests: Forests, tree: int, row: NDArray[np.float32]) -> int:
    """The leftmost of the leaves that no node strikes out."""
    trees, left = forests.trees, (1 << LEAVES) - 1
    for node in range(trees.first[tree], trees.first[tree + 1]):
        if row[trees.feature[node]] > trees.threshold[node]:
            left &= int(trees.keep[node])
    return (left & -left).bit_length() - 1


def scored(logits: NDArray[np.float64], worths: NDArray[np.float64]) -> NDArray[np.float64]:
    """In plain numpy."""
    total = np.zeros(len(logits))
    for head, worth in enumerate(worths.tolist()):
        total += sigmoid(logits[:, head]) * worth
    return np.copysign(np.sqrt(np.abs(total)), total)


@compiled
def turned(rows: NDArray[np.float32], first: int, count: int, into: NDArray[np.float32]) -> None:
    columns_of(rows, first, count, into)


@pytest.mark.parametrize(("count", "wide"), [(500, 136), (16, 16), (17, 33), (5, 40), (40, 5), (ROWS, 17)])
def test_rows_are_turned_into_columns(count: int, wide: int) -> None:
    rows = np.random.default_rng(1).normal(size=(count + 3, wide)).astype(np.float32)
    columns = np.full((wide + 1, ROWS), 9.0, np.float32)
    turned(rows, 2, count, columns)
    assert columns[:wide, :count].tolist() == rows[2 : count + 2].T.tolist()
    assert not columns[:, count:].any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(1, LEAVES))
def test_any_tree_is_walked(seed: int, leaves: int) -> None:
    """Of any shape, chains included, and with questions that are asked twice on the way."""
    rng = np.random.default_rng(seed)

    def drawn(count: int) -> dict[str, Any]:
        if count == 1:
            return {"leaf_value": rng.normal()}
        on_the_left = int(rng.choice([1, count - 1, rng.integers(1, count)]))
        feature, threshold = int(rng.integers(INPUTS)), float(rng.integers(-2, 3))
        children = {"left_child": drawn(on_the_left), "right_child": drawn(count - on_the_left)}
        return {"decision_type": "<=", "split_feature": feature, "threshold": threshold, **children}

    forests = forests_of({"engaged": {"tree_info": [{"tree_structure": drawn(leaves)} for _ in range(3)]}})
    rows = rng.integers(-3, 4, (40, INPUTS)).astype(np.float32)
    _, found = forests.leaves(rows)
    assert found.tolist() == [[_leaf(forests, tree, row) for tree in range(3)] for row in rows]


@compiled
def _lanes(column: Any, threshold: Any, reach: Any, tests: Any, where: Any) -> int:
    part(reach, 3, 9, tests, 1)
    settle(reach, where)
    return above(column, 2, threshold)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 20))
def test_lanes_are_bits_of_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    column, edge = rng.integers(-2, 3, 70).astype(np.float32), np.float32(rng.integers(-2, 3))
    column[rng.random(70) < 0.2] = np.nan
    begun, asked = rng.integers(0, LEAVES, ROWS), rng.random((2, ROWS)) < 0.5
    begun[begun == 9] = 3
    bits = np.array([begun == leaf for leaf in range(LEAVES)])
    reach, tests = (np.packbits(of, axis=1, bitorder="little").view(np.uint64) for of in (bits, asked))
    assert reach.shape == (LEAVES, WORDS)
    where = np.zeros(ROWS, np.uint8)
    found = _lanes(column, edge, reach, tests, where)
    assert found == sum(1 << at for at in range(64) if column[2 + at] > edge)
    assert where.tolist() == np.where((begun == 3) & asked[1], 9, begun).tolist()


def test_a_threshold_that_no_float32_is_splits_as_it_does() -> None:
    threshold = 0.1
    node = {"decision_type": "<=", "split_feature": 0, "threshold": threshold}
    tree = {"tree_structure": {**node, "left_child": {"leaf_value": -1.0}, "right_child": {"leaf_value": 1.0}}}
    forests = forests_of({"engaged": {"tree_info": [tree]}})
    nearest = np.float32(threshold)
    values = [np.nextafter(nearest, np.float32(-1)), nearest, np.nextafter(nearest, np.float32(1))]
    found = forests.logits(np.array(values, np.float32)[:, None])[:, 0]
    assert found.tolist() == [-1.0 if float(value) <= threshold else 1.0 for value in values]


def test_later_heads_see_what_the_first_one_foresees() -> None:
    shared = forests_of({"engaged": grown(1, 5).dump_model()})
    rows = tidy(np.random.default_rng(5).normal(size=(200, INPUTS)).astype(np.float32))
    wider = with_shared(rows, shared)
    like = grown(2, 5, INPUTS + 1)
    both = forests_of({"engaged": grown(1, 5).dump_model(), "like": like.dump_model()})
    found = both.logits(rows)
    assert found[:, 1].tolist() == np.asarray(like.predict(wider, raw_score=True)).tolist()


def test_later_heads_see_the_same_bits_of_it_everywhere() -> None:
    """Of log-odds whose probability stands so near the middle of two float32 that its last bit decides between them."""
    by_itself, beside = list[bool](), list[bool]()
    for lower in np.linspace(0.55, 0.95, 30, dtype=np.float32):
        middle = (float(lower) + float(np.nextafter(lower, np.float32(1)))) / 2
        near = np.log(middle / (1 - middle))
        for logit in near + np.spacing(near) * np.arange(-3, 4):
            node = {"decision_type": "<=", "split_feature": INPUTS, "threshold": float(lower)}
            stump = {**node, "left_child": {"leaf_value": 0.0}, "right_child": {"leaf_value": 1.0}}
            trees = {"engaged": {"leaf_value": logit}, "like": stump}
            forests = forests_of({head: {"tree_info": [{"tree_structure": tree}]} for head, tree in trees.items()})
            rows = np.zeros((1, INPUTS), np.float32)
            by_itself.append(bool(forests.logits(rows)[0, 1]))
            beside.append(bool(sigmoid(np.array([logit])).astype(np.float32)[0] > lower))
            assert with_shared(rows, forests)[0, INPUTS] == sigmoid(np.array([logit])).astype(np.float32)[0]
    assert by_itself == beside
    assert set(beside) == {True, False}


def test_every_head_corrects_a_line_over_all_inputs() -> None:
    wide = len(inputs.INPUTS)
    dumps = {"engaged": grown(1, 5, wide).dump_model(), "like": grown(2, 5, wide + 1).dump_model()}
    rng = np.random.default_rng(5)
    rows, line = rng.normal(size=(100, wide)).astype(np.float32), rng.normal(size=wide)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    plain = forests_of(dumps, [(0.5, 0.0, 0.0), (0.0, 2.0, 0.0)])
    lined = forests_of(dumps, [(0.5, 0.0, 1.5), (0.0, 2.0, 3.0)], line)
    more = levelled(rows).astype(np.float64) @ line
    assert lined.logits(rows) == pytest.approx(plain.logits(rows) + np.column_stack((1.5 * more, 3.0 * more)))
    assert lined.leaves(rows)[0].tolist() == lined.logits(rows).tolist()
    worths = np.array([1.0, -3.0])
    assert lined.scores(rows, worths).tolist() == scored(lined.logits(rows), worths).tolist()
    lined.check(wide)
    with pytest.raises(ModelError, match="the line"):
        lined.check(wide + 1)


def test_processes_hand_them_on() -> None:
    forests = forests_of({"engaged": grown(1, 5).dump_model()})
    again = pickle.loads(pickle.dumps(forests))
    rows, worths = np.random.default_rng(2).normal(size=(40, INPUTS)).astype(np.float32), np.array([1.5])
    assert again.scores(rows, worths).tolist() == forests.scores(rows, worths).tolist()


def test_what_cannot_be_walked_is_refused() -> None:
    tree = forests_of({"engaged": grown(3, 1).dump_model()}).trees
    for harm in (
        {"first": tree.first + 1},
        {"bounds": np.array([0, 2])},
        {"leaf": tree.leaf[:, 1:]},
        {"threshold": tree.threshold[1:]},
        {"keep": tree.keep * np.uint32(0)},
        {"keep": tree.keep | np.uint32(1)},
        {"keep": tree.keep[::-1].copy()},
    ):
        with pytest.raises(ModelError, match="belong together"):
            Forests(("engaged",), tree._replace(**harm))
    with pytest.raises(ModelError, match="no leaf"):
        Forests(("engaged",), tree._replace(keep=np.uint32(1) << np.arange(len(tree.keep), dtype=np.uint32)))
    with pytest.raises(ModelError, match="inputs that there are not"):
        Forests(("engaged",), tree).check(int(tree.feature.max()) - 1)
    with pytest.raises(ModelError, match="more than 32 leaves"):
        forests_of({"engaged": grown(3, 2, leaves=60).dump_model()})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(0, 6), st.integers(0, 4), st.integers(0, 5), st.integers(1, 3))
def test_what_is_stacked_is_the_sum_of_its_weights(seed: int, count: int, trees: int, ids: int, heads: int) -> None:
    rng = np.random.default_rng(seed)
    leaves, hashed = rng.integers(0, LEAVES, (count, trees)).astype(np.uint16), rng.integers(0, 16, (count, ids))
    weights = rng.normal(size=(trees * LEAVES + 16, heads)).astype(np.float32)
    logits = np.zeros((count, heads))
    stack(leaves, hashed.astype(np.uint32), weights, logits)
    for at in range(count):
        which = [tree * LEAVES + int(leaves[at, tree]) for tree in range(trees)] + [
            trees * LEAVES + int(one) for one in hashed[at]
        ]
        assert np.allclose(logits[at], sum((weights[row].astype(np.float64) for row in which), np.zeros(heads)))
