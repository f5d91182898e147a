"""How hot loops are compiled, and where the machine code is kept."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile
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
        """Keeps it where NUMBA_CACHE_DIR says, else in `room`/__pycache__, else, in a tree that cannot be written to,
        with the user's caches, under a digest of `sources`: all files whose functions are called or whose constants are
        compiled in, for numba looks at the file of a function only. Where nothing can be written it is not kept."""
        digest = blake2b(digest_size=8)
        for path in sources:
            digest.update(path.read_bytes())
        self._folder: Final = _writable(f"{name}-{digest.hexdigest()}", room)

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
        settings["CACHE_DIR"] = str(self._folder or "")
        try:
            wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": no_cpython_wrapper}
            cache = self._folder is not None
            made: _Function = _jit(cache=cache, nogil=True, error_model="numpy", **wrappers)(function)
        finally:
            settings["CACHE_DIR"] = before
        return made


def _writable(name: str, room: Path) -> Path | None:
    """The first folder of that name that files can be made in; numba itself would go on to one without the digest."""
    for place in _places(room):
        with suppress(OSError):
            (place / name).mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=place / name):
                return place / name
    return None


def _places(room: Path) -> Iterable[Path]:
    if said := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(said)
    yield room / "__pycache__"
    with suppress(RuntimeError):  # nobody's home is known
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forefeed"
