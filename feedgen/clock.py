"""Domain time: what `now` means to the feeds. Deadlines and idle times use the real clock, not this one."""

import time
from collections.abc import Callable


class DomainClock:
    """Starts at a moment and goes on with the real clock."""

    def __init__(self, start: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`start`: seconds since the epoch, UTC."""
        self._start = start
        self._monotonic = monotonic
        self._began = monotonic()

    def __call__(self) -> float:
        """Now, in seconds since the epoch."""
        return self._start + self._monotonic() - self._began


class FixedClock:
    """Stands still: every feed of one `feedgen generate` is of the same moment."""

    def __init__(self, now: float) -> None:
        self._now = now

    def __call__(self) -> float:
        """The moment, in seconds since the epoch."""
        return self._now
