"""An evaluation for people: a table for the terminal, a page, and pictures."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from feedgen.errors import ForefeedError
from feedgen.learning.foreseen import MEASURES
from feedgen.learning.judging import KINDS, ORDERS
from feedgen.learning.orders import FIGURES

_TITLES: Final = {"open": "posts of followees nobody had engaged with yet", "all": "all posts"}
_NONE: Final = "–"
Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Title, head, and rows of text."""


def tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """What there is to show of a report, in the order in which it is read."""
    for kind in KINDS:
        orders = {name: figures for name in ORDERS if (figures := report[kind].get(name))}
        if orders:
            rows = [[name, *(_interval(figures[each]) for each in FIGURES)] for name, figures in orders.items()]
            rows.append(
                ["lost to diversity", *(_interval(report["lost_to_diversity"][kind][each]) for each in FIGURES)]
            )
            yield f"{_TITLES[kind]}: {report[kind]['queries']:,} logins", ("order", *FIGURES), rows
    first = [
        [name, _number(each["worth_per_viewer"]), _number(each["against_per_viewer"])]
        for name, each in report["first_20"].items()
    ]
    head = ("order", "worth / viewer", "hides and reports / viewer")
    yield f"what was done with the first 20: {report['viewers']:,} viewers came", head, first
    if report.get("actions"):
        actions = report["actions"].items()
        each_action = [
            [name, f"{each['positives']:,}", _number(each["base_rate"]), *(_interval(each.get(m)) for m in MEASURES)]
            for name, each in actions
        ]
        yield f"foreseen, by action: {report['rows']}", ("action", "happened", "rate", *MEASURES), each_action
    for name, slices in report.get("slices", {}).items():
        sliced = [
            [label, f"{each['rows']:,}", f"{each['positives']:,}", *(_number(each.get(m)) for m in MEASURES)]
            for label, each in slices.items()
        ]
        yield f"engagement foreseen, by {name}", (name, "rows", "engaged", *MEASURES), sliced
    for name, slices in report.get("order_slices", {}).items():
        rows = [
            [label, f"{each['queries']:,}", *(_interval(each[f]) for f in FIGURES)] for label, each in slices.items()
        ]
        yield f"ranked, {_TITLES['all']}, by {name}", (name, "logins", *FIGURES), rows


def text(report: Mapping[str, Any]) -> str:
    """All tables, for a terminal of about 120 columns."""
    parts = []
    for title, head, rows in tables(report):
        widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(cells))
            for cells in (list(zip(row, widths, strict=True)) for row in (head, *rows))
        ]
        parts.append("\n".join((title, *(f"  {line}" for line in lines))))
    return "\n\n".join(parts)


def page(report: Mapping[str, Any], pictures: Sequence[tuple[str, bytes]] = ()) -> str:
    """One HTML page that needs nothing besides itself; `pictures`: PNG files by title."""
    parts = [f"<h1>{escape(_headline(report))}</h1>"]
    for title, head, rows in tables(report):
        parts += [
            f"<h2>{escape(title)}</h2>",
            "<table>",
            _row("th", head),
            *(_row("td", row) for row in rows),
            "</table>",
        ]
    for title, png in pictures:
        parts.append(f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{_base64(png)}"></figure>')
    style = (
        "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}td:first-child{text-align:left}"
    )
    whole = "\n".join(parts)
    head_of = f'<meta charset="utf-8"><title>{escape(_headline(report))}</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head_of}</head>\n<body>\n{whole}\n</body></html>\n'


def pictures(report: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """(name, PNG) of: NDCG@20 by order with intervals; calibration of every action that happened often enough.

    Raises ForefeedError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ForefeedError("pictures need matplotlib; install the extra forefeed[plots]") from None
    drawn = [("orders", _draw_orders(Figure(figsize=(7, 4), layout="constrained"), report))]
    if report.get("actions"):
        drawn.append(("calibration", _draw_calibration(Figure(figsize=(5.5, 5), layout="constrained"), report)))
    return drawn


def write_pictures(drawn: Sequence[tuple[str, bytes]], folder: Path) -> None:
    """A file each, in a folder that is made. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in drawn:
        (folder / f"{name}.png").write_bytes(png)


def _draw_orders(figure: Any, report: Mapping[str, Any]) -> bytes:
    axes = figure.subplots()
    for shift, kind in ((-0.2, "open"), (0.2, "all")):
        found = [report[kind].get(name, {}).get("ndcg_at_20") for name in ORDERS]
        at = [place + shift for place, each in enumerate(found) if each]
        there = [each for each in found if each]
        means = [each["mean"] for each in there]
        spans = [[each["mean"] - each["low"] for each in there], [each["high"] - each["mean"] for each in there]]
        axes.bar(at, means, 0.38, yerr=spans if there else None, capsize=3, label=_TITLES[kind])
    axes.set_xticks(range(len(ORDERS)), [name.replace("_", " × ") for name in ORDERS])
    axes.set(ylabel="NDCG@20", ylim=(0, 1))
    axes.legend()
    return _png(figure)


def _draw_calibration(figure: Any, report: Mapping[str, Any]) -> bytes:
    axes = figure.subplots()
    shown = [(name, each["curve"]) for name, each in report["actions"].items() if each["positives"] >= 50]
    for name, curve in shown:
        points = [(each["foreseen"], each["happened"]) for each in curve if each["foreseen"] > 0 < each["happened"]]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    ends = [each[key] for _, curve in shown for each in curve for key in ("foreseen", "happened") if each[key] > 0]
    span = (min(ends) / 2, min(1.0, max(ends) * 2)) if ends else (1e-3, 1.0)
    axes.plot(span, span, color="grey", linestyle=":", label="right")
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span, xlabel="foreseen", ylabel="happened")
    axes.legend()
    return _png(figure)


def _png(figure: Any) -> bytes:
    held = BytesIO()
    figure.savefig(held, dpi=120, format="png", metadata={"Software": None})
    return held.getvalue()


def _headline(report: Mapping[str, Any]) -> str:
    return f"Ranking by {report['scorer']}: {report['logins']:,} logins of {report['from']} to {report['until']}"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _interval(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return _NONE
    return f"{figure['mean']:.4f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4g}"
