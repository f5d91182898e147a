"""What posts and users say about themselves, field by field: the greatest (ts, id) that names a field decides it."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column
from feedgen.state.symbols import Symbols

NONE: Final = -1
"""No language given, no birth year given."""
TOPICS_MAX: Final = 16
"""Topics of a post that count, the first ones given; more are kept in the log only."""
MEDIA: Final = ("none", "image", "video", "link")
"""What a post shows; its code is the place in this list. A post that does not say shows nothing."""

_Stamp = tuple[float, str]


class PostAttributes:
    """By dense post index: `language` int32 or NONE, `min_age` and `media` uint8, `sensitive` bool, and the topics.

    A post's own event sets every field, given or not; an edit dated at or after it sets those it names.
    """

    def __init__(self, topic_names: Symbols, languages: Symbols) -> None:
        self._topic_names = topic_names
        self._languages = languages
        self._language = Column(np.int32, NONE)
        self._min_age = Column(np.uint8, 0)
        self._sensitive = Column(np.bool_, False)
        self._media = Column(np.uint8, 0)
        self._topic_at = Column(np.int64, 0)
        self._topic_count = Column(np.uint8, 0)
        self._topics = Column(np.int32, 0)
        self._set: dict[str, Callable[[int, Any], None]] = {
            "topics": self._set_topics,
            "language": self._set_language,
            "min_age": self._min_age.__setitem__,
            "sensitive": self._sensitive.__setitem__,
            "media": self._set_media,
        }
        self._empty: dict[str, Any] = {
            "topics": (),
            "language": None,
            "min_age": 0,
            "sensitive": False,
            "media": MEDIA[0],
        }
        self._last_edit: dict[int, dict[str, tuple[_Stamp, Any]]] = {}

    def reach(self, count: int) -> None:
        """Make room for posts below `count`. Amortised O(1) a post."""
        for column in (
            self._language,
            self._min_age,
            self._sensitive,
            self._media,
            self._topic_at,
            self._topic_count,
        ):
            column.reach(count)

    def create(self, post: int, ts: float, attrs: dict[str, Any]) -> None:
        """The post's own event, or an earlier one that takes its place. O(fields)."""
        edits = self._last_edit.get(post, {})
        for name, put in self._set.items():
            edit = edits.get(name)
            if edit is not None and edit[0][0] >= ts:
                put(post, edit[1])
            else:
                put(post, attrs.get(name, self._empty[name]))

    def edit(self, post: int, ts: float, event_id: str, attrs: dict[str, Any], created: float | None) -> None:
        """Change the fields that are named. `created`: when the post was, None if its own event has not come."""
        for name in [field for field in self._set if field in attrs]:
            edits = self._last_edit.setdefault(post, {})
            if name in edits and edits[name][0] >= (ts, event_id):
                continue
            edits[name] = (ts, event_id), attrs[name]
            if created is not None and ts >= created:
                self._set[name](post, attrs[name])

    def _set_topics(self, post: int, names: list[str]) -> None:
        kept = [self._topic_names.intern(name) for name in dict.fromkeys(names)][:TOPICS_MAX]
        start = self._topics.count
        self._topics.reach(start + len(kept))
        self._topics.values[start:] = kept
        self._topic_at[post] = start
        self._topic_count[post] = len(kept)

    def _set_language(self, post: int, name: str | None) -> None:
        self._language[post] = self._languages.intern(name) if name else NONE

    def _set_media(self, post: int, name: str) -> None:
        self._media[post] = MEDIA.index(name)

    @property
    def language(self) -> NDArray[np.int32]:
        """By post; a view until the next fold."""
        return self._language.values

    @property
    def min_age(self) -> NDArray[np.uint8]:
        """Years, 0 for everyone, by post; a view until the next fold."""
        return self._min_age.values

    @property
    def sensitive(self) -> NDArray[np.bool_]:
        """By post; a view until the next fold."""
        return self._sensitive.values

    @property
    def media(self) -> NDArray[np.uint8]:
        """Place in MEDIA, by post; a view until the next fold."""
        return self._media.values

    @property
    def topics(self) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]:
        """(first position, how many) by post, and the topics they point into; views until the next fold."""
        return self._topic_at.values, self._topic_count.values, self._topics.values


class UserAttributes:
    """By dense user index: language and birth year, as far as they are known."""

    def __init__(self, languages: Symbols) -> None:
        self._languages = languages
        self._language: dict[int, tuple[_Stamp, int]] = {}
        self._birth_year: dict[int, tuple[_Stamp, int]] = {}

    def describe(self, user: int, ts: float, event_id: str, attrs: dict[str, Any]) -> None:
        """A `user` event: the fields that are named. O(1)."""
        if "language" in attrs:
            language = self._languages.intern(attrs["language"]) if attrs["language"] else NONE
            self._keep(self._language, user, (ts, event_id), language)
        if "birth_year" in attrs:
            self._keep(self._birth_year, user, (ts, event_id), attrs["birth_year"])

    @staticmethod
    def _keep(column: dict[int, tuple[_Stamp, int]], user: int, stamp: _Stamp, value: int) -> None:
        known = column.get(user)
        if known is None or stamp > known[0]:
            column[user] = stamp, value

    def language(self, user: int) -> int:
        """Index of the user's language, NONE if it is not known. O(1)."""
        return self._language.get(user, (None, NONE))[1]

    def birth_year(self, user: int) -> int | None:
        """None if it is not known. O(1)."""
        known = self._birth_year.get(user)
        return None if known is None else known[1]
