"""CSV with a header or without, plain or gzip, from a file or standard input. Bounded memory, refused rows named."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from feedgen.config import TableMapping
from feedgen.errors import BadEvent, ImportFailed
from feedgen.events import Event
from feedgen.importers.intake import Batch, Refused, batched
from feedgen.importers.mapping import RowReader
from feedgen.importers.source import LINE_MAX_BYTES, STDIN, Source, lines

_BOM: Final = "\ufeff"

# For the whole process, there being no other way; a quote that is not closed swallows what follows up to here.
csv.field_size_limit(LINE_MAX_BYTES)


class _Lines:
    """Lines of text. One that is too long raises, and reading can go on behind it (a generator would be over)."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._lines = lines(stream)
        self._first = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if line is None:
            raise BadEvent(f"a line longer than {LINE_MAX_BYTES} bytes")
        text = line.decode("utf-8", "surrogateescape")
        if self._first:
            self._first = False
            return text.removeprefix(_BOM)
        return text


def batches(source: Source, name: str, mapping: TableMapping, now: float, size: int) -> Iterator[Batch]:
    """The events of the table `source` by the mapping called `name`, in batches of `size` rows.

    Rows are counted as a spreadsheet does: a header is row 1, and a row is one however many lines its cells have.
    `now`: domain time, s. Raises ConfigError for a column that is not there, ImportFailed for a header that is none.
    """
    rows = _rows(source, mapping.delimiter)
    return batched(_events(source, name, mapping, rows, now), size)


def _events(
    source: Source, name: str, mapping: TableMapping, rows: Iterator[tuple[int, list[str] | Refused]], now: float
) -> Iterator[Event | Refused]:
    reader, width = None, 0
    for number, row in rows:
        if isinstance(row, Refused):
            if reader is None:
                raise ImportFailed(f"{source.name}: row {number} is no row of a CSV file: {row.reason}")
            yield row
            continue
        if reader is None:
            columns = [cell.strip() for cell in row] if mapping.header else [str(n) for n in range(1, len(row) + 1)]
            reader, width = _reader(source, name, mapping, columns), len(columns)
            if mapping.header:
                continue
        if len(row) != width:
            yield Refused(number, f"{len(row)} cells, where the table has {width} columns", "row")
            continue
        try:
            event = reader.event(row, now)
        except BadEvent as reason:
            yield Refused(number, str(reason), "row")
        else:
            yield event


def _reader(source: Source, name: str, mapping: TableMapping, columns: list[str]) -> RowReader:
    table = "standard input" if source.name == STDIN else source.name
    return RowReader(mapping, columns, path=f"import.mappings.{name}", table=table, name=name)


def _rows(source: Source, delimiter: str) -> Iterator[tuple[int, list[str] | Refused]]:
    """Rows that are not blank, numbered from 1; a Refused for one that is none."""
    rows = csv.reader(_Lines(source.stream), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            row = next(rows)
            "".join(row).encode()
        except StopIteration:
            return
        except UnicodeEncodeError:
            yield number, Refused(number, "not UTF-8", "row")
        except (csv.Error, BadEvent) as error:
            hint = "; is a quote not closed?" if "field limit" in str(error) else ""
            yield number, Refused(number, f"{error}{hint}", "row")
        else:
            if row:
                yield number, row
