"""The large network: what it is made of, and making it."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feedgen.synthetic import NetworkSpec, generate
from feedgen.synthetic.tables import Tables


def spec_of(viewers: int, seed: int) -> NetworkSpec:
    """For each viewer 100 follows, 10 posts, 100 posts seen and 50 engagements, on average over heavy tails."""
    return NetworkSpec(
        viewers=viewers,
        seed=seed,
        followees_mean=100.4,
        posts_per_author_day=0.339,
        logins_per_viewer_day=0.242,
        like_rate=0.13,
        comment_rate=0.025,
        share_rate=0.012,
        save_rate=0.018,
        click_rate=0.25,
        dwell_rate=0.062,
    )


def make(viewers: int, seed: int, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Draw the network and write its tables into `folder`; how long either took, and rows by table."""
    began = time.perf_counter()
    network = generate(
        spec_of(viewers, seed), lambda stage, done, total: tell(f"{stage}: {done:,} of {total:,}")
    )  # fmt: skip
    drawn = time.perf_counter()
    rows = Tables(network).write(folder, lambda table, count: tell(f"{table}: {count:,} rows"))
    return {
        "viewers": viewers,
        "draw_s": round(drawn - began, 1),
        "write_s": round(time.perf_counter() - drawn, 1),
        "cpu_s": round(time.process_time(), 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "rows": rows,
    }
