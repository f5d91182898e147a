"""Columns of numbers as PostgreSQL's binary COPY takes rows, made by numpy: no row is touched in Python."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Signature, no flags, no extension (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format")."""
END: Final = b"\xff\xff"


def rows(*columns: NDArray[Any]) -> bytes:
    """Rows of these columns, all of one length, between HEAD and END: int32 for `int`, float64 for `float8`.

    Of each row the number of its fields, and before each field how many bytes it has, everything big-endian. O(rows).
    """
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for place, column in enumerate(columns):
        fields += [(f"bytes{place}", ">i4"), (f"value{place}", column.dtype.newbyteorder(">"))]
    table = np.empty(len(columns[0]), np.dtype(fields))
    table["fields"] = len(columns)
    for place, column in enumerate(columns):
        table[f"bytes{place}"] = column.dtype.itemsize
        table[f"value{place}"] = column
    return table.tobytes()
