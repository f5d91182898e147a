"""The edits of posts, as far as they count: the greatest (ts, id) for each field of a post."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.lists import Lists
from feedgen.state.stamps import Stamps

_NEAR: Final = 8
"""Posts whose indices differ in so many last bits only are looked up together: few are edited, and a list is not kept
for each post."""


class Edit(NamedTuple):
    """The edit that counts for one field; `value` as PostAttributes codes it."""

    ts: float
    event_id: str
    value: int


class Edits(Composite):
    """Rows of (post, field) in the order of their first edit: 25 bytes, and the id of the event that counts."""

    def __init__(self) -> None:
        self._post = Column(np.int32)
        self._field = Column(np.uint8)
        self._time = Column(np.uint32)
        self._event = Column(np.uint32)
        self._value = Column(np.int64)
        self._stamps = Stamps()
        self._rows = Lists(np.int32)

    def _parts(self) -> Mapping[str, Part]:
        return {
            "post": self._post,
            "field": self._field,
            "time": self._time,
            "event": self._event,
            "value": self._value,
            "stamps": self._stamps,
            "rows": self._rows,
        }

    def __len__(self) -> int:
        return self._post.count

    def keep(self, post: int, field: int, ts: float, event_id: str, value: int) -> bool:
        """Take an edit in; whether it counts. O(edits of posts near it)."""
        row = self._found(post).get(field)
        if row is None:
            row, before = self._post.count, 0
            for column in (self._post, self._field, self._time, self._event, self._value):
                column.reach(row + 1)
            self._post[row], self._field[row] = post, field
            self._rows.append(post >> _NEAR, row)
        elif (ts, event_id) <= self._edit(row)[:2]:
            return False
        else:
            before = int(self._time[row])
        self._time[row] = self._stamps.code(ts, before)
        self._event[row] = self._stamps.keep(event_id)
        self._value[row] = value
        return True

    def of(self, post: int) -> dict[int, Edit]:
        """By field. O(edits of posts near it)."""
        return {field: self._edit(row) for field, row in self._found(post).items()}

    def posts(self) -> list[int]:
        """The posts that were edited. O(edits)."""
        found: list[int] = np.unique(self._post.values).tolist()
        return found

    def _found(self, post: int) -> dict[int, int]:
        near = self._rows.of(post >> _NEAR)
        rows = near[self._post.values[near] == post]
        return dict(zip(self._field.values[rows].tolist(), rows.tolist(), strict=True))

    def _edit(self, row: int) -> Edit:
        return Edit(self._stamps.time(self._time[row]), self._stamps.id(self._event[row]), int(self._value[row]))
