"""How far a step is that takes minutes."""

import time
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 10.0


class Progress:
    """Tells at most every ten seconds how many rows are done, of how many; nothing of what is done sooner."""

    def __init__(self, tell: Callable[[str], None], what: str, rows: int) -> None:
        self._tell, self._what, self._rows = tell, what, rows
        self._done, self._next = 0, time.monotonic() + _EVERY_S

    def add(self, rows: int) -> None:
        """So many more."""
        self._done += rows
        if time.monotonic() >= self._next:
            self._tell(f"{self._what}: {self._done:,} of {self._rows:,} rows")
            self._next = time.monotonic() + _EVERY_S
