"""Rows under a post: what was appended is found, however appends and reads take turns."""

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedgen.state.bypost import ByPost

Row = tuple[int, int, int]
rows = st.tuples(st.integers(0, 9), st.integers(0, (1 << 31) - 1), st.integers(0, (1 << 32) - 1))
wanted = st.lists(st.integers(0, 14), unique=True, max_size=6)


def read(kept: ByPost, posts: list[int]) -> list[Row]:
    """The rows of `posts`, each where it says it belongs."""
    place, found = kept.of(np.array(posts, np.int32))
    assert [posts[at] for at in place.tolist()] == found.post.tolist()
    return list(zip(*(column.tolist() for column in found), strict=True))


def read_all(kept: ByPost, first: int = 0) -> list[Row]:
    return list(zip(*(column.tolist() for column in kept.since(first)), strict=True))


@given(st.lists(st.lists(rows, max_size=25) | wanted.map(tuple), max_size=12))
def test_it_finds_what_a_plain_dict_of_lists_holds(turns: list[list[Row] | tuple[int, ...]]) -> None:
    kept = ByPost()
    plain: defaultdict[int, list[Row]] = defaultdict(list)
    told: list[Row] = []
    for turn in turns:
        if isinstance(turn, tuple):
            assert Counter(read(kept, list(turn))) == Counter(row for post in turn for row in plain[post])
            continue
        for row in turn:
            kept.append(*row)
            plain[row[0]].append(row)
            told.append(row)
        assert len(kept) == len(told)
        assert read_all(kept, len(told) // 2) == told[len(told) // 2 :]
    assert Counter(read(kept, list(range(15)))) == Counter(told)


def test_several_threads_that_read_the_same_find_the_same() -> None:
    rng = np.random.default_rng(3)
    kept = ByPost()
    plain: defaultdict[int, list[Row]] = defaultdict(list)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):  # a fold, then a batch of readers, of which the first to come sorts what is new
            for post, who in rng.integers(0, 50, (300, 2)).tolist():
                kept.append(post, who, post * who)
                plain[post].append((post, who, post * who))
            asked = [rng.choice(60, 8, replace=False).tolist() for _ in range(16)]
            for posts, found in zip(asked, threads.map(lambda posts: read(kept, posts), asked), strict=True):
                assert Counter(found) == Counter(row for post in posts for row in plain[post])


def test_one_who_kept_what_it_read_does_not_hinder_the_next_append() -> None:
    kept = ByPost()
    kept.append(0, 1, 2)
    held = kept.of(np.array([0])), kept.since(0)
    for number in range(1_000):
        kept.append(0, number, 0)
    assert held[0][1].value.tolist() == held[1].value.tolist() == [2]
    assert len(read(kept, [0])) == 1_001
