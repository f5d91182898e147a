"""Event bodies → valid events and refused ones. One bad event does not spoil the others."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from cacheserver.negotiation import decode
from cacheserver.problems import Refusal
from cacheserver.wire import JSON, MSGPACK, NDJSON, X_MSGPACK, Refused
from feedgen.errors import BadEvent
from feedgen.events import Event, decode_json, from_object

EVENT_TYPES: Final = (NDJSON, JSON, MSGPACK, X_MSGPACK)
_SLICE: Final = 500
"""Events validated before the loop may serve someone else: about 2 ms."""


class Taken(NamedTuple):
    """What a body held."""

    events: list[Event]
    refused: list[Refused]


async def take(body: bytes, media_type: str, now: float, most: int) -> Taken:
    """Every event of `body`, validated. Raises Refusal: 400 unreadable, empty or nothing valid; 413 past `most`."""
    if media_type == NDJSON:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        _bounded(len(lines), most)
        taken = await _each(lines, decode_json, now, lambda number, reason: Refused(reason, line=number))
    else:
        try:
            entries = decode(body, media_type, list[Any])
        except Refusal as error:
            alone = (
                "; send one event alone as [{…}], or as application/x-ndjson" if "got `object`" in str(error) else ""
            )
            raise Refusal(400, f"{error}{alone}") from None
        _bounded(len(entries), most)
        taken = await _each(
            list(enumerate(entries)), from_object, now, lambda index, reason: Refused(reason, index=index)
        )
    if not taken.events:
        raise Refusal(400, "every event of the body was refused; `refused` says why", taken.refused)
    return taken


def _bounded(count: int, most: int) -> None:
    if count == 0:
        raise Refusal(400, "the body holds no event")
    if count > most:
        raise Refusal(413, f"{count} events; a request takes {most} at most, send them in parts")


async def _each(
    entries: Sequence[tuple[int, Any]],
    read: Callable[[Any, float], Event],
    now: float,
    refuse: Callable[[int, str], Refused],
) -> Taken:
    taken = Taken([], [])
    for done, (place, raw) in enumerate(entries, 1):
        try:
            taken.events.append(read(raw, now))
        except BadEvent as error:
            taken.refused.append(refuse(place, str(error)))
        if done % _SLICE == 0:
            await asyncio.sleep(0)
    return taken
