"""Has the login predictor trained on the log, now and then, in a process of its own."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from feedgen.errors import ModelError
from feedgen.feed.roles import Clock
from feedgen.gate import EpochGate
from feedgen.login.committee import Committee
from feedgen.login.foresight import Foresight
from feedgen.login.predictor import Learnt
from feedgen.login.teach import TOO_FEW, save_visits
from feedgen.login.training import MOMENTS
from feedgen.offloop import in_thread

_log = logging.getLogger(__name__)

MODEL: Final = "login-model.npz"
"""In the data folder: the network trained last. Its age is the file's."""
FIRST_AFTER_S: Final = 60.0
"""Real seconds from the start to the first training: a start has enough to do, and a short run needs none."""
_HOUR_S: Final = 3_600.0


class Teacher:
    """Loads what was learnt, and has it learnt anew every `train_hours`. Owns the process that does."""

    def __init__(
        self,
        foresight: Foresight,
        gate: EpochGate,
        clock: Clock,
        data_dir: Path,
        train_hours: float,
        first_after_s: float = FIRST_AFTER_S,
        moments: int = MOMENTS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._foresight = foresight
        self._gate = gate
        self._clock = clock
        self._model = data_dir / MODEL
        self._every_s = train_hours * _HOUR_S
        self._first_after_s = first_after_s
        self._moments = moments
        self._wall = wall
        self.trainings = 0
        self.learnt = False
        """Whether trained networks predict; else the rhythm of each viewer does."""

    def load(self) -> None:
        """Predict by the networks trained last, if there is one. One that cannot be read is said, and learnt anew."""
        try:
            committee = Committee.load(self._model)
        except ModelError as error:
            _log.warning("%s", error)
            self._model.unlink(missing_ok=True)
            return
        if committee is not None:
            self._foresight.learn(Learnt(committee))
            self.learnt = True

    async def run(self) -> None:
        """Train when it is time, until cancelled. What goes wrong is said, and tried again next time."""
        if not self._every_s:
            return
        await asyncio.sleep(max(self._first_after_s, self._every_s - self._age_s()))
        while True:
            try:
                await self.train()
            except (OSError, ModelError) as error:
                _log.warning("the login predictor was not trained: %s", error)
            await asyncio.sleep(self._every_s)

    async def train(self) -> bool:
        """Train on the log as it is folded; False where it holds too few logins. Raises ModelError, OSError."""
        async with self._gate.batch():
            visits = await in_thread(self._foresight.past)
        with TemporaryDirectory(prefix="feedgen-") as folder:
            told = Path(folder) / "visits.npz"
            await in_thread(save_visits, visits, told)
            status = await _in_a_process(str(told), str(self._model), repr(self._clock()), str(self._moments))
        if status == TOO_FEW:
            return False
        if status:
            raise ModelError(f"the training ended with status {status}")
        self.trainings += 1
        self.load()
        return True

    def _age_s(self) -> float:
        try:
            return self._wall() - self._model.stat().st_mtime
        except FileNotFoundError:
            return float("inf")


async def _in_a_process(*args: str) -> int:
    """One BLAS thread: the matrices are small, and the server needs the other cores."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "feedgen.login.teach", *args), env=environment, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
