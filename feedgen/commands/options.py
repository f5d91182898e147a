"""Options that commands share, and how their text is read."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from feedgen import config
from feedgen.config import Settings

_NOW_MAX_S: Final = 15_000_000_000.0  # the year 2445: state counts the hours since 1970 in 22 bits


def parse_now(text: str) -> float:
    """A moment from an option: epoch seconds, or ISO 8601 (UTC where no offset is given). In seconds.

    Raises typer.BadParameter for anything else.
    """
    with contextlib.suppress(ValueError, OverflowError):
        moment = float(text) if _is_number(text) else _utc(datetime.fromisoformat(text)).timestamp()
        if 0 <= moment <= _NOW_MAX_S:
            return moment
    raise typer.BadParameter(f"{text!r} is no time; one looks like 2025-01-31T12:00:00Z or 1738324800")


def _is_number(text: str) -> bool:
    # Eight digits alone would be a date to fromisoformat; here digits are seconds.
    return text.isascii() and text.replace(".", "", 1).isdigit()


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def later_written(path: Path | None) -> Path | None:
    """Of a file that is written at the end: refused now where it cannot be, not after hours of work.

    Raises typer.BadParameter.
    """
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file")
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"{path.parent}: no such folder; make it first")
    if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written; name another file")
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Settings file.  [default: ./config.yaml if there is one]"),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the event log and feeds, over data_dir.")
]
NowOption = Annotated[
    float | None,
    typer.Option(
        "--now",
        metavar="T",
        parser=parse_now,
        help="The time it is: ISO 8601 or epoch seconds; later events do not count.",
    ),
]


def settings_of(path: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """The settings, and the data folder: the one given, else that of the settings. Raises ConfigError."""
    settings = config.load(path)
    return settings, data if data is not None else Path(settings.data_dir)
