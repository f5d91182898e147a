"""How far a query has been read: what moves the watermark, and what must not."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.config import Query
from feedgen.importers.watermark import Watermark

NOW = 1_735_000_000.0
MOMENT = datetime.fromtimestamp(NOW, UTC)
AROUND = st.timedeltas(timedelta(days=-5), timedelta(days=5))
ZONED = st.builds(
    lambda by, hours: (MOMENT + by).astimezone(timezone(timedelta(hours=hours))), AROUND, st.integers(-12, 12)
)
INFINITE = st.sampled_from([datetime.min, datetime.max])


def after(values: list[Any], kept: str | None = None) -> str | None:
    """What is kept after rows with these watermarks, each an event of a second before now."""
    query = Query(query="SELECT at", type="login", ts="at", actor="at", watermark="at")
    mark = Watermark(query, kept, "import.sql.x.queries.y", texts=True)
    mark.find(["at"], "the table")
    for value in values:
        mark.see((value,))
        mark.move((value,), NOW - 1, NOW)
    return mark.written()


@given(st.lists(ZONED | INFINITE))
def test_it_is_the_latest_time_that_is_not_to_come(values: list[datetime]) -> None:
    past = [value for value in values if value.tzinfo is not None and value <= MOMENT]
    assert after(values) == (f"datetime:{max(past)}" if past else None)


def test_times_without_a_zone_and_days() -> None:
    naive = MOMENT.replace(tzinfo=None)
    assert after([datetime.max, naive, naive + timedelta(hours=1), datetime.min]) == f"datetime:{naive}"
    assert after([date.max, MOMENT.date(), MOMENT.date() + timedelta(days=1)]) == f"date:{MOMENT.date()}"


@pytest.mark.parametrize("endless", [float("inf"), float("nan"), Decimal("Infinity"), Decimal("NaN"), Decimal("sNaN")])
def test_what_no_number_is_above_moves_nothing(endless: float | Decimal) -> None:
    one = type(endless)(1)
    written = f"{type(one).__name__}:{one}"
    assert after([endless, one, endless]) == written
    assert after([endless]) is None
    assert after([one], kept=f"{type(endless).__name__}:{endless}") == written


def test_texts_of_times_to_come_move_nothing() -> None:
    naive = MOMENT.replace(tzinfo=None)
    texts = [str(naive), str(naive + timedelta(hours=1)), "2099-01-01", "2099-01-01T00:00:00+02:00"]
    assert after(texts) == f"str:{naive}"
    assert after(["a", "2099-13-01", "b"]) == "str:b"
