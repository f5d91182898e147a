"""The record codec: round trips, and bytes that are torn, corrupt or foreign."""

import math
import random

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedgen.errors import BadRecord
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import (
    ITEMS_MAX,
    VERSION,
    Bulk,
    Exploration,
    FeedItem,
    Generation,
    Live,
    bulk_of,
    bulk_of_columns,
    decode_bulk,
    decode_live,
    encode_bulk,
    encode_live,
)
from tests.feed.strategies import FEEDS, ITEMS, TEXT_IDS, float32

SAMPLE = [
    FeedItem("2f1e4e5e8515", "u1", 0.5, "followee", 1_735_655_473.0),
    FeedItem("p-é", "u2", -1.25, "trending", 1_735_655_000.5),
    FeedItem("7", "u1", 0.0, "followee", 0.0),
]


def kept(items: list[FeedItem]) -> list[FeedItem]:
    return [item._replace(score=float32(item.score)) for item in items]


@given(items=FEEDS, watermark=st.integers(0, 1 << 60), ms=st.integers(0, 1 << 60))
def test_a_feed_survives_the_codec(items: list[FeedItem], watermark: int, ms: int) -> None:
    bulk = bulk_of(Generation(watermark, ms), items)
    again = decode_bulk(encode_bulk(bulk))
    assert again == bulk
    assert again.generation == (watermark, ms)
    assert list(FeedMap(again)) == kept(items)
    assert encode_bulk(again) == encode_bulk(bulk)


@given(
    entries=st.lists(
        st.builds(Live.insert, st.integers(0, 1 << 60), ITEMS)
        | st.builds(Live, st.integers(0, 1 << 60), st.sampled_from(["remove", "remove_author"]), TEXT_IDS),
        max_size=8,
    )
)
def test_live_entries_survive_the_codec(entries: list[Live]) -> None:
    assert decode_live(encode_live(entries)) == entries


def test_another_msgpack_reads_the_record() -> None:
    data = encode_bulk(bulk_of(Generation(5, 6), SAMPLE))
    assert data[:1] == VERSION
    fields = msgpack.unpackb(data[1:])
    assert fields[:2] == [5, 6]
    assert fields[2][:3] == ["arena", 3, 0]
    assert fields[8] == ["followee", "trending"]
    assert fields[10:] == [0.0, b""]


