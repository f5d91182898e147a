"""How hot loops are compiled, and where the machine code is kept."""

import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

from numba import njit
from numba.core import config

_jit: Any = njit  # its annotations know no wrappers
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Compiler:
    """Compiles the functions of one room at their first call; keeps their machine code, by the sources and the CPU.

    No interpreter lock while they run; sums in the order written (no fastmath), so that each result has the same bits
    everywhere; a division by zero is IEEE's, not an exception.
    """

    def __init__(self, room: Path, name: str, sources: Iterable[Path]) -> None:
        """Keeps it in `room`/__pycache__, or where NUMBA_CACHE_DIR says, under a digest of `sources`: all files whose
        functions are called or whose constants are compiled in, for numba looks at the file of a function only."""
        digest = blake2b(digest_size=8)
        for path in sources:
            digest.update(path.read_bytes())
        self._folder: Final = str(room / "__pycache__" / f"{name}-{digest.hexdigest()}")

    def compiled(self, function: _Function) -> _Function:
        """For what Python calls."""
        return self._kept(function, no_cpython_wrapper=False)

    def inner(self, function: _Function) -> _Function:
        """For what only compiled functions call. A way in from Python, which takes a hundred arrays apart, was three
        quarters of the time that compiling took."""
        return self._kept(function, no_cpython_wrapper=True)

    def _kept(self, function: _Function, *, no_cpython_wrapper: bool) -> _Function:
        settings = vars(config)
        before = settings.get("CACHE_DIR", "")
        if not os.environ.get("NUMBA_CACHE_DIR"):  # that is the user's word
            settings["CACHE_DIR"] = self._folder
        try:
            wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": no_cpython_wrapper}
            made: _Function = _jit(cache=True, nogil=True, error_model="numpy", **wrappers)(function)
        finally:
            settings["CACHE_DIR"] = before
        return made
