"""A row becomes the event its mapping says, or is refused with a reason a person understands."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import TableMapping, parse
from feedgen.errors import BadEvent, ConfigError
from feedgen.events import Event, from_object
from feedgen.importers.mapping import RowReader, columns_of

NOW = 1_735_000_000.0
PLAIN: dict[str, Any] = {"type": "post", "ts": {"column": "at", "format": "s"}, "actor": "who", "object": "what"}


def mapping(**more: Any) -> TableMapping:
    keys = {key: value for key, value in (PLAIN | more).items() if value is not None}
    return parse(yaml.safe_dump({"import": {"mappings": {"m": keys}}})).import_.mappings["m"]


def read(row: dict[str, Any], **more: Any) -> Event:
    row = {"at": 5, "who": "ann", "what": "p1"} | row
    reader = RowReader(mapping(**more), list(row), path="import.mappings.m", table="t.csv", name="m")
    return reader.event(list(row.values()), NOW)


def refused(row: dict[str, Any], **more: Any) -> str:
    with pytest.raises(BadEvent) as refusal:
        read(row, **more)
    return str(refusal.value)


@given(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(1 << 63), (1 << 63) - 1)
            | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
            "at": st.floats(0, NOW),
            "who": st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
            "what": st.integers(-(1 << 63), (1 << 63) - 1),
            "topics": st.lists(st.sampled_from(["a", "b", "é"]), min_size=1, max_size=3),
            "length": st.integers(0, 1 << 40),
        }
    )
)
def test_a_row_is_the_event_that_its_values_would_be(row: dict[str, Any]) -> None:
    attrs = {"topics": "topics", "length": "length"}
    made = read(row, id={"column": "id", "prefix": ""}, attrs=attrs)
    wire = {"id": row["id"], "type": "post", "ts": row["at"], "actor": row["who"], "object": row["what"]}
    assert made == from_object(wire | {"attrs": {key: row[key] for key in attrs}}, NOW)


@pytest.mark.parametrize(
    ("value", "written", "seconds"),
    [
        ("2024-01-01T00:00:00Z", "iso", 1_704_067_200.0),
        ("2024-01-01 01:00:00.5+01", "iso", 1_704_067_200.5),
        ("2024-01-01 00:00:00", "iso", 1_704_067_200.0),
        ("2024-01-01", "iso", 1_704_067_200.0),
        (datetime(2024, 1, 1), "iso", 1_704_067_200.0),
        (datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "s", 1_704_067_200.0),
        (date(2024, 1, 1), "ms", 1_704_067_200.0),
        ("1704067200.25", "s", 1_704_067_200.25),
        (1_704_067_200, "s", 1_704_067_200.0),
        ("1704067200250", "ms", 1_704_067_200.25),
        (Decimal("1704067200250"), "ms", 1_704_067_200.25),
    ],
)
def test_times(value: Any, written: str, seconds: float) -> None:
    assert read({"at": value}, ts={"column": "at", "format": written}).ts == seconds


@pytest.mark.parametrize(
    ("value", "written", "seconds"),
    [
        ("01.07.2024 02:00", "%d.%m.%Y %H:%M", 1_719_792_000.0),
        ("2024-07-01 02:00", "iso", 1_719_792_000.0),
        ("2024-07-01 00:00Z", "iso", 1_719_792_000.0),
        ("01.07.2024 00:00 +0000", "%d.%m.%Y %H:%M %z", 1_719_792_000.0),
        (datetime(2024, 7, 1, 2), "iso", 1_719_792_000.0),
        (datetime(2024, 1, 1, 1), "iso", 1_704_067_200.0),
        (date(2024, 7, 1), "iso", 1_719_784_800.0),
        (1_704_067_200, "s", 1_704_067_200.0),
    ],
)
def test_times_of_a_zone_and_of_other_writings(value: Any, written: str, seconds: float) -> None:
    assert read({"at": value}, ts={"column": "at", "format": written, "zone": "Europe/Berlin"}).ts == seconds


@given(st.datetimes() | st.dates() | st.sampled_from([datetime.min, datetime.max]))
def test_any_time_of_any_zone_is_a_time_or_refused(value: Any) -> None:
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        ts = {"column": "at", "zone": zone}
        try:
            assert 0 <= read({"at": value}, ts=ts).ts <= NOW + 86_400
        except BadEvent:
            continue


@pytest.mark.parametrize(
    ("value", "written", "reason"),
    [
        ("01.02.2025 10:00", "iso", "`format` says how others are written"),
        ("2025-02-01", "%d.%m.%Y", "ts '2025-02-01' is not written as `format: %d.%m.%Y` says"),
        (1_704_067_200, "%d.%m.%Y", "`format: s` or `ms` reads numbers"),
        ("", "iso", "no ts: column 'at' is empty"),
        (None, "s", "no ts: column 'at' is empty"),
        ("yesterday", "iso", "ts 'yesterday' is no ISO 8601 time"),
        ("1704067200", "iso", "`format: s` or `ms` reads numbers"),
        (1_704_067_200, "iso", "`format: s` or `ms` reads numbers"),
        ("2024-01-01", "s", "ts '2024-01-01' is no number (`format: s`)"),
        ("1704067200000", "s", "seconds are meant, not milliseconds"),
        ("nan", "s", "ts"),
        (math.inf, "s", "ts"),
        (-1, "s", "ts"),
    ],
)
def test_times_that_are_none(value: Any, written: str, reason: str) -> None:
    assert reason in refused({"at": value}, ts={"column": "at", "format": written})


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (5, "5"),
        (5.0, "5"),
        (Decimal("5.00"), "5"),
        ("5", "5"),
        (" 5", " 5"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_ids_from_values_of_many_types(value: Any, known: str) -> None:
    assert read({"who": value}).actor == known
    assert read({"key": value}, id="key").id == f"m:{known}"
    assert read({"what": value}, object={"column": "what", "prefix": "p"}).object == f"p{known}"


@pytest.mark.parametrize("empty", ["", None, math.nan, Decimal("NaN")])
def test_empty_cells(empty: Any) -> None:
    assert refused({"who": empty}) == "no actor: column 'who' is empty"
    assert refused({"key": empty}, id="key") == "no id: column 'key' is empty"
    assert "needs an object" in refused({"what": empty})
    assert read({"n": empty, "t": empty}, attrs={"length": "n", "topics": {"column": "t", "split": ","}}).attrs == {}


@pytest.mark.parametrize("value", [1.5, Decimal("Infinity"), b"raw", True, [1], "x" * 129, 1 << 63])
def test_what_cannot_be_an_id(value: Any) -> None:
    assert refused({"who": value})


def test_without_an_id_equal_rows_are_one_event_and_others_are_not() -> None:
    assert read({}).id == read({}).id
    assert len({read({}).id, read({"at": 6}).id, read({"who": "bob"}).id, read({"what": "p2"}).id}) == 4


@pytest.mark.parametrize(
    ("attr", "value", "meant"),
    [
        ("length", "12", 12),
        ("length", 12.0, 12),
        ("length", Decimal(12), 12),
        ("sensitive", "TRUE", True),
        ("sensitive", "0", False),
        ("sensitive", 1, True),
        ("sensitive", Decimal(0), False),
        ("sensitive", 1.0, True),
        ("topics", 7, ["7"]),
        ("topics", 7.0, ["7"]),
        ("topics", [7.0, None], ["7"]),
        ("topics", ["a", "", None, 7], ["a", "7"]),
        ("embedding", ["0.5", 1], [0.5, 1.0]),
        ("language", "en", "en"),
        ("media", "image", "image"),
        ("topics", ("a", "b"), ["a", "b"]),
        ("own", "12", "12"),
        ("own", date(2024, 1, 2), "2024-01-02"),
        ("own", Decimal("1.5"), 1.5),
        ("own", [UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
    ],
)
def test_attributes_take_the_type_they_have(attr: str, value: Any, meant: Any) -> None:
    made = read({"x": value}, attrs={attr: "x"}).attrs[attr]
    assert made == meant
    assert type(made) is type(meant)


@pytest.mark.parametrize(
    ("attr", "value", "reason"),
    [
        ("length", "long", "`attrs.length`"),
        ("length", 1.5, "`attrs.length`"),
        ("topics", "a,b", "`split` makes a list of a text"),
        ("media", "film", "in 'film'; it is one of none, image, video, link, and `values` translates"),
        ("sensitive", "y", "Expected `bool`, got `str`, in 'y'; `values` translates"),
        ("sensitive", 2, "`attrs.sensitive`"),
        ("topics", [[1]], "`attrs.topics`"),
        ("own", b"raw", "no JSON kind"),
    ],
)
def test_attributes_that_are_none(attr: str, value: Any, reason: str) -> None:
    assert reason in refused({"x": value}, attrs={attr: "x"})


@pytest.mark.parametrize("day", ["1990-05-17", date(1990, 5, 17), datetime(1990, 5, 17), "1990", 1990])
def test_the_year_of_a_date_of_birth(day: Any) -> None:
    assert read({"born": day, "what": None}, type="user", object=None, attrs={"birth_year": "born"}).attrs == {
        "birth_year": 1990
    }


@pytest.mark.parametrize("seen", [5, 5.0, Decimal(5), "5", " 5 ;", [5], ["5", ""]])
def test_what_was_seen_one_post_a_row(seen: Any) -> None:
    for prefix, known in ({}, "5"), ({"prefix": "p"}, "p5"):
        objects = {"column": "what", "split": ";"} | prefix
        assert read({"what": seen}, type="view", object=None, attrs={"objects": objects}).attrs == {"objects": [known]}
    if not isinstance(seen, str):
        assert read({"what": seen}, type="view", object=None, attrs={"objects": "what"}).attrs == {"objects": ["5"]}


def test_split_values_and_constants() -> None:
    assert read({"x": " a; b ;;"}, attrs={"topics": {"column": "x", "split": ";"}}).attrs == {"topics": ["a", "b"]}
    assert read({}, attrs={"media": {"value": "image"}}).attrs == {"media": "image"}
    kinds = {"column": "x", "values": {1: "like", "b": "share"}}
    assert [read({"x": x}, type=kinds).type for x in ("1", 1, "b", "save")] == ["like", "like", "share", "save"]
    states = {"state": {"column": "x", "values": {True: "approved", False: "rejected"}}}
    assert [read({"x": x}, type="review", attrs=states).attrs["state"] for x in (True, "false")] == [
        "approved",
        "rejected",
    ]
    assert refused({"x": "2"}, type=kinds) == "unknown type '2'"
    assert "type" in refused({"x": None}, type=kinds)


def test_a_column_that_is_not_there_or_twice() -> None:
    with pytest.raises(ConfigError, match=r"`import\.mappings\.m\.attrs\.length` names column 'n', which t\.csv does"):
        read({}, attrs={"length": "n"})
    columns = ["at", "who", "what", "who"]
    with pytest.raises(ConfigError, match=r"`import\.mappings\.m\.actor` names column 'who', which t\.csv has twice"):
        RowReader(mapping(), columns, path="import.mappings.m", table="t.csv", name="m")


def test_the_columns_a_mapping_reads() -> None:
    many = mapping(type={"column": "kind"}, id="what", attrs={"a": "who", "b": {"value": 1}, "c": {"column": "n"}})
    assert sorted(columns_of(many)) == ["at", "kind", "n", "what", "who"]


@given(
    st.lists(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
        min_size=5,
        max_size=5,
    )
)
def test_any_row_is_an_event_or_refused_in_a_sentence(row: list[Any]) -> None:
    reader = RowReader(
        mapping(id="key", attrs={"length": "n", "own": "n"}),
        ["at", "who", "what", "key", "n"],
        path="p",
        table="t",
        name="m",
    )
    try:
        event = reader.event(row, NOW)
    except BadEvent:
        return
    json.dumps(event.attrs)
    assert datetime.fromtimestamp(event.ts, UTC).timestamp() <= NOW + 86_400
