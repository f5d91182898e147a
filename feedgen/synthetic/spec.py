"""What a synthetic network is made from: size, span, seed and rates, validated."""

import math
from collections.abc import Callable
from typing import Final

from msgspec import Struct

DAY_S: Final = 86_400
SESSION_MAX_S: Final = 1_800
"""No session is longer, and no two sessions of a viewer begin closer together."""

ProgressHook = Callable[[str, int, int], None]
"""Called with (stage, done, total); stages come in a fixed order, `done` never falls within one."""

TOPICS: Final = (
    "football", "music", "film", "cooking", "travel", "photography", "politics", "technology", "gaming", "fashion",
    "fitness", "books", "cycling", "gardening", "art", "history", "science", "parenting", "business", "cats",
    "dogs", "jazz", "running", "design", "climate", "architecture", "astronomy", "chess", "theatre", "coffee",
    "programming", "hiking", "basketball", "poetry", "woodworking", "sailing", "birdwatching", "philosophy",
    "board games", "knitting",
)  # fmt: skip
"""Topic names, the most common first."""

_WHOLE: Final = {
    "viewers": (1, 2_000_000),
    "days": (1, 3_650),
    "seed": (0, (1 << 64) - 1),
    "topics": (1, len(TOPICS)),
    "slate_max": (1, 60),
}
_REAL: Final = {
    "followees_mean": (0.0, 1e6),
    "history_days": (1.0, 36_500.0),
    "newcomer_share": (0.0, 1.0),
    "posts_per_author_day": (0.0, 1_000.0),
    "logins_per_viewer_day": (0.0, 40.0),
    "seen_per_session": (1.0, 60.0),
    "popular_share": (0.0, 1.0),
}
_RATES: Final = (
    "like_rate", "comment_rate", "share_rate", "save_rate", "click_rate", "dwell_rate", "hide_rate", "report_rate",
    "not_interested_rate",
)  # fmt: skip


class NetworkSpec(Struct, frozen=True, kw_only=True):
    """Everything that decides a network; the same spec (and numpy version) gives the same network to the byte.

    Raises ValueError naming the field when a value is impossible.
    """

    viewers: int = 5_000
    """People; each may read and write. They are u0, u1, …"""
    followees_mean: float = 150.0
    """Follows per viewer, on average over a heavy tail; nobody follows more than everybody else."""
    days: int = 30
    """Length of the log's window, which ends at `end`: posts and sessions lie in it."""
    seed: int = 1
    end: int = 1_735_689_600
    """Moment the log ends (s since the epoch, UTC); every event is before it. Default: 2025-01-01."""
    history_days: float = 60.0
    """Days before the window over which people joined and most follows were made."""
    newcomer_share: float = 0.03
    """Share of the viewers who join during the window."""
    topics: int = 40
    posts_per_author_day: float = 0.45
    """Posts per person and day, on average over a heavy tail."""
    logins_per_viewer_day: float = 0.5
    """Sessions per viewer and day, on average over a heavy tail."""
    seen_per_session: float = 18.0
    """Mean of the geometric depth to which a viewer scrolls; a viewer who has seen all there is stops earlier."""
    slate_max: int = 60
    """Posts seen in one session at most."""
    popular_share: float = 0.1
    """Share of a slate that is drawn from the popular posts of everyone."""
    like_rate: float = 0.04
    """This and the rates below: share of seen posts that are engaged with, over the whole network."""
    comment_rate: float = 0.008
    share_rate: float = 0.004
    save_rate: float = 0.006
    click_rate: float = 0.09
    dwell_rate: float = 0.03
    hide_rate: float = 0.003
    report_rate: float = 0.0005
    not_interested_rate: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        for name, (low, high) in _WHOLE.items():
            _check(name, getattr(self, name), low, high, whole=True)
        for name, (least, most) in _REAL.items():
            _check(name, getattr(self, name), least, most)
        for name in _RATES:
            _check(name, getattr(self, name), 0.0, 0.99)
        earliest = self.days * DAY_S + math.ceil(self.history_days * DAY_S)
        _check("end", self.end, earliest, 1 << 40, whole=True)

    @property
    def start(self) -> int:
        """Moment the window begins (s since the epoch, UTC)."""
        return self.end - self.days * DAY_S


def _check(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{name} is {value!r}; {'a whole number' if whole else 'a number'} is needed")
    assert isinstance(value, (int, float))
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; {low} to {high} are possible")
