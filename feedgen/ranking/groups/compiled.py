"""The compiler of the loops of the signals."""

from pathlib import Path
from typing import Final

from feedgen.compiling import Compiler

_ROOM: Final = Path(__file__).parent
_OUTSIDE: Final = ("binding", "prefetch", "state/attributes", "state/engagement", "state/lists", "turning")
"""Modules whose constants are compiled in, or whose functions are called."""
_OTHERS: Final = (_ROOM.parent.parent / f"{name}.py" for name in _OUTSIDE)

_COMPILER: Final = Compiler(_ROOM, "signals", [*sorted(_ROOM.glob("*.py")), *_OTHERS])
compiled, inner = _COMPILER.compiled, _COMPILER.inner
