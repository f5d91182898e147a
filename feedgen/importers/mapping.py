"""A row of a table → an event, as a mapping in config.yaml says. One concept for CSV, Parquet and SQL."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from operator import itemgetter
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType

from feedgen import events
from feedgen.config import Cell, Mapping, Moment
from feedgen.errors import BadEvent, ConfigError
from feedgen.events import Event

Row = Sequence[Any]
Pick = Callable[[Row], Any]

_SHOWN: Final = 30
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_PER_SECOND: Final = {"s": 1.0, "ms": 1_000.0}


def columns_of(mapping: Mapping) -> list[str]:
    """The columns that `mapping` reads, each once."""
    cells = [mapping.ts, mapping.actor, mapping.object, mapping.id, *mapping.attrs.values()]
    if isinstance(mapping.type, Cell):
        cells.append(mapping.type)
    names = [cell.column if isinstance(cell, Cell) else cell for cell in cells]
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


class RowReader:
    """Makes events of the rows of one table."""

    def __init__(self, mapping: Mapping, columns: Sequence[str], *, path: str, table: str, name: str) -> None:
        """`columns`: the table's; `path`: of the mapping in config.yaml; `table`: what errors call the table.

        `name` goes into the ids of events: before what the id column holds, and into those that are derived.
        Raises ConfigError when the mapping names a column the table does not have, or has twice.
        """
        self._name = name

        def pick(field: str, cell: str | Cell) -> Pick:
            column = cell.column if isinstance(cell, Cell) else cell
            if isinstance(column, str) and columns.count(column) != 1:
                shown = ", ".join(columns[:_SHOWN]) + (", …" if len(columns) > _SHOWN else "")
                what = f"has twice: {shown}" if column in columns else f"does not have; it has {shown}"
                raise ConfigError(f"`{path}.{field}` names column {column!r}, which {table} {what}")
            return _pick(cell, columns)

        self._type = _constant(mapping.type) if isinstance(mapping.type, str) else pick("type", mapping.type)
        self._ts = _moment(mapping.ts, pick("ts", mapping.ts))
        self._actor = _required("actor", mapping.actor, _outside(pick("actor", mapping.actor)))
        self._object = self._id = _constant(None)
        if mapping.object is not UNSET:
            self._object = _outside(pick("object", mapping.object))
        if mapping.id is not UNSET:
            own = isinstance(mapping.id, Cell) and mapping.id.prefix is not UNSET
            key = _prefixed(pick("id", mapping.id), "" if own else f"{name}:")
            self._id = _required("id", mapping.id, _outside(key))
        self._attrs = [(key, pick(f"attrs.{key}", cell)) for key, cell in mapping.attrs.items()]

    def event(self, row: Row, now: float) -> Event:
        """The event that `row` is. `now`: domain time, s. Raises BadEvent with the reason."""
        kind = self._type(row)
        raw = {
            "type": kind,
            "ts": self._ts(row),
            "actor": self._actor(row),
            "object": self._object(row),
            "id": self._id(row),
        }
        if self._attrs:
            raw["attrs"] = self._attributes(row, events.ATTRS.get(kind) if isinstance(kind, str) else None)
        return events.from_object(raw, now, derive_from=self._name)

    def _attributes(self, row: Row, spec: type[msgspec.Struct] | None) -> dict[str, Any]:
        known = spec.__struct_fields__ if spec is not None else ()
        found = {}
        for key, pick in self._attrs:
            value = _plain(pick(row))
            if value is None or value == "":
                continue
            if spec is not None and key in known:
                value = _typed(key, value, spec)
            found[key] = value
        return found


def _typed(key: str, value: Any, spec: type[msgspec.Struct]) -> Any:
    """`value` as the type that attribute has. Texts become numbers, 0 and 1 no and yes, a number the list of it.

    A float may be one only because a column has gaps; a list may have gaps itself; of a date of birth the year counts.
    """
    wanted, heart = _wanted(spec, key)
    value = [_whole(item) for item in value] if isinstance(value, list) else _whole(value)
    if get_origin(heart) is list:
        value = _listed(key, value)
    elif key == "birth_year" and isinstance(value, str) and _DAY.match(value):
        value = value[:4]
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        hint = ""
        if get_origin(heart) is Literal:
            hint = f"; it is one of {', '.join(get_args(heart))}, and `values` translates"
        elif heart is bool:
            hint = "; `values` translates"
        elif get_origin(heart) is list and isinstance(value, str):
            hint = "; `split` makes a list of a text"
        raise BadEvent(f"`attrs.{key}`: {events.reason_of(error)}, in {value!r:.40}{hint}") from None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(key: str, value: Any) -> Any:
    if isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, list):
        return value
    items = [item for item in value if item is not None and item != ""]
    return [str(item) if isinstance(item, int) else item for item in items] if key == "topics" else items


@cache
def _wanted(spec: type[msgspec.Struct], key: str) -> tuple[Any, Any]:
    """The type of an attribute, with its bounds; and without them and UNSET."""
    bare = get_type_hints(spec)[key]
    args = get_args(bare)
    return get_type_hints(spec, include_extras=True)[key], args[0] if UnsetType in args else bare


def _pick(cell: str | Cell, columns: Sequence[str]) -> Pick:
    if isinstance(cell, str):
        return itemgetter(columns.index(cell))
    if not isinstance(cell.column, str):
        return _constant(cell.value)
    pick: Pick = itemgetter(columns.index(cell.column))
    if cell.values:
        pick = _translated(pick, {_text(key): value for key, value in cell.values.items()})
    if isinstance(cell.split, str):
        pick = _split(pick, cell.split)
    return _prefixed(pick, cell.prefix if isinstance(cell.prefix, str) else "")


def _constant(value: Any) -> Pick:
    return lambda row: value


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _translated(pick: Pick, values: dict[str, Any]) -> Pick:
    def translated(row: Row) -> Any:
        value = pick(row)
        return values.get(_text(value), value)

    return translated


def _split(pick: Pick, separator: str) -> Pick:
    def split(row: Row) -> Any:
        value = pick(row)
        if not isinstance(value, str):
            plain = _plain(value)
            return plain if plain is None or isinstance(plain, list) else [plain]
        return [part for part in map(str.strip, value.split(separator)) if part] or None

    return split


def _prefixed(pick: Pick, prefix: str) -> Pick:
    if not prefix:
        return pick

    def one(value: Any) -> Any:
        value = _id(value)
        return value if value is None else f"{prefix}{value}"

    def prefixed(row: Row) -> Any:
        value = pick(row)
        return [one(item) for item in value] if isinstance(value, (list, tuple)) else one(value)

    return prefixed


def _outside(pick: Pick) -> Pick:
    return lambda row: _id(pick(row))


def _id(value: Any) -> Any:
    """Numbers of any kind that are whole, UUIDs and texts as ids; nothing for an empty cell."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, UUID):
        return str(value)
    return _number(value) if isinstance(value, (float, Decimal)) else value


