"""After `warm`, nothing that a server runs is compiled, or read from disk: the first request does not wait for it."""

import subprocess
import sys

import pytest

AFTER_WARM = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from numba.core.dispatcher import Dispatcher

from feedgen import warming


def known():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("feedgen."):
            for function in vars(module).values():
                if isinstance(function, Dispatcher):
                    found[f"{function.py_func.__module__}.{function.__name__}"] = len(function.signatures)
    return found


warming.warm()
before = known()

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.pipeline import Pipeline
from feedgen.state.bulk import Bulk
from feedgen.state.snapshot import Draft, Stand, map_columns, read_header
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate

settings = Settings()
network = generate(NetworkSpec(viewers=60, days=8, seed=3))
numbered = list(enumerate(network.events(), start=1))


def served(state, events):
    pipeline, done = Pipeline(state, settings), 0
    for size in (1, 2, 30, 5_000, 1_000_000):
        state.fold(events[done : done + size])
        done += size
        people = list(state.users.names)
        now = max(event.ts for _, event in events[:done])
        assert not any(isinstance(feed, Exception) for feed in pipeline.generate([*people, "stranger"], now))
        pipeline.trending(now)
        pipeline.rank_by_id(people[0], now)
        pipeline.older(people[0], until=now, after=None, exclude=(), limit=9)
        pipeline.shortlist(0, now)


def written_and_read(state):
    with TemporaryDirectory() as name:
        with Draft(Path(name) / "1") as draft:
            draft.write(state.columns())
            place = draft.finish(Stand(log="", watermark=1, last_event="", latest_ts=0.0, settings={}))
        again = State(settings.state, settings.ranking)
        again.restore(map_columns(place, read_header(place)))
        return again


def churned(events):
    offset, ts = events[-1][0], events[-1][1].ts
    people = sorted({event.actor for _, event in events})
    for round in range(20):
        for way in ("follow", "unfollow", "like", "view", "block", "mute", "user"):
            for place, actor in enumerate(people):
                offset += 1
                other = people[(place + 7 * round + 1) % len(people)]
                if way == "user":
                    yield offset, Event(f"c{offset}", way, ts + round, actor, None, {"verified": round % 2 == 0})
                elif way == "view":
                    yield offset, Event(f"c{offset}", way, ts + round, actor, None, {"objects": [f"x{round}"]})
                elif other != actor:
                    yield offset, Event(f"c{offset}", way, ts + round, actor, f"x{place}" if way == "like" else other)


state = State(settings.state, settings.ranking)
served(state, numbered)
again = written_and_read(state)
served(again, list(churned(numbered)))
if "bulk" in sys.argv:
    import pyarrow  # noqa: F401

    from feedgen.importers.bulk import BulkReader
    from feedgen.synthetic.tables import Tables

    with TemporaryDirectory() as name:
        Tables(network).write(Path(name))
        state = State(settings.state, settings.ranking)
        BulkReader(Path(name), numbered[-1][1].ts).load(state, lambda table, rows: None)
        served(written_and_read(state), numbered)
after = known()
print({name: (count, before.get(name, 0)) for name, count in after.items() if count > before.get(name, 0)})
"""


@pytest.mark.parametrize("which", ["events", "bulk"])
def test_nothing_is_compiled_after_warming(which: str) -> None:
    if which == "bulk":
        pytest.importorskip("pyarrow", reason="bulk imports need the extra `parquet`")
    done = subprocess.run(
        [sys.executable, "-c", AFTER_WARM, which], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout == "{}\n"
