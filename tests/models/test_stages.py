"""Both stages: a batch makes the same bytes as the stages one by one, and the same again for the same model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from feedgen.config import Models
from feedgen.events import Event
from feedgen.feed.record import Bulk, encode_bulk
from feedgen.models.lining import version_of
from feedgen.models.ranker import LineUp
from feedgen.pipeline import Pipeline
from tests.models.small import model
from tests.test_kernels import LOOKS, plain
from tests.worlds import PEOPLE, SMALL, events, folded


@settings(max_examples=30, deadline=None)
@given(events(), st.sampled_from(LOOKS), st.sampled_from(("linear", "trees", "stacked")), st.integers(3, 5))
def test_a_batch_makes_the_same_bytes_as_the_stages_one_by_one(
    found: list[Event], now: float, scorer: str, seed: int
) -> None:
    state = folded(found)
    chosen = replace(SMALL, models=Models(scorer=scorer, deadline_ms=1e6))  # type: ignore[arg-type]
    pipeline, other = Pipeline(state, chosen), Pipeline(state, chosen)
    for one in (pipeline, other):
        one.ranker.line_up = LineUp((version_of(model(seed), chosen),))
    whole = pipeline.generate(PEOPLE, now)
    for viewer, made in zip(PEOPLE, whole, strict=True):
        ranked = pipeline.rank_by_id(viewer, now)
        if ranked is None:
            assert made is None
            continue
        assert isinstance(made, Bulk), made
        assert encode_bulk(made) == encode_bulk(plain(state, pipeline, ranked))
    assert whole == other.generate(PEOPLE, now)
    assert not any(pipeline.ranker.counted.values())


@pytest.mark.parametrize("scorer", ["linear", "trees", "stacked"])
def test_another_model_gives_another_order(scorer: str) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, len(model().meta.inputs))).astype(np.float32)
    chosen = replace(SMALL, models=Models(scorer=scorer))  # type: ignore[arg-type]
    orders = set()
    for seed in (3, 4):
        version = version_of(model(seed), chosen)
        scores = version.heads.score(rows[:, : model().meta.linear_inputs].astype(np.float64))
        orders.add(tuple(np.argsort(scores).tolist()))
        if version.stage_two is not None and not version.stage_two.needs_ids:
            orders.add(tuple(np.argsort(version.stage_two.score(rows, None)).tolist()))
    assert len(orders) >= 2
