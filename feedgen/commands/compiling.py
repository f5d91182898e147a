"""Compiling before a command's work begins, and saying so: it happens once on a machine."""

from collections.abc import Callable
from threading import Timer
from typing import Final

from feedgen.commands.console import to_stderr

_SAID_AFTER_S: Final = 3.0
"""Reading machine code from disk takes less."""


def announced(warm: Callable[[], None], what: str) -> None:
    """Call `warm`; if it takes long, a line for people says that `what` is compiled."""
    said = Timer(_SAID_AFTER_S, to_stderr, (f"feedgen: compiling {what}; this once, a minute or two",))
    said.daemon = True
    said.start()
    try:
        warm()
    finally:
        said.cancel()
