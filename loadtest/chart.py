"""What a run of the serving benchmark found, for people: a table in Markdown and a picture."""

from pathlib import Path
from typing import Any


def table(result: dict[str, Any]) -> str:
    """Medians, least and greatest; then the ratios and what they should be."""
    lines = [
        "| | pages/s | least–greatest | CPU µs/page | p50 ms | p99 ms | p99.9 ms | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in result["contests"].items():
        rate = found["pages_per_s"]
        lines.append(
            f"| {name} | {rate['median']:,.0f} | {rate['min']:,.0f}–{rate['max']:,.0f} "
            f"| {found['cpu_us_per_page']['median']:.1f} | {_told(found['p50_ms'], 2)} "
            f"| {_told(found['p99_ms'], 1)} | {_told(found['p99_9_ms'], 1)} | {found['failed']} |"
        )
    lines += [
        "",
        "| ratio of pages/s, round by round | median | least–greatest | goal | by CPU time |",
        "|---|---|---|---|---|",
    ]
    for ratio in result["ratios"]:
        lines.append(
            f"| {ratio['of']} / {ratio['to']} | {ratio['median']:.2f} "
            f"| {ratio['min']:.2f}–{ratio['max']:.2f} | ≥ {ratio['goal']} | {ratio['by_cpu']:.2f} |"
        )
    opened = result["open_loop"]
    lines += [
        "",
        f"Open loop at {opened[0]['rate_per_s']:,.0f} pages/s, half of the peak: "
        f"p99 {result['open_loop_p99_ms']:.1f} ms, "
        f"median of {len(opened)} rounds. A resident feed takes {result['bytes_per_feed']:,.0f} bytes, "
        f"{result['bytes_per_feed_with_pages']:,.0f} with the pages that were encoded in the run.",
    ]
    lines += [f"Left out: {name} ({reason})." for name, reason in result["left_out"].items()]
    return "\n".join(lines) + "\n"


def _told(figure: dict[str, float | None], digits: int) -> str:
    median = figure["median"]
    return "–" if median is None else f"{median:.{digits}f}"


def plot(result: dict[str, Any], path: Path) -> None:
    """Pages a second as bars, from the least to the greatest round as whiskers; PNG. Raises ModuleNotFoundError."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(result["contests"])
    rates = [result["contests"][name]["pages_per_s"] for name in names]
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    medians = [rate["median"] for rate in rates]
    whiskers = [
        [median - rate["min"] for median, rate in zip(medians, rates, strict=True)],
        [rate["max"] - median for median, rate in zip(medians, rates, strict=True)],
    ]
    colours = ["#2a6f97" if "lane" in name or "batch" in name else "#a9a9a9" for name in names]
    bars = axes.barh(names, medians, xerr=whiskers, color=colours)
    axes.bar_label(bars, [f" {median:,.0f}" for median in medians], padding=6)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("pages a second, one core for the server; median of the rounds, whiskers from least to greatest")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
