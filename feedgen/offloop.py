"""Work off the event loop that is waited for to its end."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread`, except that a cancelled caller waits until the thread has ended before it lets go.

    A thread cannot be stopped: leaving at once would open the gate while the thread is still inside. However often the
    caller is cancelled, it waits; an error in the thread is then logged, as it has nobody to go to.
    """
    # A future and not a task: the end of `asyncio.run` cancels every task, and a cancelled task looks finished.
    work = asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue
        if (error := work.exception()) is not None:
            _log.error("%s failed after its caller had given up", function, exc_info=error)
        raise
