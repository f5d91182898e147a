"""Packed id columns: what goes in comes out, in the tightest form, and nothing else is admitted."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.errors import BadRecord
from feedgen.feed.ids import IdColumn, PackedIds, pack_ids
from tests.feed.strategies import ID_LISTS


@given(ids=ID_LISTS)
def test_what_goes_in_comes_out(ids: list[str]) -> None:
    packed = pack_ids(iter(ids))
    column = IdColumn(packed)
    assert len(column) == len(ids)
    assert [column[position] for position in range(len(ids))] == ids
    assert column.texts() == ids
    assert column.packed() == packed


@given(ids=ID_LISTS, start=st.integers(0, 12), stop=st.integers(0, 12), data=st.data())
def test_several_are_read_as_one_by_one(ids: list[str], start: int, stop: int, data: st.DataObject) -> None:
    column = IdColumn(pack_ids(ids))
    assert column.between(min(start, len(ids)), min(stop, len(ids))) == ids[start:stop]
    places = data.draw(st.lists(st.integers(0, len(ids) - 1))) if ids else []
    assert column.at(places) == [ids[place] for place in places]


@given(ids=ID_LISTS, others=ID_LISTS)
def test_an_id_is_found_where_it_is(ids: list[str], others: list[str]) -> None:
    distinct = list(dict.fromkeys(ids))
    column = IdColumn(pack_ids(distinct))
    if column.searched:
        for item_id in {*distinct, *others, "", "é", "00", " 0", "0 ", "0_0", "\ud800"}:
            assert column.find(item_id) == (distinct.index(item_id) if item_id in distinct else None)
    else:
        assert len({len(each.encode()) for each in distinct}) > 1


@given(numbers=st.lists(st.sampled_from([0, 1, 255, 256, 257, 1 << 16, 1 << 62]), unique=True), kind=st.booleans())
def test_an_id_is_not_found_across_two_others(numbers: list[int], kind: bool) -> None:
    ids = [str(n) if kind else f"{n:016x}" for n in numbers]
    column = IdColumn(pack_ids(ids))
    for n in (0, 1, 255, 256, 257, 1 << 16, 1 << 24, 1 << 62):
        item_id = str(n) if kind else f"{n:016x}"
        assert column.find(item_id) == (ids.index(item_id) if item_id in ids else None)


def test_what_is_not_searched() -> None:
    assert IdColumn(pack_ids(f"{n:016x}" for n in range(1_024))).searched
    assert not IdColumn(pack_ids(f"{n:016x}" for n in range(1_025))).searched
    assert not IdColumn(pack_ids(["a", "bc"])).searched


@pytest.mark.parametrize(
    ("ids", "kind", "size"),
    [
        ([], "fixed", 0),
        (["1", "-20", str(-(1 << 63))], "int", 24),
        (["1", str(1 << 63)], "arena", 20),
        (["1", "01"], "arena", 3),
        (["2f1e4e5e8515", "000000000000"], "hex", 12),
        (["2F1E4E5E8515", "000000000000"], "fixed", 24),
        (["ab cd ef", "ab cd ef"], "fixed", 16),
        (["123456789012", "210987654321"], "hex", 12),
        (["123456789012345678"], "int", 8),
        (["0" * 32, "f" * 32], "hex", 32),
        (["abc", "xyz"], "fixed", 6),
        (["é", "ab"], "fixed", 4),
        (["é", "a"], "arena", 3),
    ],
)
def test_the_tightest_form_is_taken(ids: list[str], kind: str, size: int) -> None:
    packed = pack_ids(ids)
    assert (packed.kind, len(packed.data)) == (kind, size)


def test_an_id_that_utf8_cannot_write_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        pack_ids(["\ud800"])


@pytest.mark.parametrize(
    "packed",
    [
        PackedIds("int", 2, 8, b"\0" * 15, b""),
        PackedIds("int", 2, 8, b"\0" * 8, b""),
        PackedIds("fixed", 2, 3, b"abcde", b""),
        PackedIds("fixed", -2, -3, b"abcdef", b""),
        PackedIds("hex", 1, 2, b"a", b""),
        PackedIds("fixed", 2, 1, "é".encode(), b""),
        PackedIds("fixed", 1, 2, b"\xff\xff", b""),
        PackedIds("arena", 1, 0, b"abc", b"\x02\0\0\0"),
        PackedIds("arena", 2, 0, b"abc", b"\x03\0\0\0"),
        PackedIds("arena", 3, 0, b"abc", b"\x02\0\0\0\x01\0\0\0\x03\0\0\0"),
        PackedIds("arena", 1, 0, b"abc", b"\x03\0\0"),
        PackedIds("arena", 2, 0, "é".encode(), b"\x01\0\0\0\x02\0\0\0"),
        PackedIds("arena", 0, 0, b"abc", b""),
        PackedIds("fixed", 0, 3, b"abc", b""),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(packed: PackedIds) -> None:
    with pytest.raises(BadRecord):
        IdColumn(packed)


@given(
    packed=st.builds(
        PackedIds,
        st.sampled_from(["int", "hex", "fixed", "arena"]),
        st.integers(-2, 4),
        st.integers(-2, 4),
        st.binary(max_size=16),
        st.lists(st.integers(0, 5), max_size=4).map(lambda ends: b"".join(end.to_bytes(4, "little") for end in ends)),
    )
)
def test_what_is_admitted_can_be_read(packed: PackedIds) -> None:
    try:
        column = IdColumn(packed)
    except BadRecord:
        return
    assert column.texts() == [column[position] for position in range(len(column))]
    assert all(isinstance(item, str) for item in column.texts())


def test_a_large_column() -> None:
    rng = random.Random(1)
    ids = [f"post-{rng.getrandbits(rng.randrange(1, 200))}" for _ in range(5_000)]
    assert IdColumn(pack_ids(ids)).texts() == ids
