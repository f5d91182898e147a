"""docs/signals.md lists the signals there are."""

from feedgen.ranking.signals import NAMES
from tests.signals_page import PAGE, with_table


def test_its_tables_are_the_definitions() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run `.venv/bin/python -m tests.signals_page`"
    assert all(f"| {name} |" in page for name in NAMES)
    assert len(set(NAMES)) == len(NAMES)
