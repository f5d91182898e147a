"""A large network from Parquet tables into an empty state, a million rows at a time and none of them in Python.

All or nothing: what is wrong is an error that names the file and the first bad row, counted from 1. Each row is what
the event of its table would be (docs/importing.md); its id is "", so that an event of the log with the same time wins.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ImportFailed
from feedgen.events import FUTURE_MAX_S
from feedgen.importers.arrowrows import ArrowRows
from feedgen.importers.source import readable
from feedgen.state.attributes import LONGEST, MEDIA, NONE, Described
from feedgen.state.bulk import Bulk
from feedgen.state.engagement import KINDS
from feedgen.state.logins import DEVICES
from feedgen.state.state import State

TABLES: Final = ("users", "posts", "follows", "logins", "views", "engagements")
"""In the order they are read. Of each, all files of that name and ending: `views.parquet`, `views-2.parquet` …"""
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "users": ("id",),
    "posts": ("id", "author", "ts"),
    "follows": ("viewer", "author", "ts"),
    "logins": ("viewer", "ts"),
    "views": ("viewer", "post", "ts"),
    "engagements": ("viewer", "post", "kind", "ts"),
}
_POSSIBLE: Final[dict[str, tuple[str, ...]]] = {
    "users": ("ts", "utc_offset_min", "language", "birth_year", "verified", "location"),
    "posts": ("topics", "media", "language", "min_age", "sensitive", "length", "location"),
    "logins": ("device",),
}
_ROWS: Final = 1 << 20


class Loaded(NamedTuple):
    """What came of it."""

    rows: dict[str, int]
    """By table, those that are there."""
    latest_ts: float
    """The greatest ts of all (s)."""


class BulkReader:
    """Reads a folder of tables."""

    def __init__(self, folder: Path, now: float) -> None:
        """`now`: s; a row more than a day later is refused.

        Raises ImportFailed if there is no table, or one that cannot be read, or pyarrow is not installed.
        """
        try:
            import pyarrow as arrow
            from pyarrow import parquet
        except ImportError:
            raise ImportFailed("Parquet needs pyarrow: pip install 'forefeed[parquet]'") from None
        self._arrow, self._parquet = arrow, parquet
        self._latest_possible = now + FUTURE_MAX_S
        self._latest_ts = 0.0
        self._files = [
            (table, path)
            for table in TABLES
            for path in sorted({*folder.glob(f"{table}.parquet"), *folder.glob(f"{table}-*.parquet")})
        ]
        if not self._files:
            raise ImportFailed(f"{folder}: no {', '.join(f'{table}.parquet' for table in TABLES)} there")
        self.rows = sum(self._rows_in(table, path) for table, path in self._files)
        """Of all files together."""

    def _rows_in(self, table: str, path: Path) -> int:
        with self._clear(path):
            metadata = self._parquet.read_metadata(path)
        every = metadata.schema.to_arrow_schema().names
        names = set(every)
        if len(names) < len(every):
            twice = next(name for name in every if every.count(name) > 1)
            raise ImportFailed(f"{path}: has column {twice!r} twice")
        if missing := [name for name in _NEEDED[table] if name not in names]:
            raise ImportFailed(f"{path}: has no column {missing[0]!r}")
        if unknown := sorted(names - {*_NEEDED[table], *_POSSIBLE.get(table, ())}):
            raise ImportFailed(f"{path}: nobody knows what column {unknown[0]!r} means; leave it out")
        rows: int = metadata.num_rows
        return rows

    def load(self, state: State, on_rows: Callable[[str, int], None]) -> Loaded:
        """All tables into `state`, which is empty. `on_rows` gets (table, rows of this batch). Raises ImportFailed."""
        bulk, counts = Bulk(state), dict.fromkeys((table for table, _ in self._files), 0)
        for table, path in self._files:
            for first, batch in self._batches(path):
                rows = ArrowRows(self._arrow, path, first, batch)
                try:
                    getattr(self, f"_{table}")(state, bulk, rows)
                except ValueError as error:
                    raise ImportFailed(f"{path}: rows {first} to {first + batch.num_rows - 1}: {error}") from None
                counts[table] += batch.num_rows
                on_rows(table, batch.num_rows)
        return Loaded(counts, self._latest_ts)

    def _batches(self, path: Path) -> Iterator[tuple[int, Any]]:
        first = 1
        with self._clear(path), self._parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                if batch.num_rows:
                    yield first, batch
                first += batch.num_rows

    def _users(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        ts = self._moments(rows) if rows.has("ts") else np.zeros(rows.count)
        users = rows.new_ids(state.users, "id")
        bulk.users(users, ts, {})
        said: dict[str, Callable[[], NDArray[np.int32]]] = {
            "utc_offset_min": lambda: rows.numbers("utc_offset_min", (-1_440, 1_440)),
            "birth_year": lambda: rows.numbers("birth_year", (1_850, 2_200)),
            "verified": lambda: rows.flags("verified").astype(np.int32),
            "language": lambda: rows.texts(state.languages, "language", empty_is_none=True),
            "location": lambda: rows.texts(state.about_users.locations, "location", empty_is_none=False),
        }
        for name, read in said.items():
            if rows.has(name):
                given = rows.given(name)
                state.about_users.describe_bulk(users[given], name, read()[given], ts[given])

    def _posts(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        count, has = rows.count, rows.has
        bounds, topics = np.zeros(count + 1, np.int64), np.empty(0, np.int32)
        if has("topics"):
            bounds, topics = rows.topics(state.topic_names, "topics")
        language, location, length = np.full((3, count), NONE, np.int32)
        min_age, media = np.zeros((2, count), np.int32)
        if has("language"):
            language = rows.texts(state.languages, "language", empty_is_none=True)
        if has("min_age"):
            min_age = rows.numbers("min_age", (0, 200))
        if has("media"):
            media = rows.choices("media", MEDIA, absent=0)
        if has("length"):
            length = np.where(rows.given("length"), rows.numbers("length", (0, LONGEST)), NONE)
        if has("location"):
            location = rows.texts(state.about_users.locations, "location", empty_is_none=True)
        sensitive = rows.flags("sensitive") if has("sensitive") else np.zeros(count, np.bool_)
        fields = language, min_age.astype(np.uint8), sensitive, media.astype(np.uint8), length, location
        about = Described(*fields, bounds, topics)
        bulk.posts(rows.new_ids(state.post_ids, "id"), rows.ids(state.users, "author"), self._moments(rows), about)

    def _follows(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        viewers, authors = rows.ids(state.users, "viewer"), rows.ids(state.users, "author")
        rows.refuse_where(viewers == authors, "nobody follows themselves")
        bulk.follows(viewers, authors, self._moments(rows))

    def _logins(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        devices: NDArray[np.int32] = np.zeros(rows.count, np.int32)
        if rows.has("device"):
            devices = rows.choices("device", DEVICES, absent=-1, other="other") + 1
        bulk.logins(rows.ids(state.users, "viewer"), self._moments(rows), devices.astype(np.uint8))

    def _views(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        bulk.views(rows.ids(state.users, "viewer"), rows.ids(state.post_ids, "post"), self._moments(rows))

    def _engagements(self, state: State, bulk: Bulk, rows: ArrowRows) -> None:
        viewers, posts = rows.ids(state.users, "viewer"), rows.ids(state.post_ids, "post")
        bulk.engagements(viewers, posts, rows.choices("kind", KINDS), self._moments(rows))

    def _moments(self, rows: ArrowRows) -> NDArray[np.float64]:
        ts = rows.moments("ts", self._latest_possible)
        self._latest_ts = max(self._latest_ts, float(ts.max(initial=0.0)))
        return ts

    @contextmanager
    def _clear(self, path: Path) -> Iterator[None]:
        """What reading a file raises, as ImportFailed with its name."""
        try:
            with readable(str(path)):
                yield
        except self._arrow.ArrowException as error:
            raise ImportFailed(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
