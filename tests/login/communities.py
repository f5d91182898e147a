"""Small communities whose rhythm is known: who comes at which hour, how often."""

import numpy as np

from feedgen.events import Event
from feedgen.login.visits import Visits

DAY = 86_400
START = 19_000 * DAY
"""A Saturday's midnight, UTC."""


def community(viewers: int, days: int, seed: int = 0) -> list[Event]:
    """Viewer n comes around hour 5n of each day with a chance of 0.9 (even n) or 0.2, for ten minutes; by time."""
    rng = np.random.default_rng(seed)
    events = []
    for day in range(days):
        for viewer in range(viewers):
            if rng.random() < (0.2 if viewer % 2 else 0.9):
                second = int(5 * viewer % 24 * 3_600 + 1_800 + rng.normal(0, 900)) % (DAY - 700)
                came = START + day * DAY + second
                events.append((came, viewer, "login"))
                events.append((came + 600, viewer, "logout"))
    events.sort()
    return [Event(f"s{n}", kind, float(ts), f"u{viewer}") for n, (ts, viewer, kind) in enumerate(events)]


def visits(viewers: int = 12, days: int = 90, seed: int = 0) -> Visits:
    """The same in columns."""
    return Visits.of(community(viewers, days, seed))


def drifting(viewers: int, days: int, seed: int = 0) -> Visits:
    """Each viewer comes 20 hours after the last time, give or take 15 minutes: at no hour of the day more often."""
    rng = np.random.default_rng(seed)
    events = []
    for viewer in range(viewers):
        came = START + rng.uniform(0, 20) * 3_600
        while came < START + days * DAY:
            events.append(Event(f"i{len(events)}", "login", float(int(came)), f"u{viewer}"))
            events.append(Event(f"i{len(events)}", "logout", float(int(came) + 600), f"u{viewer}"))
            came += 20 * 3_600 + rng.normal(0, 900)
    return Visits.of(events)