def _number(value: float | Decimal) -> int | float | None:
    """A whole number as int; nothing for NaN, which is how tables say that a number is missing."""
    if value.is_nan() if isinstance(value, Decimal) else math.isnan(value):
        return None
    number = float(value)
    return int(value) if number.is_integer() else number


def _required(field: str, cell: str | Cell, pick: Pick) -> Pick:
    column = cell.column if isinstance(cell, Cell) else cell

    def required(row: Row) -> Any:
        value = pick(row)
        if value is None:
            raise BadEvent(f"no {field}: column {column!r} is empty")
        return value

    return required


def _moment(cell: str | Moment, pick: Pick) -> Pick:
    written = cell.format if isinstance(cell, Moment) else "iso"
    zone = ZoneInfo(cell.zone) if isinstance(cell, Moment) and cell.zone is not UNSET else UTC
    column = cell.column if isinstance(cell, Moment) else cell

    def moment(row: Row) -> float:
        value = pick(row)
        if value is None or value == "":
            raise BadEvent(f"no ts: column {column!r} is empty")
        return _seconds(value, written, zone)

    return moment


def _seconds(value: Any, written: str, zone: tzinfo) -> float:
    """`value` as seconds since the epoch; a time of `zone` where it names none."""
    if isinstance(value, str) and written not in _PER_SECOND:
        value = _read(value, written)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=zone).timestamp()
    if written not in _PER_SECOND:
        raise BadEvent(f"ts {str(value)[:40]!r} is no time; `format: s` or `ms` reads numbers")
    try:
        return float(value) / _PER_SECOND[written]
    except (TypeError, ValueError, OverflowError):
        raise BadEvent(f"ts {str(value)[:40]!r} is no number (`format: {written}`)") from None


def _read(text: str, written: str) -> datetime:
    try:
        return datetime.fromisoformat(text) if written == "iso" else datetime.strptime(text, written)
    except ValueError:
        if written != "iso":
            raise BadEvent(f"ts {text[:40]!r} is not written as `format: {written}` says") from None
    number = text.replace(".", "", 1).isdecimal()
    hint = "`format: s` or `ms` reads numbers" if number else "`format` says how others are written"
    raise BadEvent(f"ts {text[:40]!r} is no ISO 8601 time; {hint}")


def _plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
