"""What posts and users say about themselves, field by field: the greatest (ts, id) that names a field decides it."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.edits import Edits
from feedgen.state.embeddings import Embeddings
from feedgen.state.stamps import Stamps
from feedgen.state.symbols import Symbols

NONE: Final = -1
"""Not given: a language, a birth year, a length, a place."""
LONGEST: Final = (1 << 31) - 1
"""What a greater length is taken for."""
TOPICS_MAX: Final = 16
"""Topics of a post that count, the first ones given; more are kept in the log only."""
UNSAID: Final = -(1 << 31)
MEDIA: Final = ("none", "image", "video", "link")
"""What a post shows; its code is the place in this list. A post that does not say shows nothing."""


class PostAttributes(Composite):
    """By dense post index: `language`, `length` and `location` int32 or NONE, `min_age` and `media` uint8, `sensitive`
    bool, the topics and the embedding.

    A post's own event sets every field, given or not; an edit dated at or after it sets those it names. 32 bytes a post
    and 4 a topic of it; each time topics are set anew, 4 each again, and so with embeddings.
    """

    def __init__(self, topic_names: Symbols, languages: Symbols, locations: Symbols) -> None:
        self._topic_names = topic_names
        self._languages = languages
        self._language = Column(np.int32, NONE)
        self._min_age = Column(np.uint8)
        self._sensitive = Column(np.bool_, False)
        self._media = Column(np.uint8)
        self._length = Column(np.int32, NONE)
        self._location = Column(np.int32, NONE)
        self.embeddings = Embeddings()
        self._topic_at = Column(np.int64)
        self._topic_count = Column(np.uint8)
        self._topics = Column(np.int32)
        self._posts_about = Column(np.int64)
        self._edits = Edits()
        self._fields: dict[str, tuple[Callable[[Any], int], Callable[[int, int], None]]] = {
            "topics": (self._kept, self._set_topics),
            "language": (lambda name: languages.intern(name) if name else NONE, self._language.__setitem__),
            "min_age": (int, self._min_age.__setitem__),
            "sensitive": (int, self._sensitive.__setitem__),
            "media": (MEDIA.index, self._media.__setitem__),
            "length": (lambda length: min(length, LONGEST), self._length.__setitem__),
            "location": (lambda name: locations.intern(name) if name else NONE, self._location.__setitem__),
            "embedding": (self.embeddings.keep, self.embeddings.put),
        }
        self._empty: dict[str, Any] = {
            "topics": (),
            "language": None,
            "min_age": 0,
            "sensitive": False,
            "media": MEDIA[0],
            "length": NONE,
            "location": None,
            "embedding": (),
        }

    def _parts(self) -> Mapping[str, Part]:
        return {
            "language": self._language,
            "min_age": self._min_age,
            "sensitive": self._sensitive,
            "media": self._media,
            "length": self._length,
            "location": self._location,
            "embeddings": self.embeddings,
            "topic_at": self._topic_at,
            "topic_count": self._topic_count,
            "topics": self._topics,
            "posts_about": self._posts_about,
            "edits": self._edits,
        }

    def reach(self, count: int) -> None:
        """Make room for posts below `count`. Amortised O(1) a post."""
        for column in (
            self._language,
            self._min_age,
            self._sensitive,
            self._media,
            self._length,
            self._location,
            self._topic_at,
            self._topic_count,
        ):
            column.reach(count)
        self.embeddings.reach(count)

    def create(self, post: int, ts: float, attrs: dict[str, Any]) -> None:
        """The post's own event, or an earlier one that takes its place. O(fields + edits near it)."""
        edited = self._edits.of(post)
        for number, (name, (code, put)) in enumerate(self._fields.items()):
            edit = edited.get(number)
            put(post, edit.value if edit and edit.ts >= ts else code(attrs.get(name, self._empty[name])))

    def edit(self, post: int, ts: float, event_id: str, attrs: dict[str, Any], created: float | None) -> None:
        """Change the fields that are named. `created`: when the post was, None if its own event has not come."""
        for number, (name, (code, put)) in enumerate(self._fields.items()):
            if name in attrs:
                value = code(attrs[name])
                if self._edits.keep(post, number, ts, event_id, value) and created is not None and ts >= created:
                    put(post, value)

    def create_bulk(self, posts: NDArray[np.integer[Any]], about: "Described") -> None:
        """The own events of posts that none was known of, each once. O(posts + topics).

        Raises ValueError where a post has a topic twice or more than TOPICS_MAX, or an edit came first.
        """
        bounds, topics = about.topic_bounds, about.topics
        counts = np.diff(bounds)
        row = np.repeat(np.arange(len(posts)), counts)
        if len(np.unique(row << 32 | topics)) < len(topics) or (len(counts) and counts.max() > TOPICS_MAX):
            raise ValueError(f"a post has a topic twice, or more than {TOPICS_MAX} topics")
        if len(self._edits):
            raise ValueError("posts are loaded in bulk before any edit is known")
        start = self._topics.count
        self._topics.extend(topics.astype(np.int32))
        self._topic_at.values[posts] = start + bounds[:-1] - bounds[0]
        self._topic_count.values[posts] = counts
        columns = self._language, self._min_age, self._sensitive, self._media, self._length, self._location
        for column, values in zip(columns, about[: len(columns)], strict=True):
            column.values[posts] = values
        self._posts_about.reach(len(self._topic_names))
        self._posts_about.values[:] += np.bincount(topics, minlength=len(self._topic_names))

    def _kept(self, names: list[str]) -> int:
        """Where the topics stand, and how many there are: start << 8 | count."""
        kept = [self._topic_names.intern(name) for name in dict.fromkeys(names)][:TOPICS_MAX]
        start = self._topics.count
        self._topics.extend(np.array(kept, np.int32))
        return start << 8 | len(kept)

    def _set_topics(self, post: int, packed: int) -> None:
        self._posts_about.reach(len(self._topic_names))
        about, topics = self._posts_about.values, self._topics.values
        start = int(self._topic_at[post])
        np.subtract.at(about, topics[start : start + int(self._topic_count[post])], 1)
        start, count = packed >> 8, packed & 0xFF
        np.add.at(about, topics[start : start + count], 1)
        self._topic_at[post], self._topic_count[post] = start, count

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
    def length(self) -> NDArray[np.int32]:
        """As the post says, 2³¹ − 1 at most, NONE where it says nothing; by post; a view until the next fold."""
        return self._length.values

    @property
    def location(self) -> NDArray[np.int32]:
        """Index of the place, as in UserAttributes.locations, or NONE; by post; a view until the next fold."""
        return self._location.values

    @property
    def topics(self) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]:
        """(first position, how many) by post, and the topics they point into; views until the next fold."""
        return self._topic_at.values, self._topic_count.values, self._topics.values

    @property
    def posts_about(self) -> NDArray[np.int64]:
        """How many posts are about each topic; a copy. O(topics)."""
        counts = np.zeros(len(self._topic_names), np.int64)
        counts[: self._posts_about.count] = self._posts_about.values
        return counts


