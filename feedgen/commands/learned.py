"""The commands that play a log: train, replay, evaluate. What they do is in learning.py."""

from pathlib import Path
from typing import Annotated, Any

import typer

from feedgen.commands.options import ConfigOption, DataOption, later_written, parse_now, settings_of

EventsArgument = Annotated[
    str, typer.Argument(metavar="EVENTS", help="A JSON Lines file of events, plain or gzip; - for stdin.")
]
LogArgument = Annotated[
    str | None,
    typer.Argument(metavar="[EVENTS]", help="A JSON Lines file of events, plain or gzip.  [default: the event log]"),
]
BeginOption = Annotated[
    float, typer.Option("--train-until", metavar="T1", parser=parse_now, help="Learn from before; replay from here.")
]
EndOption = Annotated[float, typer.Option("--until", metavar="T2", parser=parse_now, help="Replay up to here.")]
_SCORERS = ("formula", "linear", "trees", "stacked")


def _scorer(text: str) -> str:
    if text not in _SCORERS:
        raise typer.BadParameter(f"{text!r} is no scorer; there are {', '.join(_SCORERS)}")
    return text


ScorerOption = Annotated[
    str | None,
    typer.Option(
        "--scorer", metavar="NAME", parser=_scorer, help="formula, linear, trees or stacked.  [default: models.scorer]"
    ),
]
VersionOption = Annotated[
    str | None, typer.Option(help="A version of the registry instead of training one; it must know nothing after T1.")
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, max=64, help="Processes at once.  [default: one a processor, 4 at most]")
]


def train(
    events: LogArgument = None,
    until: Annotated[
        float | None, typer.Option("--until", metavar="T", parser=parse_now, help="Learn from before.  [default: all]")
    ] = None,
    scorer: ScorerOption = None,
    promote: Annotated[bool, typer.Option("--promote", help="Have the new version rank.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Move the version that ranks on by what came since, not train anew.")
    ] = False,
    rows: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Keep the training rows there (Parquet).")
    ] = None,
    processes: ProcessesOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Train a model on the log, as of each login in it, and put it into the registry of the data folder.

    Stdout says what it was made from, how good it is on the latest part, and its version.

    Example: feedgen train reviews.jsonl.gz --until 2024-01-01 --data ./data --promote
    """
    from feedgen.commands import learning

    asked = learning.Asked(*settings_of(config_path, data), events, scorer, processes)
    learning.train(asked, until=until, promote=promote, rows=rows, refresh=refresh)


def replay(
    events: EventsArgument,
    begin: BeginOption,
    until: EndOption,
    scorer: ScorerOption = None,
    dump: Annotated[
        Path | None, typer.Option(metavar="FILE", callback=later_written, help="Write each feed there, a line each.")
    ] = None,
    version: VersionOption = None,
    processes: ProcessesOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say what feed every login from T1 to T2 would have got, by a model that learnt from before T1 only.

    Nothing later than the login is used. Stdout has how good the order was, before and after diversity.

    Example: feedgen replay reviews.jsonl.gz --train-until 2024-01-01 --until 2025-01-01 --dump feeds.jsonl
    """
    from feedgen.commands import learning

    _need_span(begin, until)
    asked = learning.Asked(*settings_of(config_path, data), events, scorer, processes)
    learning.replay(asked, begin, until, version=version, dump=dump)


def evaluate(
    begin: BeginOption,
    until: EndOption,
    events: LogArgument = None,
    scorer: ScorerOption = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", callback=later_written, help="Write the JSON there, not to stdout.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", callback=later_written, help="Write a page with everything there.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Draw pictures (PNG) there.")
    ] = None,
    version: VersionOption = None,
    processes: ProcessesOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Judge a model that learnt from before T1 on the logins from T1 to T2: orders and probabilities, beside baselines.

    A table for people on stderr, JSON on stdout.

    Example: feedgen evaluate reviews.jsonl.gz --train-until 2024-01-01 --until 2025-01-01 --html report.html
    """
    from feedgen.commands import learning

    _need_span(begin, until)
    asked = learning.Asked(*settings_of(config_path, data), events, scorer, processes)
    learning.evaluate(asked, begin, until, version=version, json=json, html=html, plots=plots)


def _need_span(begin: float, until: float) -> None:
    if begin >= until:
        raise typer.BadParameter("--until must be later than --train-until")


def add_to(app: Any) -> None:
    """Have the command line know them."""
    for command in (train, replay, evaluate):
        app.command(command.__name__)(command)
