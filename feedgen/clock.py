"""Domain time: what `now` means to the feeds. Deadlines and idle times use the real clock, not this one."""

import time
from collections.abc import Callable


class DomainClock:
    """Stands at a moment until it is begun, then goes on with the real clock.

    Standing still makes every feed of one `feedgen generate` a feed of the same moment.
    """

    def __init__(self, start: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`start`: seconds since the epoch, UTC."""
        self._start = start
        self._monotonic = monotonic
        self._began: float | None = None

    def begin(self) -> None:
        """Go on from here. Once begun it stays begun."""
        if self._began is None:
            self._began = self._monotonic()

    def __call__(self) -> float:
        """Now, in seconds since the epoch."""
        return self._start if self._began is None else self._start + self._monotonic() - self._began
