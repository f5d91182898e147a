"""What posts and users say about themselves, field by field: the greatest (ts, id) that names a field decides it."""

from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, copied
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
        self._posts_about = array("q")
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
        self._posts_about.extend([0] * (len(self._topic_names) - len(self._posts_about)))
        start = int(self._topic_at[post])
        for topic in self._topics.values[start : start + int(self._topic_count[post])].tolist():
            self._posts_about[topic] -= 1
        for topic in kept:
            self._posts_about[topic] += 1
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

    @property
    def posts_about(self) -> NDArray[np.int64]:
        """How many posts are about each topic; a copy. O(topics)."""
        return copied(self._posts_about)


class UserAttributes:
    """By dense user index: what users say about themselves, field by field, as far as it is known."""

    def __init__(self, languages: Symbols) -> None:
        self._languages = languages
        self._known: dict[str, dict[int, tuple[_Stamp, Any]]] = {
            name: {} for name in ("language", "birth_year", "utc_offset_min", "verified", "location")
        }

    def describe(self, user: int, ts: float, event_id: str, attrs: dict[str, Any]) -> None:
        """A `user` event: the fields that are named. O(fields)."""
        for name, column in self._known.items():
            if name not in attrs:
                continue
            known = column.get(user)
            if known is None or (ts, event_id) > known[0]:
                column[user] = (ts, event_id), attrs[name]
                if name == "language" and attrs[name]:
                    self._languages.intern(attrs[name])

    def said(self, user: int, field: str) -> Any:
        """What the user says of the field, None if nothing. O(1)."""
        known = self._known[field].get(user)
        return None if known is None else known[1]

    def language(self, user: int) -> int:
        """Index of the user's language, NONE if it is not known. O(1)."""
        name = self.said(user, "language")
        index = self._languages.find(name) if name else None
        return NONE if index is None else index

    def birth_year(self, user: int) -> int | None:
        """None if it is not known. O(1)."""
        born: int | None = self.said(user, "birth_year")
        return born
