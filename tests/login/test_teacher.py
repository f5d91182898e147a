"""Training in a process of its own: what is learnt is kept, taken over, and found again by the next start."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from feedgen.config import Settings
from feedgen.gate import EpochGate
from feedgen.login.foresight import Foresight
from feedgen.login.predictor import Learnt, Rhythm
from feedgen.login.teacher import MODEL, Teacher
from feedgen.state.state import State
from tests.login.communities import DAY, START, community

DAYS = 40
NOW = START + float(DAYS * DAY)


def state(days: int) -> State:
    made = State(Settings().state, Settings().ranking)
    made.fold(list(enumerate(community(12, days), 1)))
    return made


def teacher(made: State, folder: Path, hours: float = 24.0, after_s: float = 0.0) -> tuple[Teacher, Foresight]:
    foresight = Foresight(made, Settings(), NOW)
    return Teacher(foresight, EpochGate(), lambda: NOW, folder, hours, after_s, moments=300), foresight


async def test_what_is_learnt_predicts_and_is_found_again(tmp_path: Path) -> None:
    made = state(DAYS)
    teaching, foresight = teacher(made, tmp_path)
    assert isinstance(foresight.predictor.hazards, Rhythm)
    assert await teaching.train()
    assert (teaching.trainings, teaching.learnt) == (1, True)
    assert isinstance(foresight.predictor.hazards, Learnt)
    promised = foresight.soon(["u1", "u0"], NOW + 4.5 * 3_600, 7_200.0)  # at five one day in five; at midnight
    again, other = teacher(made, tmp_path)
    again.load()
    assert other.soon(["u1", "u0"], NOW + 4.5 * 3_600, 7_200.0) == promised
    assert promised[0] > promised[1]


async def test_too_few_logins_teach_nothing_and_a_broken_model_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / MODEL).write_bytes(b"PK\x03\x04 no model")
    teaching, foresight = teacher(state(2), tmp_path)
    teaching.load()
    assert "is no login model" in caplog.text
    assert not await teaching.train()
    assert isinstance(foresight.predictor.hazards, Rhythm)
    assert os.listdir(tmp_path) == []


async def test_a_young_model_is_not_learnt_anew_and_no_process_outlives_its_owner(tmp_path: Path) -> None:
    made = state(DAYS)
    idle, _ = teacher(made, tmp_path, hours=0.0)
    await idle.run()  # switched off
    young, _ = teacher(made, tmp_path)
    (tmp_path / MODEL).write_bytes(b"")
    task = asyncio.create_task(young.run())
    await asyncio.sleep(0.1)
    assert young.trainings == 0
    task.cancel()
    busy, _ = teacher(made, tmp_path)
    training = asyncio.create_task(busy.train())
    children = await _begun()
    training.cancel()
    with suppress(asyncio.CancelledError):
        await training
    assert not set(children) & set(_children())


async def _begun() -> list[str]:
    for _ in range(2_000):
        if children := _children():
            return children
        await asyncio.sleep(0.01)
    raise AssertionError("no process was begun")


def _children() -> list[str]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process' children")
    found = []
    for pid in listed.read_text().split():
        with suppress(OSError):
            if b"feedgen.login.teach" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
