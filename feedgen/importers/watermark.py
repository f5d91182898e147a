"""How far a query has been read: the greatest value of its watermark column, and the query for what came since."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import UNSET
from sqlalchemy import TextClause, text

from feedgen.config import Query
from feedgen.errors import BadEvent, ConfigError
from feedgen.importers.mapping import Row

# What SQLAlchemy would take for a parameter, other than :since; in somebody's query it is part of a text.
_COLON_WORD: Final = re.compile(r"(?<![:\w\\]):(?!since\b)(?=\w+(?!:))")
_SINCE: Final = re.compile(r"(?<![:\w\\]):since\b")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

_KINDS: Final[dict[str, Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "str": str,
}

# PostgreSQL's infinities as asyncpg has them: without a zone, so not to be compared with times that have one.
_INFINITE: Final = frozenset({datetime.min, datetime.max, date.min, date.max})


class Watermark:
    """The watermark of one query during one import. `path`: of the query in config.yaml."""

    def __init__(self, query: Query, kept: str | None, path: str, *, texts: bool) -> None:
        """`kept`: what `written` gave after the last import; None the first time, when all rows are wanted.

        `texts`: the database compares texts as Python does (PostgreSQL does as its collation says).
        """
        self._kinds = _KINDS if texts else _KINDS.keys() - {"str"}
        self._query = query
        before = None if kept is None else _unwritten(kept)
        # Versions before kept endless ones, which hide every row: then all is read again.
        self._before = self._high = None if before is None or _endless(before) else before
        self._index: int | None = None
        self.path = path

    def statement(self) -> tuple[TextClause, dict[str, Any]]:
        """The query for the rows at or above the last watermark (less `overlap`), and its parameters.

        A query with `:since` says itself where it goes, and gets NULL the first time; any other is wrapped.
        """
        query = _COLON_WORD.sub(r"\\:", self._query.query.strip().rstrip(";"))
        if _SINCE.search(query):
            return text(query), {"since": self._since()}
        if self._query.watermark is UNSET:
            return text(query), {}
        # The first time too: a query that cannot be wrapped is told at once. On lines of its own, for it may end in --.
        wrapped = f"SELECT * FROM (\n{query}\n) AS since_then"
        if self._before is None:
            return text(wrapped), {}
        column = self._query.watermark.replace('"', '""').replace(":", r"\:")
        return text(f'{wrapped} WHERE "{column}" >= :since'), {"since": self._since()}

    def _since(self) -> Any:
        """Rows come to light when they are committed, maybe after rows with a greater watermark: hence the overlap."""
        before, overlap = self._before, self._query.overlap
        if isinstance(before, datetime):
            return before - timedelta(seconds=overlap)
        if isinstance(before, Decimal):
            return before - Decimal(overlap)
        if isinstance(before, (int, float)):
            return type(before)(before - overlap)
        return before

    def find(self, columns: Sequence[str], table: str) -> None:
        """The query's result has these columns. Raises ConfigError if the watermark is not one of them."""
        column = self._query.watermark
        if column is UNSET:
            return
        if column not in columns:
            has = ", ".join(columns)
            raise ConfigError(
                f"`{self.path}.watermark` names column {column!r}, which {table} does not have; it has {has}"
            )
        self._index = columns.index(column)

    def see(self, row: Row) -> None:
        """A row has come. O(1). Raises BadEvent if its watermark is none: later imports could not find such a row."""
        if self._index is None:
            return
        value = row[self._index]
        if value is None:
            raise BadEvent(f"its watermark is empty: column {self._query.watermark!r}")
        if type(value).__name__ not in self._kinds:
            raise BadEvent(f"its watermark is {value!r:.40}, no time or number")
        try:
            self._above(value)
        except TypeError:
            raise BadEvent(f"its watermark {value!r:.40} cannot be compared with {self._high!r:.40}") from None

    def move(self, row: Row, ts: float, now: float) -> None:
        """That row became an event of the time `ts`: later imports begin no earlier than there. O(1). Both s, UTC.

        A row of the future moves nothing, for it would hide those that come before it; it is read again until its time
        has come, or until another row has moved the watermark past it. Nor does one that was refused move it, as a
        broken row is often one of the future.
        """
        if self._index is None or ts > now:
            return
        value = row[self._index]
        if self._above(value) and not _later(value, now):
            self._high = value

    def _above(self, value: Any) -> bool:
        return not _endless(value) and (self._high is None or value > self._high)

    def written(self) -> str | None:
        """The watermark as text, to be kept once all rows seen are on disk. None: nothing has been seen yet."""
        return None if self._high is None else f"{type(self._high).__name__}:{self._high}"


def _unwritten(kept: str) -> Any:
    kind, _, value = kept.partition(":")
    return _KINDS[kind](value)


def _endless(value: Any) -> bool:
    """Whether it is infinite or NaN, so that no later value could be above it."""
    if isinstance(value, Decimal):
        return not value.is_finite()
    return not math.isfinite(value) if isinstance(value, float) else value in _INFINITE


def _later(value: Any, now: float) -> bool:
    """Whether `value` is a time after `now` (s, UTC), or a text of one, as SQLite has; without a zone it is UTC."""
    if isinstance(value, str) and _DAY.match(value):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() > now
    return isinstance(value, date) and value > datetime.fromtimestamp(now, UTC).date()
