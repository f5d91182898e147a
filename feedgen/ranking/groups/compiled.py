"""How the loops of the signals are compiled, and where the machine code is kept."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit
from numba.core import config

_ROOM: Final = Path(__file__).parent
_CONSTANTS: Final = ("engagement", "attributes")
"""Modules of state whose constants are compiled in."""


def _digest() -> str:
    """Of the sources: numba looks at the file of a function only, not at those of the functions it calls."""
    digest = blake2b(digest_size=8)
    for path in [*sorted(_ROOM.glob("*.py")), *(_ROOM.parent.parent / f"state/{name}.py" for name in _CONSTANTS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


_FOLDER: Final = str(_ROOM / "__pycache__" / f"signals-{_digest()}")


_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile at the first call, and keep it on disk beside the sources, or where NUMBA_CACHE_DIR says."""
    settings = vars(config)
    before = settings.get("CACHE_DIR", "")
    if not os.environ.get("NUMBA_CACHE_DIR"):
        settings["CACHE_DIR"] = _FOLDER
    try:
        return cast(_Function, njit(cache=True, nogil=True, error_model="numpy")(function))
    finally:
        settings["CACHE_DIR"] = before
