"""Has every compiled part of state compiled, or read from where it is kept, before anything waits for it."""

from typing import Final

import numpy as np

from feedgen.events import Event
from feedgen.state.arena import Arena
from feedgen.state.checksum import checksums
from feedgen.state.columns import Column
from feedgen.state.state import State
from feedgen.state.symbols import Symbols

_EVENTS: Final = (
    Event("1", "post", 0.5, "nobody", "nothing", {"topics": ["nothing"]}),
    Event("2", "post", 0.0, "nobody", "nothing else", {}),
    Event("3", "edit", 0.5, "nobody", "nothing", {"media": "none"}),
    Event("4", "user", 0.5, "nobody", None, {"verified": False}),
    Event("5", "follow", 0.5, "nobody", "no one", {}),
    Event("6", "block", 0.5, "nobody", "none", {}),
    Event("7", "like", 0.5, "nobody", "nothing", {}),
    Event("8", "hide", 0.5, "nobody", "nothing", {}),
    Event("9", "view", 0.5, "nobody", None, {"objects": ["nothing"]}),
    Event("10", "edit", 0.6, "nobody", "nothing", {"media": "image"}),
    Event("11", "user", 0.6, "nobody", None, {"verified": True}),
)
_OUTGROWING: Final = 100
"""Names for which the first table of Symbols is too small."""


def warm(state: State) -> None:
    """By what a few events, and what comes only with many, run. `state`: an empty one, which is written to."""
    state.fold(enumerate(_EVENTS, start=1))
    symbols = Symbols()
    symbols.intern_many([str(number) for number in range(_OUTGROWING)])
    arena = Arena(**{kind: Column(kind) for kind in ("int32", "uint32", "int64")})
    arena.reserve(np.ones(1, np.int64))
    arena.close_up()
    for written_to in (np.zeros(1, np.uint8), np.frombuffer(b"header", np.uint8)):
        checksums(written_to)
