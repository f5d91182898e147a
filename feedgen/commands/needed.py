"""What must be there: a command that only reads a data folder, or adds to it, makes none of a mistyped name."""

import shlex
from pathlib import Path

from feedgen.config import Settings
from feedgen.errors import ForefeedError
from feedgen.eventlog import holds_log, need_folder


def need_data(settings: Settings, data_dir: Path) -> None:
    """Raise ForefeedError when there is no log in `data_dir`, before an empty one is made there."""
    if not holds_log(settings.log, data_dir):
        named = shlex.quote(str(data_dir))
        raise ForefeedError(f"no event log in {data_dir}; fill one with: feedgen import SOURCE --data {named}")


def need_data_folder(settings: Settings, data_dir: Path) -> None:
    """Raise ForefeedError when `data_dir` is not there, for who wants its models, not its log. A log by URL may have
    none."""
    need_folder(data_dir)
    if not settings.log.url and not data_dir.exists():
        named = shlex.quote(str(data_dir))
        raise ForefeedError(
            f"no data folder {data_dir} for models; name yours with --data, or make it: mkdir -p {named}"
        )
