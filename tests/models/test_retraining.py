"""Scheduled training: when it is due, and what becomes of a process that fails."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.commands.retraining import Due, Retraining, next_due
from feedgen.config import Models
from tests.worlds import DAY, HOUR

MIDNIGHT = 20_000 * DAY


def test_when_the_next_one_is() -> None:
    assert next_due(Models(), MIDNIGHT) is None
    nightly = Models(train_at_hour=3)
    assert next_due(nightly, MIDNIGHT) == Due(MIDNIGHT + 3 * HOUR, True)
    assert next_due(nightly, MIDNIGHT + 3 * HOUR) == Due(MIDNIGHT + DAY + 3 * HOUR, True)
    both = Models(train_at_hour=3, refresh_hours=3.0)
    assert next_due(both, MIDNIGHT) == Due(MIDNIGHT + 3 * HOUR, True)
    assert next_due(both, MIDNIGHT + 3 * HOUR) == Due(MIDNIGHT + 6 * HOUR, False)


@given(st.integers(-1, 23), st.sampled_from((0.0, 0.5, 4.0, 7.0)), st.floats(0, 2e9))
def test_it_is_never_in_the_past(hour: int, refresh: float, now: float) -> None:
    due = next_due(Models(train_at_hour=hour, refresh_hours=refresh), now)
    if due is None:
        assert (hour, refresh) == (-1, 0.0)
    else:
        assert now < due.at <= now + DAY


class Told(Retraining):
    """One whose process is another program."""

    program = "pass"

    def command(self, full: bool) -> list[str]:
        return [sys.executable, "-c", self.program, str(full)]


async def test_a_process_that_fails_is_said_and_one_that_goes_well_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(Models(), lambda: MIDNIGHT, tmp_path, None)
    assert await told.train(True)
    told.program = "import sys; sys.exit('feedgen: 3 engagements are too few')"
    with caplog.at_level(logging.ERROR):
        assert not await told.train(False)
    assert "too few" in caplog.text
    assert (told.done, told.failed) == (1, 1)


async def test_a_stop_ends_the_process(tmp_path: Path) -> None:
    told = Told(Models(train_at_hour=0), lambda: MIDNIGHT, tmp_path, None)
    told.program = f"import time, pathlib; pathlib.Path({str(tmp_path / 'began')!r}).touch(); time.sleep(60)"
    running = asyncio.create_task(told.train(True))
    async with asyncio.timeout(20):
        for _ in range(900):
            if (tmp_path / "began").exists():
                break
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


def test_the_command_is_that_of_a_person(tmp_path: Path) -> None:
    retraining = Retraining(Models(), lambda: MIDNIGHT, tmp_path, tmp_path / "my.yaml")
    words = list(retraining.command(False))[1:]
    assert words[:4] == ["-m", "feedgen", "train", "--promote"]
    assert words[-3:] == ["--config", str(tmp_path / "my.yaml"), "--refresh"]
    assert f"{MIDNIGHT:.3f}" in words