class Described(NamedTuple):
    """What posts say about themselves, parallel: indices of languages and places, lengths, or NONE; `media` by place in
    MEDIA; the topics of post n are `topics[topic_bounds[n]:topic_bounds[n + 1]]`."""

    language: NDArray[np.int32]
    min_age: NDArray[np.uint8]
    sensitive: NDArray[np.bool_]
    media: NDArray[np.uint8]
    length: NDArray[np.int32]
    location: NDArray[np.int32]
    topic_bounds: NDArray[np.int64]
    topics: NDArray[np.int32]


class _Field(Composite):
    """One field of all users: `value`, UNSAID where nothing is known, and what decided it. 12 bytes a user."""

    def __init__(self) -> None:
        self.value = Column(np.int32, UNSAID)
        self.time = Column(np.uint32)
        self.event = Column(np.uint32)

    def _parts(self) -> Mapping[str, Part]:
        return {"value": self.value, "time": self.time, "event": self.event}

    def reach(self, count: int) -> None:
        """Make room for users below `count`."""
        for column in (self.value, self.time, self.event):
            column.reach(count)


class UserAttributes(Composite):
    """By dense user index: what users say about themselves, field by field, as far as it is known.

    12 bytes a field and user, and the ids of the events that said it.
    """

    FIELDS: Final = ("language", "birth_year", "utc_offset_min", "verified", "location")

    def __init__(self, languages: Symbols) -> None:
        self._languages = languages
        self._locations = Symbols()
        self._known = {name: _Field() for name in self.FIELDS}
        self._stamps = Stamps()

    def _parts(self) -> Mapping[str, Part]:
        return {**self._known, "locations": self._locations, "stamps": self._stamps}

    def describe(self, user: int, ts: float, event_id: str, attrs: dict[str, Any]) -> None:
        """A `user` event: the fields that are named. O(fields)."""
        handle = None
        for name in self.FIELDS:
            if name not in attrs:
                continue
            field = self._known[name]
            field.reach(user + 1)
            before = self.decided(user, name)
            if before is None or (ts, event_id) > before:
                handle = self._stamps.keep(event_id) if handle is None else handle
                field.value[user] = self._code(name, attrs[name])
                field.time[user] = self._stamps.code(ts, 0 if before is None else int(field.time[user]))
                field.event[user] = handle

    def describe_bulk(
        self, users: NDArray[np.integer[Any]], name: str, values: NDArray[np.integer[Any]], ts: NDArray[np.float64]
    ) -> None:
        """One field of users of whom it is not known, each once; the events' ids are "".

        `values`: an index of the languages or `locations`, the number, 0 or 1. O(users). Raises ValueError where it is
        known.
        """
        field = self._known[name]
        field.reach(int(users.max(initial=-1)) + 1)
        if (field.value.values[users] != UNSAID).any():
            raise ValueError(f"{name} is known of a user already")
        field.value.values[users] = values
        field.time.values[users] = self._stamps.codes(ts)

    @property
    def locations(self) -> Symbols:
        """The places that users named."""
        return self._locations

    def _code(self, name: str, value: Any) -> int:
        if name == "language":
            return self._languages.intern(value) if value else NONE
        return self._locations.intern(value) if name == "location" else int(value)

    def decided(self, user: int, field: str) -> tuple[float, str] | None:
        """Time and id of the event that decided the field, None if none did. O(1)."""
        known = self._known[field]
        if user >= known.value.count or known.value[user] == UNSAID:
            return None
        return self._stamps.time(known.time[user]), self._stamps.id(known.event[user])

    def said(self, user: int, field: str) -> Any:
        """What the user says of the field, None if nothing. O(1)."""
        known = self._known[field].value
        code = int(known[user]) if user < known.count else UNSAID
        if code == UNSAID:
            return None
        if field == "language":
            return "" if code == NONE else self._languages.name(code)
        if field == "location":
            return self._locations.name(code)
        return bool(code) if field == "verified" else code

    def codes(self, users: NDArray[np.integer[Any]], field: str) -> NDArray[np.int32]:
        """What the users say of the field as it is kept: an index, a number, 0 or 1; UNSAID if nothing. O(users)."""
        known = self._known[field].value
        found = np.full(len(users), UNSAID, np.int32)
        within = users < known.count
        found[within] = known.values[users[within]]
        return found

    def kept(self, field: str) -> NDArray[np.int32]:
        """The field by user, as `codes` gives it, as far as any is known; a view until the next fold."""
        values: NDArray[np.int32] = self._known[field].value.values
        return values

    def language(self, user: int) -> int:
        """Index of the user's language, NONE if it is not known. O(1)."""
        return self._index(user, "language")

    def location(self, user: int) -> int:
        """Index of the user's place, NONE if it is not known. O(1)."""
        return self._index(user, "location")

    def _index(self, user: int, field: str) -> int:
        known = self._known[field].value
        code = int(known[user]) if user < known.count else UNSAID
        return NONE if code == UNSAID else code

    def birth_year(self, user: int) -> int | None:
        """None if it is not known. O(1)."""
        born: int | None = self.said(user, "birth_year")
        return born
