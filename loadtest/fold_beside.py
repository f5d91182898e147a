"""Events folded while a thread generates without pause, as in a server: batches and folds take turns at the gate."""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle, islice

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.gate import EpochGate
from feedgen.making import ThreadedMaker
from feedgen.offloop import in_thread
from feedgen.pipeline import Pipeline
from feedgen.state.state import State

Batch = list[tuple[int, Event]]


async def fold_beside(state: State, batches: Sequence[Batch], settings: Settings) -> dict[str, float]:
    """Fold the batches one after the other beside one thread of the pool; figures of all of it, waiting included.

    Viewers are all of the state's, in turns, at the time of the last event. Raises the error of a feed that fails.
    """
    gate, pipeline = EpochGate(), Pipeline(state, settings)
    now, made, viewers = batches[0][0][1].ts, 0, cycle([*state.users.names])
    maker = ThreadedMaker(lambda some: pipeline.generate(some, now), gate, 1, time.monotonic)

    async def generate() -> None:
        nonlocal made
        while True:
            results = await maker.results(list(islice(viewers, settings.worker.batch_viewers)))
            made += len(results)
            for failed in (result for result in results if isinstance(result, Exception)):
                raise failed

    generating = asyncio.create_task(generate())
    began, folding_s, events = time.perf_counter(), 0.0, 0
    try:
        for batch in batches:
            async with gate.fold():
                entered = time.perf_counter()
                await in_thread(state.fold, batch)
                folding_s += time.perf_counter() - entered
            now, events = batch[-1][1].ts, events + len(batch)
            if generating.done():
                break
        wall_s = time.perf_counter() - began
    finally:
        generating.cancel()
        (ended,) = await asyncio.gather(generating, return_exceptions=True)
        maker.close(wait=True)
    if isinstance(ended, Exception):
        raise ended
    return {
        "events_per_s": round(events / wall_s),
        "events_per_s_of_folding": round(events / folding_s),
        "feeds_per_s": round(made / wall_s),
        "wall_s": round(wall_s, 2),
    }
