"""Taste by the kernel: the bits that selection.taste defines, whatever number of topics posts have."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from feedgen import config
from feedgen.kernels.columns import Columns
from feedgen.kernels.marks import Marks, Past
from feedgen.kernels.network import Network
from feedgen.kernels.tables import Table
from feedgen.kernels.taste import match, taste
from feedgen.selection.taste import Offered
from feedgen.selection.taste import match as plain_match
from feedgen.selection.taste import taste as plain_taste
from feedgen.state.attributes import TOPICS_MAX
from tests.worlds import NOW, Story

_FOLLOWEES = 5
_FEW = ("tea", "oak", "elm")
_MANY = (*_FEW, *(f"t{number}" for number in range(TOPICS_MAX)))

_few = st.lists(st.sampled_from(_FEW), max_size=2, unique=True)
_any = st.lists(st.sampled_from(_MANY), max_size=TOPICS_MAX, unique=True)
topics = st.one_of(_few, _few, _any)
posts = st.lists(st.tuples(st.integers(0, _FOLLOWEES - 1), topics), min_size=1, max_size=30)
some = st.lists(st.integers(0, 1 << 16), max_size=8)


@njit
def _tasted(
    columns: Columns,
    marks: Marks,
    network: Network,
    written: NDArray[np.int32],
    owners: int,
    past: Past,
    which: NDArray[np.int32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cares, matched = taste(columns, marks, network, written, owners, past), np.empty(len(which))
    match(columns, cares, which, matched)
    return cares, matched


def _parts(story: Story) -> tuple[Columns, Marks]:
    """What kernels see of the story."""
    chooser = story.pipeline._batches._chooser
    return chooser.columns_at(story.pipeline._epoch_at(NOW)), chooser.marks()


def _chosen(numbers: list[int], count: int) -> NDArray[np.int32]:
    """Posts, each once."""
    return np.unique(np.array([number % count for number in numbers], np.int32))


@settings(max_examples=150, deadline=None)
@given(posts, some, some, some)
def test_the_kernel_has_the_bits_of_the_twin(
    told: list[tuple[int, list[str]]], wrote: list[int], saw: list[int], liked: list[int]
) -> None:
    story = Story(msgspec.structs.replace(config.Settings(), state=config.State(posts_per_author=40)))
    for number, (author, about) in enumerate(sorted(told, key=lambda one: one[0])):
        story.tell(f"friend{author}", "post", f"p{number}", days=1 - number / 100, topics=about)
    count, owner = len(told), np.array(sorted(author for author, _ in told), np.uint32)
    found, (columns, marks) = np.arange(count, dtype=np.int32), _parts(story)
    written, viewed, favoured = _chosen(wrote, count), _chosen(saw, count), _chosen(liked, count)
    network = Network(found, story.state.posts.created[found], owner)
    past = Past(viewed, np.zeros(len(viewed), np.int64), favoured, Table(np.full((16, 2), -1, np.int32)))
    cares, matched = _tasted(columns, marks, network, written, _FOLLOWEES, past, found)
    offered = Offered(found, owner.astype(np.int64), _FOLLOWEES)
    exposed: NDArray[Any] = viewed if len(viewed) else found
    expected = plain_taste(story.state, offered, written, exposed, favoured)
    assert cares.tobytes() == expected.tobytes()
    assert matched.tobytes() == plain_match(story.state, expected, found).tobytes()
    assert (marks.cell == -1).all()
