"""How every kernel is compiled, and where the machine code is kept."""

from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from numba import njit
from numba.core import config

_ROOM: Final = Path(__file__).parent
_CONSTANTS: Final = (
    *("diversity", "ranking/exact", "ranking/features", "selection/epoch", "selection/sources", "selection/taste"),
    *("state/attributes", "state/engagement"),
)
_CALLED: Final = ("state/deciding", "state/moments")


def _digest() -> str:
    """Of the sources: numba looks at the file of a kernel only, not at those of the kernels it calls."""
    digest = blake2b(digest_size=8)
    for path in [*sorted(_ROOM.glob("*.py")), *(_ROOM.parent / f"{name}.py" for name in (*_CONSTANTS, *_CALLED))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


if not getattr(config, "CACHE_DIR", ""):  # NUMBA_CACHE_DIR is the user's word
    vars(config)["CACHE_DIR"] = str(_ROOM / "__pycache__" / f"kernels-{_digest()}")

_jit: Any = njit  # its annotations know no wrappers
_SETTINGS: Final = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

compiled: Final = _jit(**_SETTINGS)
"""Kept on disk, by the sources and the kind of CPU; no lock while it runs; sums in the order written (no fastmath), so
that each result has the same bits everywhere; a division by zero is IEEE's, not an exception."""

inner: Final = _jit(**_SETTINGS, no_cpython_wrapper=True)
"""The same for what only kernels call. A way in from Python, which takes a hundred arrays apart, was three quarters of
the time that compiling took."""
