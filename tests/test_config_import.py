"""The section `import`: what it may hold, and that what is wrong is named by its path, names of mappings included."""

import pytest

from feedgen.config import Cell, Mapping, Moment, parse
from feedgen.errors import ConfigError

GOOD = "{type: post, ts: at, actor: who, object: id}"


def mapped(text: str) -> str:
    return f"import: {{mappings: {{fine: {GOOD}, po.sts: {text}}}}}"


def test_short_and_long_forms() -> None:
    text = "{type: {column: kind}, ts: {column: at, format: ms}, actor: who, attrs: {a: {value: [x]}, b: c}}"
    mapping = parse(mapped(text)).import_.mappings["po.sts"]
    assert mapping.type == Cell(column="kind")
    assert mapping.ts == Moment(column="at", format="ms")
    assert mapping.actor == "who"
    assert mapping.attrs == {"a": Cell(value=["x"]), "b": "c"}
    assert (mapping.files, mapping.delimiter, mapping.header) == ("", ",", True)


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ("5", "`import.mappings.po.sts`"),
        ("{type: post}", "`import.mappings.po.sts`: Object missing required field"),
        ("{typ: post}", "unknown key `import.mappings.po.sts.typ`"),
        ("{type: lik, ts: a, actor: b, object: c}", "`import.mappings.po.sts`: `type` 'lik' is no event type"),
        ("{type: post, ts: a, actor: b}", "`import.mappings.po.sts`: a post needs an `object`"),
        ("{type: login, ts: a, actor: b, object: c}", "`import.mappings.po.sts`: a login has no `object`"),
        ("{type: post, ts: 5, actor: b, object: c}", "`import.mappings.po.sts.ts`: Expected a column's name or"),
        ("{type: post, ts: {column: a, zone: Berlin}, actor: b, object: c}", "`zone` 'Berlin' is not known"),
        (
            "{type: post, ts: {column: a, format: us}, actor: b, object: c}",
            "`import.mappings.po.sts.ts`: `format` 'us' is none",
        ),
        ("{type: post, ts: {column: a, format: '%d.%d.%Y'}, actor: b, object: c}", "'%d.%d.%Y' cannot be read"),
        ("{type: post, ts: {column: a, format: '%Q'}, actor: b, object: c}", "`format` '%Q' cannot be read"),
        ("{type: post, ts: {}, actor: b, object: c}", "`import.mappings.po.sts.ts`: one of `column` and `value`"),
        ("{type: post, ts: a, actor: {column: b, value: 5}, object: c}", "`import.mappings.po.sts.actor`: one of"),
        ("{type: post, ts: a, actor: {value: b, prefix: u}, object: c}", "`import.mappings.po.sts.actor`: `values`,"),
        ("{type: post, ts: a, actor: b, object: ''}", "`import.mappings.po.sts.object`"),
        ("{type: login, ts: a, actor: b, attrs: {x.y: {colum: c}}}", "`import.mappings.po.sts.attrs.x.y.colum`"),
        ("{type: login, ts: a, actor: b, delimiter: ', '}", "`import.mappings.po.sts.delimiter`"),
        ("{type: login, ts: a, actor: b, delimiter: '\"'}", "`import.mappings.po.sts`: `delimiter`"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_named(mapping: str, named: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(mapped(mapping))
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("database", "named"),
    [
        ("{url: x}", "`import.sql.shop`: Object missing required field `queries`"),
        ("{url: x, queries: {}}", "`import.sql.shop.queries`"),
        ("{url: x, queries: {likes: {type: login, ts: a, actor: b}}}", "`import.sql.shop.queries.likes`"),
        (
            "{url: x, queries: {fine: {query: q, type: login, ts: a, actor: b}, "
            "likes: {query: q, overlap: -1, type: login, ts: a, actor: b}}}",
            "`import.sql.shop.queries.likes.overlap`",
        ),
        ("{url: x, queries: {likes: {query: q, typ: x}}}", "unknown key `import.sql.shop.queries.likes.typ`"),
    ],
)
def test_what_is_wrong_in_a_database_is_named(database: str, named: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(f"import: {{sql: {{shop: {database}}}}}")
    assert named in str(refusal.value)


def test_mappings_are_frozen() -> None:
    mapping: Mapping = parse(mapped(GOOD)).import_.mappings["po.sts"]
    with pytest.raises(AttributeError):
        mapping.actor = "x"  # type: ignore[misc]
