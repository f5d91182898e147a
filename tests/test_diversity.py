"""Penalising repeats is the same as taking the best next item again and again."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.diversity import penalise_repeats

lists = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=25)
penalties = st.sampled_from((0.0, 0.05, 0.1, 0.25, 1.0, 10.0))


def one_by_one(scores: list[float], authors: list[int], penalty: float) -> list[tuple[int, float]]:
    """(position, adjusted) of the best next item, until none is left; of equals the first."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    left, taken, order = list(range(len(scores))), Counter[int](), []
    while left:
        worth = {
            at: np.float32(((scores[at] - low) / (high - low) if high > low else 0.0) - penalty * taken[authors[at]])
            for at in left
        }
        best = min(left, key=lambda at: (-worth[at], at))
        order.append((best, float(worth[best])))
        left.remove(best)
        taken[authors[best]] += 1
    return order


@given(lists, penalties)
def test_sorting_by_the_adjusted_score_is_greedy(found: list[tuple[int, int]], penalty: float) -> None:
    found = sorted(found, key=lambda one: -one[0])
    scores, authors = [one[0] / 4 for one in found], [one[1] for one in found]
    diverse = penalise_repeats(np.array(scores, np.float64), np.array(authors, np.int32), penalty)
    order = np.argsort(-diverse.adjusted, kind="stable").tolist()
    assert [(at, float(diverse.adjusted[at])) for at in order] == one_by_one(scores, authors, penalty)
    assert diverse.repeats.tolist() == [authors[:at].count(author) for at, author in enumerate(authors)]


def test_an_author_is_penalised_for_repeats_and_another_comes_between() -> None:
    diverse = penalise_repeats(np.array([1.0, 0.95, 0.9, 0.0]), np.array([7, 7, 8, 9], np.int32), 0.1)
    assert diverse.adjusted.tolist() == pytest.approx([1.0, 0.85, 0.9, 0.0])
    assert diverse.repeats.tolist() == [0, 1, 0, 0]


def test_without_a_penalty_the_order_stays() -> None:
    diverse = penalise_repeats(np.array([1.0, 0.95, 0.9]), np.array([7, 7, 7], np.int32), 0.0)
    assert diverse.adjusted.tolist() == pytest.approx([1.0, 0.5, 0.0])


def test_equal_scores_are_all_nothing_before_the_penalty() -> None:
    diverse = penalise_repeats(np.full(3, 4.2), np.array([7, 7, 8], np.int32), 0.1)
    assert diverse.adjusted.tolist() == pytest.approx([0.0, -0.1, 0.0])
    assert len(penalise_repeats(np.empty(0), np.empty(0, np.int32), 0.1).adjusted) == 0
