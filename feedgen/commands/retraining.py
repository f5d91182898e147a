"""Scheduled training beside a server, in a process of its own: in full once a day, moved on in between.

A process that fails is said, with its last words; the version that ranks stays. One that is cut off leaves nothing
behind but its rows, and the next one begins anew.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feedgen.config import Models
from feedgen.feed.roles import Clock

_log = logging.getLogger(__name__)
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
_LAST_WORDS: Final = 500
_NICENESS: Final = 10
_STEP_S: Final = 60.0


@dataclass(frozen=True)
class Due:
    """When the next training is, in domain time (s), and whether it is a full one."""

    at: float
    full: bool


def next_due(models: Models, now: float) -> Due | None:
    """What comes after `now`: the hour of the day for the full one, whole multiples of the hours for the others.

    A full one that falls on the moment of another takes its place. None where neither is wanted.
    """
    full = refresh = None
    if models.train_at_hour >= 0:
        moment = now // _DAY_S * _DAY_S + models.train_at_hour * _HOUR_S
        full = moment if moment > now else moment + _DAY_S
    if models.refresh_hours > 0:
        span_s = models.refresh_hours * _HOUR_S
        refresh = (now // span_s + 1) * span_s
    if full is not None and (refresh is None or full <= refresh):
        return Due(full, True)
    return None if refresh is None else Due(refresh, False)


class Retraining:
    """Trains as `models` says, and promotes what comes of it; the server finds the promotion by itself."""

    def __init__(self, models: Models, clock: Clock, data_dir: Path, config_path: Path | None) -> None:
        self._models = models
        self._clock = clock
        self._data_dir = data_dir
        self._config_path = config_path
        self.done = 0
        self.failed = 0

    def command(self, full: bool) -> Sequence[str]:
        """What is run."""
        args = [sys.executable, "-m", "feedgen", "train", "--promote", "--data", str(self._data_dir)]
        args += ["--until", f"{self._clock():.3f}"]
        if self._config_path is not None:
            args += ["--config", str(self._config_path)]
        return args if full else [*args, "--refresh"]

    async def run(self) -> None:
        """Wait, train, and again, until cancelled; a process under way is ended then."""
        while (due := next_due(self._models, self._clock())) is not None:
            await self._until(due.at)
            await self.train(due.full)

    async def _until(self, moment: float) -> None:
        """In steps, as a machine may sleep and its clock be set meanwhile."""
        left = moment - self._clock()
        while left > 0:
            await asyncio.sleep(min(left, _STEP_S))
            left = moment - self._clock()

    async def train(self, full: bool) -> bool:
        """Train now; whether it went well. One at a time."""
        process = await asyncio.create_subprocess_exec(
            *self.command(full),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)  # readers first
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if process.returncode == 0:
            self.done += 1
            return True
        self.failed += 1
        words = said.decode(errors="replace").strip()[-_LAST_WORDS:]
        _log.error("training failed (status %s), the version that ranks stays: %s", process.returncode, words)
        return False
