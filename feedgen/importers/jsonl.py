"""JSON Lines: one event a line. One pass, bounded memory, every refused line named."""

from collections.abc import Iterator
from typing import Final

from feedgen.errors import BadEvent
from feedgen.events import Event, decode_json
from feedgen.importers.intake import Batch, Refused, batched
from feedgen.importers.source import LINE_MAX_BYTES, Source, lines

_BOM: Final = b"\xef\xbb\xbf"


def batches(source: Source, now: float, size: int) -> Iterator[Batch]:
    """The events of `source` in batches of `size` lines; an event without an id gets one from source and content.

    `now`: domain time, s. A source that breaks off (gzip cut short, read error) ends in a batch with a `failure`.
    """
    return batched(_events(source, now), size)


def _events(source: Source, now: float) -> Iterator[Event | Refused]:
    for number, line in enumerate(lines(source.stream), 1):
        if line is None:
            yield Refused(number, f"longer than {LINE_MAX_BYTES} bytes")
            continue
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text or text.isspace():
            continue
        try:
            event = decode_json(text, now, derive_from=source.name)
        except BadEvent as reason:
            yield Refused(number, str(reason))
        else:
            yield event
