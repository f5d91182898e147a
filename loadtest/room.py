"""Whether memory and disk are enough for what is about to be made: looked at before, not found out half-way."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

_GB = 1e9


class Room(NamedTuple):
    """Bytes of memory, and of disk in the temporary folder."""

    memory: float
    disk: float = 0.0


def free_here() -> Room:
    """What the system could give now."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return Room(int(fields["MemAvailable"].split()[0]) * 1024, shutil.disk_usage(tempfile.gettempdir()).free)


class Rooms:
    """Room that is left, while one after the other claims some."""

    def __init__(self, left: Room) -> None:
        self._left = left

    def claim(self, need: Room) -> str | None:
        """Take it; or take nothing, and say what is missing."""
        left = self._left
        if need.memory > left.memory:
            return f"needs {need.memory / _GB:.1f} GB of memory, and {max(0.0, left.memory) / _GB:.1f} are left"
        if need.disk > left.disk:
            return (
                f"needs {need.disk / _GB:.1f} GB in {tempfile.gettempdir()}, and {max(0.0, left.disk) / _GB:.1f} are "
                "left; set TMPDIR to a folder on a larger disk"
            )
        self._left = Room(left.memory - need.memory, left.disk - need.disk)
        return None
