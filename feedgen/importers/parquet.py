"""Parquet by a column mapping, through pyarrow (the extra `parquet`). Read in record batches: bounded memory."""

import io
from collections.abc import Iterator
from typing import Any, Final

from feedgen.config import TableMapping
from feedgen.errors import BadEvent, ImportFailed
from feedgen.events import Event
from feedgen.importers.intake import Batch, Refused, batched
from feedgen.importers.mapping import RowReader, columns_of
from feedgen.importers.source import readable

_BATCH_ROWS: Final = 5_000


class Table:
    """An opened Parquet file."""

    def __init__(self, path: str) -> None:
        """Raises ImportFailed when the file cannot be read, is no Parquet, or pyarrow is not installed."""
        try:
            import pyarrow as arrow
            from pyarrow import parquet
        except ImportError:
            raise ImportFailed(f"{path}: Parquet needs pyarrow: pip install 'forefeed[parquet]'") from None
        self._arrow = arrow
        self._path = path
        with readable(path):
            io.FileIO(path).close()  # its errors are clearer than pyarrow's
            self._file = parquet.ParquetFile(path, pre_buffer=False)
        self.rows: int = self._file.metadata.num_rows
        self.rows_read = 0

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def batches(self, name: str, mapping: TableMapping, now: float, size: int) -> Iterator[Batch]:
        """The events of the table by the mapping called `name`; rows are counted from 1. `now`: domain time, s.

        Raises ConfigError for a column that is not there. What breaks off ends in a batch with a `failure`.
        """
        path, table = f"import.mappings.{name}", self._path
        RowReader(mapping, self._file.schema_arrow.names, path=path, table=table, name=name)  # all columns are there
        columns = columns_of(mapping)
        return batched(self._events(RowReader(mapping, columns, path=path, table=table, name=name), columns, now), size)

    def _events(self, reader: RowReader, columns: list[str], now: float) -> Iterator[Event | Refused]:
        for row in self._rows(columns):
            self.rows_read += 1
            try:
                event = reader.event(row, now)
            except BadEvent as reason:
                yield Refused(self.rows_read, str(reason), "row")
            else:
                yield event

    def _rows(self, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        try:
            for records in self._file.iter_batches(_BATCH_ROWS, columns=columns):
                cells = [self._times(records.column(name)).to_pylist() for name in columns]
                yield from zip(*cells, strict=True)
        except (self._arrow.ArrowException, ValueError) as error:
            raise OSError(" ".join(str(error).split())) from None

    def _times(self, column: Any) -> Any:
        """Python's times have microseconds; a zone by name would need a time zone database, which may be missing."""
        kind = column.type
        if not self._arrow.types.is_timestamp(kind):
            return column
        return column.cast(self._arrow.timestamp("us", "UTC" if kind.tz else None), safe=False)
