"""Events in columns: gathered part by part, sorted once, made into Event objects as they are read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from feedgen.events import ON_POST, ON_USER, Event
from feedgen.synthetic.ragged import Ints
from feedgen.synthetic.spec import ProgressHook

ORDER: Final = (
    "user", "follow", "post", "edit", "review", "login", "view", "click", "dwell", "like", "comment", "share", "save",
    "hide", "not_interested", "report", "unlike", "unfollow", "mute", "block", "logout", "delete",
)  # fmt: skip
"""Types in the order in which they stand within one second."""

_CHUNK: Final = 16_384

AttrsOf = Callable[[int], dict[str, Any]]
"""The attrs of the event whose `ref` is given."""


class EventTable:
    """Events in columns. Add parts, then `finish`, then read."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Ints, Ints, Ints, Ints]] = []
        self._code = np.zeros(0, np.int8)
        self._ts = np.zeros(0, np.int64)
        self._actor = self._object = self._ref = np.zeros(0, np.int32)

    def add(self, kind: str, ts: Ints, actor: Ints, target: Ints | None = None, ref: Ints | None = None) -> None:
        """Events of one type. `target`: row of the user or post it is about; `ref`: what its attrs are made from."""
        none = np.full(len(ts), -1, np.int64)
        target = none if target is None else target
        self._parts.append((ORDER.index(kind), ts, actor, target, none if ref is None else ref))

    def finish(self) -> None:
        """Sort by time; within a second by type, then by the order of adding. O(n log n)."""
        sizes = [len(part[1]) for part in self._parts]
        code = np.repeat(np.array([part[0] for part in self._parts], np.int8), sizes)
        ts = np.concatenate([part[1] for part in self._parts])
        order = np.argsort(ts * len(ORDER) + code, kind="stable")
        self._code, self._ts = code[order], ts[order]
        self._actor, self._object, self._ref = (
            np.concatenate([part[column] for part in self._parts]).astype(np.int32)[order] for column in (2, 3, 4)
        )
        self._parts.clear()

    def __len__(self) -> int:
        return len(self._ts)

    def counts(self) -> dict[str, int]:
        """Events by type, the types that occur."""
        by_code = np.bincount(self._code, minlength=len(ORDER)).tolist()
        return {kind: count for kind, count in zip(ORDER, by_code, strict=True) if count}

    def events(
        self,
        people: list[str],
        posts: list[str],
        attrs_of: Mapping[str, AttrsOf],
        on_progress: ProgressHook | None,
    ) -> Iterator[Event]:
        """The events in order. Ids are numbered with leading zeros, so that they sort as strings. ~1 µs each."""
        total = len(self)
        digits = len(str(max(0, total - 1)))
        names = [posts if kind in ON_POST else people if kind in ON_USER else None for kind in ORDER]
        makers = [attrs_of.get(kind) for kind in ORDER]
        for low in range(0, total, _CHUNK):
            rows = slice(low, low + _CHUNK)
            columns = (self._code, self._actor, self._object, self._ref, self._ts)
            lists = [column[rows].tolist() for column in columns]
            for number, (code, actor, target, ref, ts) in enumerate(zip(*lists, strict=True), low):
                named, make = names[code], makers[code]
                yield Event(
                    f"e{number:0{digits}d}",
                    ORDER[code],
                    float(ts),
                    people[actor],
                    None if named is None else named[target],
                    {} if make is None else make(ref),
                )
            if on_progress is not None:
                on_progress("events", min(low + _CHUNK, total), total)
