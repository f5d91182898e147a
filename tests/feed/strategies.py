"""Hypothesis strategies of ids and items, of every form a column can pack."""

import struct

from hypothesis import strategies as st

from feedgen.feed.record import FeedItem

TEXT_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
INT_IDS = st.integers(-(1 << 63), (1 << 63) - 1).map(str)
HEX_IDS = st.binary(min_size=6, max_size=6).map(bytes.hex)
NEAR_INTS = st.sampled_from(
    ["0", "-0", "00", "05", "+5", "5_0", "５", " 5", "5\n", str(1 << 63), "-" + str(1 << 63), "Ab", "AB", "ab", "a b "]
)
ID_LISTS = st.one_of(
    st.lists(form, max_size=12) for form in (TEXT_IDS, INT_IDS, HEX_IDS, NEAR_INTS, TEXT_IDS | INT_IDS)
)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
CREATED = st.integers(0, (1 << 32) - 1).map(float) | st.floats(-1e18, 1e18)
ITEMS = st.builds(
    FeedItem,
    TEXT_IDS | INT_IDS | HEX_IDS,
    st.sampled_from(["a", "b", "é", "7", "00ff"]) | TEXT_IDS,
    FLOAT32,
    st.sampled_from(["followee", "trending", "新"]),
    CREATED,
)
FEEDS = st.lists(ITEMS, max_size=20, unique_by=lambda item: item.item_id)


def float32(value: float) -> float:
    """As a record keeps it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
