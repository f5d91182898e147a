"""Whether memory and disk are enough for what is about to be made: looked at before, not found out half-way."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_GB = 1e9


class Room(NamedTuple):
    """Bytes of memory, and of disk in the temporary folder."""

    memory: float
    disk: float = 0.0


class _Files(NamedTuple):
    """Where a version of control groups has its limits: the files of a group, and what of `memory.stat` is cache."""

    mount: str
    limit: str
    used: str
    cache: str


_UNIFIED: Final = _Files("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
_OLDER: Final = _Files("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_here(root: Path = Path("/")) -> Room:
    """What the system could give now, or a container it runs in: the least. `root`: where /proc and /sys are."""
    fields = dict(line.split(":") for line in (root / "proc/meminfo").read_text().splitlines())
    memory = min([int(fields["MemAvailable"].split()[0]) * 1024, *_left_in_groups(root)])
    return Room(memory, shutil.disk_usage(tempfile.gettempdir()).free)


def _left_in_groups(root: Path) -> Iterator[int]:
    """Of this process's control group and those around it, each that has a limit."""
    listed = root / "proc/self/cgroup"
    for line in listed.read_text().splitlines() if listed.exists() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            files, group = _OLDER if controllers else _UNIFIED, Path(path.lstrip("/"))
            # A container may be told the host's path, and sees itself at the top.
            for place in (group, *group.parents):
                yield from _left_in(root / files.mount / place, files)


def _left_in(group: Path, files: _Files) -> Iterator[int]:
    """What is left below its limit; what it could drop of its cache counts, as it does in MemAvailable."""
    limit = group / files.limit
    if limit.exists() and (most := limit.read_text().strip()) != "max":
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield int(most) - int((group / files.used).read_text()) + int(stat[files.cache])


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