def test_more_than_256_authors() -> None:
    items = [FeedItem(f"p{n}", f"a{n % 300}", 1.0, "followee", 1.0) for n in range(600)]
    assert list(FeedMap(decode_bulk(encode_bulk(bulk_of(Generation(1, 1), items))))) == items


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([SAMPLE[0], SAMPLE[0]._replace(score=9.0)], "twice"),
        ([SAMPLE[0]._replace(score=math.nan)], "score"),
        ([SAMPLE[0]._replace(score=math.inf)], "score"),
        ([SAMPLE[0]._replace(score=1e39)], "score"),
        ([SAMPLE[0]._replace(created_at=math.nan)], "time"),
        ([SAMPLE[0]._replace(created_at=-math.inf)], "time"),
        ([SAMPLE[0]._replace(item_id=f"p{n}", reason=f"r{n}") for n in range(257)], "257 reasons"),
        ([SAMPLE[0]] * (ITEMS_MAX + 1), "60001 items"),
    ],
)
def test_a_feed_that_cannot_be_a_record_is_refused(items: list[FeedItem], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bulk_of(Generation(1, 1), items)


def read(data: bytes) -> list[FeedItem] | None:
    """Everything a reader does with a record; None if it is refused."""
    try:
        feed = FeedMap(decode_bulk(data))
    except BadRecord:
        return None
    items = list(feed)
    page = feed.page(None, ITEMS_MAX)
    assert page.items == items
    assert not page.more
    assert all(math.isfinite(item.score) and math.isfinite(item.created_at) for item in items)
    for item in items:
        assert item.item_id in feed
        assert 0.0 <= feed.propensity(item.item_id) <= 1.0
        feed.page(item.item_id, 1)
        feed.discard(item.item_id)
        feed.discard_author(item.author_id)
    assert len(feed) == 0 or len({item.item_id for item in items}) < len(items)
    msgspec.json.encode(items)
    return items


GOOD = [
    encode_bulk(bulk_of(Generation(5, 6), SAMPLE)),
    encode_bulk(bulk_of(Generation(5, 6), [])),
    encode_bulk(
        bulk_of(
            Generation(1 << 40, 1_735_655_473_000),
            [SAMPLE[0]._replace(item_id=f"{n:012x}", author_id=str(n % 3)) for n in range(40)],
        )
    ),
    encode_bulk(
        msgspec.structs.replace(bulk_of(Generation(5, 6), SAMPLE), explore_share=0.25, explored=b"\x05"),
    ),
    encode_bulk(bulk_of(Generation(5, 6), [SAMPLE[1]._replace(item_id="é" * 8 + chr(0x400 + n)) for n in range(9)])),
]


@pytest.mark.parametrize("data", GOOD)
def test_every_truncation_is_refused(data: bytes) -> None:
    assert read(data) is not None
    for end in range(len(data)):
        assert read(data[:end]) is None


@pytest.mark.parametrize("data", GOOD)
def test_every_byte_changed_is_refused_or_still_a_feed(data: bytes) -> None:
    rng = random.Random(1)
    refused = 0
    for position in range(len(data)):
        for value in {data[position] ^ 1, data[position] ^ 0x80, 0xC1, 0xFF, rng.randrange(256)} - {data[position]}:
            corrupt = bytearray(data)
            corrupt[position] = value
            refused += read(bytes(corrupt)) is None
    assert refused > 0


@settings(max_examples=300)
@given(
    data=st.sampled_from(GOOD),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_random_damage_is_refused_or_still_a_feed(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for position, patch in edits:
        at = position % (len(damaged) + 1)
        damaged[at : at + len(patch)] = patch
    read(bytes(damaged))


@given(data=st.binary(max_size=64))
@example(b"")
@example(VERSION)
@example(VERSION + b"\x91" * 100_000)
@example(VERSION + b"\xdd\xff\xff\xff\xff")
@example(VERSION + b"\xc6\xff\xff\xff\xff")
@example(VERSION + b"\x93\x01\xa6remove\xa1\xff")
@example(VERSION + b"\x91\x93\x01\xa6remove\xa1\xff")
def test_foreign_bytes_are_refused_or_a_record(data: bytes) -> None:
    for body in (data, VERSION + data):
        read(body)
        try:
            entries = decode_live(body)
        except BadRecord:
            continue
        assert decode_live(encode_live(entries)) == entries


def explored(items: list[FeedItem], share: float, drawn: list[int]) -> Bulk:
    """A bulk column whose items at the places `drawn` came from further down."""
    far = np.zeros(len(items), np.bool_)
    far[drawn] = True
    ids, authors, scores, _, created = (list(column) for column in zip(*items, strict=True))
    reason_of = [0] * len(items)
    return bulk_of_columns(
        Generation(5, 6), ids, authors, scores, ["followed"], reason_of, created, Exploration(share, far)
    )


def test_the_propensity_of_every_item_is_kept() -> None:
    items = [FeedItem(f"p{n}", "a", 1.0, "followed", 1.0) for n in range(20)]
    feed = FeedMap(decode_bulk(encode_bulk(explored(items, 0.1, [0, 8, 18]))))
    chances = [feed.propensity(f"p{n}") for n in range(20)]
    assert chances == pytest.approx(
        [0.1 / (20 - n) if n in (0, 8, 18) else 0.9 + 0.1 / (20 - n) for n in range(20)], abs=1e-12
    )
    assert chances[19] == 1.0, "the last one had no rival"
    feed.discard("p8")
    feed.insert(FeedItem("live", "a", 1.0, "followed", 2.0))
    assert (feed.propensity("p8"), feed.propensity("p9")) == (chances[8], chances[9]), "as it was when made"
    assert feed.propensity("live") == 1.0
    with pytest.raises(KeyError):
        feed.propensity("p20")


def test_a_record_of_the_version_before_is_still_read_and_nothing_in_it_was_drawn() -> None:
    fields = msgpack.unpackb(encode_bulk(bulk_of(Generation(5, 6), SAMPLE))[1:])
    old = b"\x01" + msgpack.packb(fields[:10])
    feed = FeedMap(decode_bulk(old))
    assert list(feed) == kept(SAMPLE)
    assert {feed.propensity(item.item_id) for item in SAMPLE} == {1.0}
    entries = [Live(9, "remove", "7")]
    assert decode_live(b"\x01" + encode_live(entries)[1:]) == entries


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan, math.inf])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(BadRecord):
        decode_bulk(encode_bulk(msgspec.structs.replace(bulk_of(Generation(1, 1), SAMPLE), explore_share=share)))


def test_another_version_says_which() -> None:
    with pytest.raises(BadRecord, match="record version 03; this program reads 01 and 02"):
        decode_bulk(b"\x03" + GOOD[0][1:])
    with pytest.raises(BadRecord, match="record version none"):
        decode_live(b"")


@pytest.mark.parametrize(
    "change",
    [
        {"scores": b"\0" * 8},
        {"scores": b"\0\0\x80\x7f" * 3},
        {"scores": b"\0\0\xc0\x7f" * 3},
        {"created": b"\0" * 12},
        {"created": b"\0\0\0\0\0\0\xf0\x7f" * 3},
        {"author_of": b"\0\x02\0"},
        {"author_of": b"\0\0\x02\0\0\0"},
        {"author_of": b"\0\0"},
        {"reason_of": b"\0\0"},
        {"reason_of": b"\0\0\x02"},
        {"reasons": ()},
        {"explored": b"\0\0"},
        {"items": bulk_of(Generation(1, 1), SAMPLE[:2]).items},
        {
            "authors": bulk_of(
                Generation(1, 1), [SAMPLE[0]._replace(item_id=f"{n}", author_id=f"{n}") for n in range(4)]
            ).authors
        },
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, object]) -> None:
    bulk: Bulk = msgspec.structs.replace(bulk_of(Generation(1, 1), SAMPLE), **change)
    with pytest.raises(BadRecord):
        FeedMap(bulk)


def test_generations_are_compared_by_watermark_then_time_and_written_both() -> None:
    assert Generation(2, 0) > Generation(1, 99)
    assert Generation(2, 1) > Generation(2, 0)
    assert str(Generation(216388, 1_735_603_200_000)) == "216388.1735603200000"
    assert Generation.parse("216388.1735603200000") == Generation(216388, 1_735_603_200_000)
    for text in ("", "1", "1.2.3", "-1.2", "1.", "a.b", "١.٢", "1.2 ", "9" * 19 + ".1"):
        with pytest.raises(ValueError):
            Generation.parse(text)
