"""Which way in a source takes: JSON Lines, CSV, Parquet, git:PATH or sql:NAME."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from fnmatch import fnmatch
from pathlib import Path

from feedgen.config import Settings, TableMapping
from feedgen.errors import ConfigError
from feedgen.importers import csvtable, githistory, jsonl, parquet, source, sql
from feedgen.importers.gitsocial import GitSocial
from feedgen.importers.intake import Way, threaded

_PACKED = ".gz"
_TEXT = (".csv", ".tsv")
_PARQUET = (".parquet", ".pq")


@contextmanager
def opened(settings: Settings, name: str, mapping: str | None, now: float) -> Iterator[Way]:
    """The source `name`, opened; `mapping`: the one asked for. `now`: domain time, s.

    Raises ImportFailed when it cannot be read, ConfigError when the settings do not say how.
    """
    kind, colon, rest = name.partition(":")
    if colon and kind in {"git", "sql"} and mapping is not None:
        raise ConfigError(f"--mapping is for CSV and Parquet files, and {name} is none")
    if colon and kind == "git":
        opener = _git(settings, rest, now)
    elif colon and kind == "sql":
        opener = _sql(settings, rest, now)
    elif name.endswith(_PARQUET):
        opener = _parquet(settings, name, _mapping(settings, name, mapping), now)
    elif mapping is not None or name.removesuffix(_PACKED).endswith(_TEXT):
        opener = _csv(settings, name, _mapping(settings, name, mapping), now)
    else:
        opener = _jsonl(settings, name, now)
    with opener as way:
        yield way


@contextmanager
def _jsonl(settings: Settings, name: str, now: float) -> Iterator[Way]:
    with source.opened(name) as file:
        batches = jsonl.batches(file, now, settings.log.batch_events)
        yield Way(lambda log: threaded(batches), lambda: (file.read_bytes(), file.size_bytes, ""))


@contextmanager
def _csv(settings: Settings, name: str, mapping: tuple[str, TableMapping], now: float) -> Iterator[Way]:
    with source.opened(name) as file:
        batches = csvtable.batches(file, *mapping, now, settings.log.batch_events)
        yield Way(lambda log: threaded(batches), lambda: (file.read_bytes(), file.size_bytes, ""))


@contextmanager
def _parquet(settings: Settings, name: str, mapping: tuple[str, TableMapping], now: float) -> Iterator[Way]:
    with closing(parquet.Table(name)) as table:
        batches = table.batches(*mapping, now, settings.log.batch_events)
        yield Way(lambda log: threaded(batches), lambda: (table.rows_read, table.rows, ""))


@contextmanager
def _git(settings: Settings, path: str, now: float) -> Iterator[Way]:
    with githistory.opened(path) as history:
        social = GitSocial(history)
        batches = social.batches(now, settings.log.batch_events)
        yield Way(
            lambda log: threaded(batches),
            lambda: (social.sorted, social.to_sort or None, f"{social.commits_read:,} commits, "),
        )


@contextmanager
def _sql(settings: Settings, name: str, now: float) -> Iterator[Way]:
    if name not in settings.import_.sql:
        raise ConfigError(f"sql:{name}: no `import.sql.{name}` in the settings; {_there(settings.import_.sql)}")
    database = sql.DatabaseSource(name, settings.import_.sql[name])
    size = settings.log.batch_events
    yield Way(lambda log: database.batches(log, now, size), lambda: (database.rows_read, None, ""), whole=False)


def _mapping(settings: Settings, name: str, wanted: str | None) -> tuple[str, TableMapping]:
    """The mapping asked for, or else the only one whose `files` match the file's name."""
    mappings = settings.import_.mappings
    if wanted is not None:
        if wanted not in mappings:
            raise ConfigError(f"--mapping {wanted}: no `import.mappings.{wanted}` in the settings; {_there(mappings)}")
        return wanted, mappings[wanted]
    file = Path(name).name
    found = [(key, mapping) for key, mapping in mappings.items() if mapping.files and fnmatch(file, mapping.files)]
    if len(found) == 1:
        return found[0]
    why = "none matches it" if not found else f"several match it: {', '.join(key for key, _ in found)}"
    there = _there(mappings)
    raise ConfigError(f"{name}: which mapping? By their `files`, {why}; say --mapping ({there}; docs/importing.md)")


def _there(named: Iterable[str]) -> str:
    return f"there is {', '.join(named) or 'none'}"
