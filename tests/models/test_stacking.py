"""FTRL on leaves and ids: a plain twin, and what must hold of it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.kernels.forest import LEAVES
from feedgen.models.stacking import BUCKETS, TOPICS, Pace, Stacked, hashed_ids, keys_of
from feedgen.ranking.exact import sigmoid


def plain(stacked: Stacked, active: list[list[int]], start: np.ndarray, happened: np.ndarray, counts: np.ndarray):
    """FTRL-proximal as the paper writes it, in double precision: (z, n, foreseen)."""
    pace, z, n = stacked.pace, stacked.z.astype(np.float64), stacked.n.astype(np.float64)
    foreseen = np.zeros(start.shape)
    for at, rows in enumerate(active):
        for head in range(start.shape[1]):
            weights = {}
            for row in rows:
                over = abs(z[row, head]) - pace.l1
                eta = (pace.beta + np.sqrt(n[row, head])) / pace.alpha + pace.l2
                weights[row] = 0.0 if over <= 0 else -np.sign(z[row, head]) * over / eta
            odds = 1 / (1 + np.exp(-(start[at, head] + sum(weights[row] for row in rows))))
            slope = (odds - happened[at, head]) * counts[at]
            foreseen[at, head] = odds
            for row in rows:
                sigma = (np.sqrt(n[row, head] + slope**2) - np.sqrt(n[row, head])) / pace.alpha
                z[row, head] += slope - sigma * weights[row]
                n[row, head] += slope**2
    return z, n, foreseen


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(0, 30), st.integers(1, 3), st.integers(1, 3))
def test_it_learns_as_the_paper_says(seed: int, count: int, trees: int, heads: int) -> None:
    rng = np.random.default_rng(seed)
    stacked = Stacked.blank(trees, heads)
    stacked.pace = Pace(0.1, 1.0, 0.3, 1.0)
    leaves = rng.integers(0, 4, (count, trees)).astype(np.uint16)
    hashed = (np.arange(2) * 5 + rng.integers(0, 5, (count, 2))).astype(np.uint32)  # no id twice in a row
    start, happened = rng.normal(size=(count, heads)), rng.random((count, heads)) < 0.5
    counts = rng.choice([1.0, 4.0], count)
    active = [
        [tree * LEAVES + int(leaf) for tree, leaf in enumerate(row)] + [trees * LEAVES + int(one) for one in ids]
        for row, ids in zip(leaves, hashed, strict=True)
    ]
    z, n, odds = plain(stacked, active, start, happened, counts)
    foreseen = stacked.learn(leaves, hashed, start, happened, counts)
    assert np.allclose(foreseen, odds, atol=1e-4)
    assert np.allclose(stacked.z, z, atol=1e-3)
    assert np.allclose(stacked.n, n, atol=1e-3)


def test_what_has_learnt_nothing_is_the_trees() -> None:
    stacked = Stacked.blank(3, 2)
    assert not stacked.weights().any()
    assert stacked.z.shape == (3 * LEAVES + BUCKETS, 2)


def test_what_it_foresees_has_the_same_bits_everywhere() -> None:
    stacked, start = Stacked.blank(1, 3), np.random.default_rng(1).normal(scale=5, size=(200, 3))
    leaves, hashed = np.zeros((200, 1), np.uint16), np.zeros((200, 2), np.uint32)
    foreseen = stacked.learn(leaves, hashed, start, np.zeros((200, 3), np.bool_), np.zeros(200))
    assert foreseen.tolist() == sigmoid(start).tolist()


def test_ids_have_the_same_buckets_everywhere_and_others_apart() -> None:
    viewers, authors = (
        keys_of([f"u{number % 30}" for number in range(900)]),
        keys_of([f"a{n // 30}" for n in range(900)]),
    )
    topics = tuple(keys_of([""] * 900) for _ in range(TOPICS))
    hashed = hashed_ids(viewers, authors, topics)
    assert hashed.shape == (900, 3 + 2 * TOPICS)
    assert hashed.max() < BUCKETS
    assert len(np.unique(hashed[:, 0])) == 30
    assert len(np.unique(hashed[:, 2])) > 890
    assert keys_of(["ann", "", "ann"]).tolist() == [int(keys_of(["ann"])[0]), 0, int(keys_of(["ann"])[0])]
    one = hashed_ids(keys_of(["ann"]), keys_of(["bob"]), [column[:1] for column in topics])
    assert one.tolist() == [[74_921, 44_118, 76_829, *(42_277, 128_422) * TOPICS]]  # on every machine, for good
