"""docs/diversity.md shows what the code does."""

from tests.diversity_page import PAGE, tables, with_tables


def test_its_tables_are_what_a_run_gives() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page, tables()), (
        "run `.venv/bin/python -m tests.diversity_page` and look at what changed"
    )
