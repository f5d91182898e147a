"""A network as a file to import: one event a line, the same bytes for the same network."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from feedgen.ondisk import whole
from feedgen.synthetic.network import Network
from feedgen.synthetic.spec import ProgressHook

_LINES: Final = 4_096


class _Line(Struct):
    id: str
    type: str
    ts: float
    actor: str
    object: str | UnsetType
    attrs: dict[str, Any]


def write_jsonl(network: Network, path: Path, on_progress: ProgressHook | None = None) -> int:
    """Write every event to `path`, gzip-compressed if it ends in .gz; says how many. ~2 µs a line, ~3 compressed.

    The file appears whole or not at all. Raises OSError if it cannot be written.
    """
    encode = msgspec.json.Encoder().encode
    with whole(path) as raw, _packed(raw, path) as file:
        lines: list[bytes] = []
        for event in network.events(on_progress):
            target = UNSET if event.object is None else event.object
            lines.append(encode(_Line(event.id, event.type, event.ts, event.actor, target, event.attrs)))
            if len(lines) == _LINES:
                file.write(b"\n".join(lines) + b"\n")
                lines.clear()
        if lines:
            file.write(b"\n".join(lines) + b"\n")
    return len(network)


@contextmanager
def _packed(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if path.suffix != ".gz":
        yield raw
        return
    # No name and no time in the header: the same events give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
        yield cast(BinaryIO, packed)
