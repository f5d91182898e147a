"""How the hot loops of state are compiled, and where the machine code is kept."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from numba import njit
from numba.core import config

_ROOM: Final = Path(__file__).parent
_jit: Any = njit  # its annotations know no wrappers
LOOPS: Final = ("hashing", "rooms", "moments", "deciding", "counting")
"""Modules of this package that hold compiled functions."""


def _folder() -> str:
    """Under a digest of the sources: numba looks at the file of a function only, not at those of what it calls."""
    digest = blake2b(digest_size=8)
    for name in LOOPS:
        digest.update((_ROOM / f"{name}.py").read_bytes())
    return str(_ROOM / "__pycache__" / f"loops-{digest.hexdigest()}")


def compiled(function: Callable[..., Any]) -> Any:
    """Compiled at first use, kept on disk, no interpreter lock while it runs, sums in the order written."""
    before = getattr(config, "CACHE_DIR", "")
    if not os.environ.get("NUMBA_CACHE_DIR"):  # that is the user's word
        vars(config)["CACHE_DIR"] = _FOLDER
    try:
        return _jit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    finally:
        vars(config)["CACHE_DIR"] = before


_FOLDER: Final = _folder()
