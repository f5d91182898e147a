"""How every kernel is compiled, and where the machine code is kept."""

from hashlib import blake2b
from pathlib import Path
from typing import Final

from numba import njit
from numba.core import config

_ROOM: Final = Path(__file__).parent
_CONSTANTS: Final = ("ranking/features", "selection/sources", "selection/taste", "state/attributes", "state/engagement")
_CALLED: Final = ("state/deciding", "state/moments")
"""Modules whose constants are compiled in, and whose functions are called."""


def _digest() -> str:
    """Of the sources: numba looks at the file of a kernel only, not at those of the kernels it calls."""
    digest = blake2b(digest_size=8)
    for path in [*sorted(_ROOM.glob("*.py")), *(_ROOM.parent / f"{name}.py" for name in (*_CONSTANTS, *_CALLED))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


if not getattr(config, "CACHE_DIR", ""):  # NUMBA_CACHE_DIR is the user's word
    vars(config)["CACHE_DIR"] = str(_ROOM / "__pycache__" / f"kernels-{_digest()}")

compiled: Final = njit(cache=True, nogil=True, error_model="numpy")
"""Kept on disk, by the sources and the kind of CPU; no lock while it runs; sums in the order written (no fastmath), so
that each result has the same bits everywhere; a division by zero is IEEE's, not an exception."""
