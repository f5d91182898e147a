"""What a run of the generation benchmark found, for people."""

from collections.abc import Iterator
from typing import Any, Final

_FORM: Final = "{:>9}  {:<6} {:>9} {:>17} {:>8} {:>17} {:>6} {:>13}"
_CALLERS: Final = ("ours", "ships", "trees", "sql", "redis")


def table(result: dict[str, Any]) -> str:
    """A line for each size and caller: medians of the rounds, growth from the first size. Then who is missing, and what
    each stage of ours takes."""
    head = _FORM.format(
        "viewers", "who", "feeds/s", "least-greatest", "CPU us", "caller+server", "times", "grown (least)"
    )
    return "\n".join([head, *_lines(result), *_missing(result), *_stages(result)]) + "\n"


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for place, size in enumerate(result["sizes"]):
        for name in _CALLERS:
            found = size.get(name, {})
            if "feeds_per_s" in found:
                caller, server = found["caller_cpu_us_per_feed"], found["server_cpu_us_per_feed"]
                grown = result["growth"].get(name)
                yield _FORM.format(
                    f"{size['viewers']:,}",
                    name,
                    f"{found['feeds_per_s']:,.0f}",
                    f"{found['feeds_per_s_min']:,.0f}-{found['feeds_per_s_max']:,.0f}",
                    f"{caller + server:,.0f}",
                    f"{caller:,.0f}+{server:,.0f}" if server else "",
                    f"{found['ours_times_this']:,.1f}" if "ours_times_this" in found else "1",
                    f"{grown['median'][place]:.2f} ({grown['least'][place]:.2f})" if grown else "",
                )


def _stages(result: dict[str, Any]) -> Iterator[str]:
    """What each stage of ours takes, µs a feed: a column for each size of each caller."""
    found = [
        (f"{name} {size['viewers']:,}", size[name]["stages_us"])
        for name in _CALLERS
        for size in result["sizes"]
        if "stages_us" in size.get(name, {})
    ]
    if found:
        yield ""
        yield f"{'us a feed':<20}" + "".join(f"{who:>16}" for who, _ in found)
        for stage in found[0][1]:
            yield f"{stage:<20}" + "".join(f"{took[stage]:>16.1f}" for _, took in found)


def _missing(result: dict[str, Any]) -> Iterator[str]:
    for size in result["sizes"]:
        for name in _CALLERS:
            if "skipped" in size.get(name, {}):
                yield f"{size['viewers']:>9,}  {name:<6} left out: {size[name]['skipped']}"
