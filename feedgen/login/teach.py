"""`python -m feedgen.login.teach VISITS MODEL UNTIL MOMENTS`: train the login predictor in a process of its own.

In the server's process a training would take turns with every request for a minute, for want of a second interpreter.
"""

import os
import sys
from pathlib import Path
from typing import Final

import numpy as np

from feedgen.errors import ModelError
from feedgen.login.training import train
from feedgen.login.visits import Visits

TOO_FEW: Final = 3
"""Exit status where there is too little to learn from."""
_NICE: Final = 10


def save_visits(visits: Visits, path: Path) -> None:
    """Write visits for `main`. Raises OSError."""
    told = np.ones(len(visits.ts), np.bool_) if visits.told is None else visits.told
    with path.open("wb") as file:
        np.savez(file, viewers=visits.viewers, ts=visits.ts, came=visits.came, told=told)


def main(visits_path: str, model_path: str, until: str, moments: str) -> int:
    """Train on so many moments before `until` (s); the exit status."""
    os.nice(_NICE)
    with np.load(visits_path, allow_pickle=False) as file:
        visits = Visits(file["viewers"], file["ts"], file["came"], (), file["told"])
    try:
        committee = train(visits, float(until), moments=int(moments))
    except ModelError:
        return TOO_FEW
    committee.save(Path(model_path))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
