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


_jit: Any = njit  # its annotations know no wrappers
_FOLDER: Final = str(_ROOM / "__pycache__" / f"signals-{_digest()}")


_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile at the first call, and keep it on disk beside the sources, or where NUMBA_CACHE_DIR says."""
    return _kept(function, for_python=True)


def inner(function: _Function) -> _Function:
    """The same for what only compiled functions call: without a way in from Python, which takes long to compile."""
    return _kept(function, for_python=False)


def _kept(function: _Function, *, for_python: bool) -> _Function:
    settings = vars(config)
    before = settings.get("CACHE_DIR", "")
    if not os.environ.get("NUMBA_CACHE_DIR"):
        settings["CACHE_DIR"] = _FOLDER
    try:
        made = _jit(
            cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=not for_python
        )(function)
        return cast(_Function, made)
    finally:
        settings["CACHE_DIR"] = before
