"""Filling an empty cache from the second tier, so that the first reader after a start finds memory warm."""

import logging
from collections.abc import Iterable

from cacheserver.residency import Residency
from feedgen.errors import BadRecord
from feedgen.feed.feedmap import combine
from feedgen.feed.roles import FeedStore

_log = logging.getLogger(__name__)


async def warm(residency: Residency, store: FeedStore, viewers: Iterable[str], capacity: int) -> int:
    """Admit stored feeds, in the order given, until the byte bound would evict one; says how many.

    The first is then the most recent, so the last to leave. About 0.3 ms a feed. `capacity`: items kept in a feed map.
    Raises StoreError.
    """
    admitted: list[str] = []
    for viewer in viewers:
        record = await store.get(viewer)
        if record is None or viewer in residency:
            continue
        try:
            feed = combine(record.bulk, record.live, capacity)
        except BadRecord as error:
            _log.warning("the stored feed of viewer %r is not used: %s", viewer, error)
            continue
        if not residency.has_room(viewer, feed):
            break
        if residency.admit(viewer, feed) is not None:
            admitted.append(viewer)
    for viewer in reversed(admitted):
        residency.read(viewer)
    return len(admitted)
