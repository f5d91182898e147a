"""The compiler of the hot loops of state."""

from pathlib import Path
from typing import Final

from feedgen.compiling import Compiler

_ROOM: Final = Path(__file__).parent
LOOPS: Final = ("hashing", "rooms", "moments", "deciding", "counting", "lists", "merging", "returning", "searching")
"""Modules of this package that hold compiled functions."""

_COMPILER: Final = Compiler(_ROOM, "loops", (_ROOM / f"{name}.py" for name in LOOPS))
compiled, inner = _COMPILER.compiled, _COMPILER.inner
