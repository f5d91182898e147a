"""What the cache server is given: the one list of everything it asks of the outside."""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from cacheserver.residency import Residency
from feedgen.config import Settings
from feedgen.eventlog import EventLog
from feedgen.feed.roles import Clock, Explainer, FeedStore, Generator, NextAccess, OlderPosts


def _always() -> bool:
    return True


def _random_id() -> str:
    return f"made-{secrets.token_hex(12)}"


@dataclass(frozen=True, kw_only=True)
class Services:
    """The composition root fills this in; a role that is None is a feature this server does not have.

    `residency` is made before the server, because the workers that fill it come first. `clock` is domain time,
    `monotonic` the real clock in seconds, `wall` the real time of day (s, UTC), which signatures go by. `families` go
    out on /metrics as they are.
    """

    settings: Settings
    clock: Clock
    monotonic: Callable[[], float]
    residency: Residency
    store: FeedStore
    log: EventLog
    generator: Generator | None = None
    older: OlderPosts | None = None
    explainer: Explainer | None = None
    expected: NextAccess | None = None
    ready: Callable[[], bool] = _always
    families: Callable[[], Iterable[Metric]] = tuple
    wall: Callable[[], float] = time.time
    new_id: Callable[[], str] = _random_id
