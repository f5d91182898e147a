"""The tables of docs/signals.md, from the definitions.

`.venv/bin/python -m tests.signals_page` writes them anew.
"""

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Final

from feedgen.ranking.groups.columns import Signal
from feedgen.ranking.groups.sweep import GROUPS

PAGE: Final = Path(__file__).parents[1] / "docs" / "signals.md"
_MARKS: Final = re.compile(r"(<!-- table of signals: [^\n]* -->\n).*(<!-- end of table -->)", re.DOTALL)


def _table() -> Iterator[str]:
    for group in GROUPS:
        assert group.__doc__ is not None
        yield from (f"## {group.__name__.rpartition('.')[2].capitalize()}", "", group.__doc__.strip())
        yield from (f"Cost: {group.COST}.", "", "| signal | unit | range | missing | says |", "|---|---|---|---|---|")
        yield from map(_row, group.SIGNALS)
        yield ""


def _row(signal: Signal) -> str:
    reach = f"{_bound(signal.least)} to {_bound(signal.most)}"
    return f"| {signal.name} | {signal.unit} | {reach} | {signal.missing} | {signal.says} |"


def _bound(value: float) -> str:
    return {inf: "∞", -inf: "−∞"}.get(value, f"{value:g}".replace("-", "−"))


def with_table(page: str) -> str:
    """The page with its tables as the code has them."""
    lines = "\n".join(_table())
    return _MARKS.sub(lambda found: f"{found[1]}\n{lines}\n{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
