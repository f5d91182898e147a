"""The item store and the explainer: what the cache server asks of state, answered between folds."""

from collections.abc import Container
from typing import Any

from feedgen.explaining import FeedExplainer
from feedgen.feed.record import FeedItem
from feedgen.feed.roles import Clock
from feedgen.gate import EpochGate
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline


class ItemStore:
    """roles.OlderPosts over the pipeline."""

    def __init__(self, pipeline: Pipeline, gate: EpochGate) -> None:
        self._pipeline = pipeline
        self._gate = gate

    async def created_at(self, item_id: str) -> float | None:
        """O(1), between folds."""
        async with self._gate.batch():
            return self._pipeline.known_post_created_at(item_id)

    async def older(
        self, viewer: str, *, until: float, after: str | None, exclude: Container[str], limit: int
    ) -> list[FeedItem]:
        """O(network log network) in a thread."""
        async with self._gate.batch():
            return await in_thread(self._pipeline.older, viewer, until=until, after=after, exclude=exclude, limit=limit)


class PipelineExplainer:
    """roles.Explainer: explains the feed that would be generated now."""

    def __init__(self, explainer: FeedExplainer, gate: EpochGate, clock: Clock) -> None:
        self._explainer = explainer
        self._gate = gate
        self._clock = clock

    async def explain(self, viewer: str, item: str | None = None) -> dict[str, Any] | None:
        """One generation's work, in a thread."""
        async with self._gate.batch():
            return await in_thread(self._explainer.explain, viewer, self._clock(), item)
