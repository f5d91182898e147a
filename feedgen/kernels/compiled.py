"""The compiler of the kernels of generation."""

from pathlib import Path
from typing import Final

from feedgen.compiling import Compiler

_ROOM: Final = Path(__file__).parent
_CONSTANTS: Final = (
    *("diversity", "ranking/exact", "ranking/features", "selection/epoch", "selection/sources", "selection/taste"),
    *("state/attributes", "state/engagement"),
)
_CALLED: Final = ("lending", "prefetch", "state/lists", "state/moments", "state/returning", "state/searching")
_OTHERS: Final = (_ROOM.parent / f"{name}.py" for name in (*_CONSTANTS, *_CALLED))

_COMPILER: Final = Compiler(_ROOM, "kernels", [*sorted(_ROOM.glob("*.py")), *_OTHERS])
compiled, inner = _COMPILER.compiled, _COMPILER.inner
