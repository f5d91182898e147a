"""A thread is waited for to its end, however often its caller is cancelled."""

import asyncio
import logging
import threading

import pytest

from feedgen.offloop import in_thread


class Work:
    """A function that tells when it has begun, and ends when it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.ended = threading.Event()
        self._error = error

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(10)
        self.ended.set()
        if self._error is not None:
            raise self._error
        return "done"


async def begun(work: Work) -> "asyncio.Task[str]":
    task = asyncio.create_task(in_thread(work))
    assert await asyncio.to_thread(work.begun.wait, 10)
    return task


async def test_it_gives_what_the_function_gives() -> None:
    assert await in_thread(int, "ff", base=16) == 255
    with pytest.raises(ValueError):
        await in_thread(int, "no number")


async def test_a_cancelled_caller_waits_for_the_thread_however_often_it_is_cancelled() -> None:
    work = Work()
    task = await begun(work)
    for _ in range(3):
        task.cancel()
        await asyncio.wait([task], timeout=0.02)
        assert not task.done()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended.is_set()


async def test_an_error_in_the_thread_of_a_cancelled_caller_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(RuntimeError("a torn column"))
    task = await begun(work)
    task.cancel()
    work.go.set()
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await task
    assert "a torn column" in caplog.text


def test_the_end_of_the_loop_does_not_make_a_running_thread_look_finished() -> None:
    work = Work()
    ended_first: list[bool] = []

    async def caller() -> None:
        try:
            await in_thread(work)
        finally:
            ended_first.append(work.ended.is_set())

    async def leave_early() -> None:
        asyncio.get_running_loop().call_later(0.05, work.go.set)
        task = asyncio.create_task(caller())
        assert await asyncio.to_thread(work.begun.wait, 10)
        assert not task.done()

    asyncio.run(leave_early())
    assert ended_first == [True]
