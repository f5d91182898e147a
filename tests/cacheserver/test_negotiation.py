"""Accept, Content-Type and entity tags."""

import pytest

from cacheserver.negotiation import best, etag_of
from cacheserver.wire import JSON, MSGPACK, X_MSGPACK


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        (" , ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON; charset=utf-8", JSON),
        ("application/msgpack", MSGPACK),
        ("application/x-msgpack", X_MSGPACK),
        ("application/msgpack, application/json", JSON),
        ("application/msgpack, application/json;q=0.9", MSGPACK),
        ("application/json;q=0.5, application/x-msgpack;q=0.6", X_MSGPACK),
        ("application/json;q=0, */*", MSGPACK),
        ("text/html, */*;q=0.1", JSON),
        ("application/msgpack;q=0.1, */*;q=0.5", JSON),
        ("application/json;q=0.1, application/*;q=0.2", MSGPACK),
        ("application/*;q=0.9, application/json;q=0.1, application/msgpack;q=0.2, application/x-msgpack;q=0", MSGPACK),
        ("application/json ; q = 1.000", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("application/json;q=nonsense", None),
        ("application/json;q=nan, application/msgpack", MSGPACK),
        ("application/json;q=1.5", None),
        (";;;,=,q", None),
        ("application/problem+json", None),
    ],
)
def test_the_greatest_q_of_the_most_specific_range_wins(accept, chosen):
    assert best(accept) == chosen


def test_an_entity_tag_is_of_the_representation():
    assert etag_of(b"{}", JSON) == etag_of(b"{}", JSON)
    assert len({etag_of(b"{}", JSON), etag_of(b"{}", MSGPACK), etag_of(b"{ }", JSON)}) == 3
