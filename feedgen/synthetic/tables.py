"""A network as the Parquet tables of a bulk import (docs/importing.md), a million rows at a time.

What has no table (deletes, reviews, unlikes, unfollows, blocks, mutes) goes to `events.jsonl`, to be imported into the
log behind it; edits of the length and logouts are left out: no feed depends on them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ImportFailed
from feedgen.synthetic.network import MODERATOR, Network
from feedgen.synthetic.people import LANGUAGES, MEDIA, REGIONS
from feedgen.synthetic.posts import NEVER
from feedgen.synthetic.ragged import Ints
from feedgen.synthetic.spec import TOPICS
from feedgen.synthetic.truth import KINDS

_ROWS: Final = 1 << 20
REST: Final = "events.jsonl"
"""File of what has no table."""

Columns = dict[str, Any]
"""Arrow arrays by column."""


class Tables:
    """The tables of one network."""

    def __init__(self, network: Network) -> None:
        """Raises ImportFailed without pyarrow."""
        try:
            import pyarrow as arrow
            from pyarrow import compute, parquet
        except ImportError:
            raise ImportFailed("Parquet needs pyarrow: pip install 'forefeed[parquet]'") from None
        self._arrow, self._compute, self._parquet = arrow, compute, parquet
        self._network = network

    def write(self, folder: Path, on_rows: Callable[[str, int], None] | None = None) -> dict[str, int]:
        """All tables and the rest, into `folder`; rows of each. About 1 µs a row. `on_rows`: (table, rows so far)."""
        folder.mkdir(parents=True, exist_ok=True)
        counts = {}
        for name, total, rows_of in self._tables():
            counts[name] = 0
            writer = None
            for low in range(0, max(1, total), _ROWS):
                table = self._arrow.table(rows_of(slice(low, min(low + _ROWS, total))))
                writer = writer or self._parquet.ParquetWriter(folder / f"{name}.parquet", table.schema)
                writer.write_table(table)
                counts[name] += table.num_rows
                if on_rows is not None:
                    on_rows(name, counts[name])
            assert writer is not None
            writer.close()
        counts["events"] = self._write_rest(folder / REST)
        return counts

    def _tables(self) -> Iterator[tuple[str, int, Callable[[slice], Columns]]]:
        network, outcome = self._network, self._network.outcome
        yield "users", network.spec.viewers, self._users
        yield "posts", len(network.posts.author), self._posts
        made = network.follows
        yield "follows", len(made.ts), self._follows
        yield "logins", len(outcome.ended), self._logins
        yield "views", len(outcome.shown), self._views
        for kind in KINDS:
            done = outcome.rows(kind)
            yield f"engagements-{kind}", len(done), partial(self._deeds, kind, done)

    def _users(self, rows: slice) -> Columns:
        people = self._network.people
        region = people.region[rows]

        def of_region(field: int) -> NDArray[Any]:
            return np.array([one[field] for one in REGIONS])[region]

        return {
            "id": self._names("u", np.arange(rows.start, rows.stop)),
            "ts": people.joined[rows],
            "utc_offset_min": of_region(1),
            "language": of_region(2),
            "birth_year": people.birth_year[rows],
            "verified": people.verified[rows],
            "location": of_region(0),
        }

    def _posts(self, rows: slice) -> Columns:
        posts = self._network.posts
        given = posts.topics[rows] >= 0
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(given.sum(axis=1))])
        topics = self._arrow.DictionaryArray.from_arrays(posts.topics[rows][given].astype(np.int32), list(TOPICS))
        return {
            "id": self._names("p", np.arange(rows.start, rows.stop)),
            "author": self._names("u", posts.author[rows]),
            "ts": posts.created[rows],
            "topics": self._arrow.ListArray.from_arrays(bounds.astype(np.int32), topics.cast(self._arrow.string())),
            "media": np.array(MEDIA)[posts.media[rows]],
            "language": np.array(LANGUAGES)[posts.language[rows]],
            "min_age": posts.min_age[rows],
            "sensitive": posts.sensitive[rows],
        }

    def _follows(self, rows: slice) -> Columns:
        follows, made = self._network.follows, self._network.made[rows]
        return {
            "viewer": self._names("u", follows.viewer[rows][made]),
            "author": self._names("u", follows.author[rows][made]),
            "ts": follows.ts[rows][made],
        }

    def _logins(self, rows: slice) -> Columns:
        sessions = self._network.outcome.shown.sessions
        return {"viewer": self._names("u", sessions.viewer[rows]), "ts": sessions.start[rows]}

    def _views(self, rows: slice) -> Columns:
        slots = self._network.outcome.shown.slots(rows)
        return {"viewer": self._names("u", slots.viewer), "post": self._names("p", slots.post), "ts": slots.ts}

    def _deeds(self, kind: str, done: Ints, which: slice) -> Columns:
        outcome, rows = self._network.outcome, done[which]
        slots = outcome.shown.slots(rows)
        return {
            "viewer": self._names("u", slots.viewer),
            "post": self._names("p", slots.post),
            "kind": np.full(len(rows), kind),
            "ts": outcome.moment(kind, rows),
        }

    def _names(self, letter: str, numbers: Ints) -> Any:
        texts = self._arrow.array(numbers).cast(self._arrow.string())
        return self._compute.binary_join_element_wise(letter, texts, "")

    def _write_rest(self, path: Path) -> int:
        encode, events, count = msgspec.json.Encoder().encode, self._rest(), 0
        with path.open("wb") as file:
            while some := list(islice(events, 4_096)):
                file.write(b"".join(encode({"id": f"r{n}", **event}) + b"\n" for n, event in enumerate(some, count)))
                count += len(some)
        return count

    def _rest(self) -> Iterator[dict[str, Any]]:
        posts, outcome = self._network.posts, self._network.outcome
        fates = (
            ("delete", posts.deleted, None),
            ("review", posts.pending, np.zeros(len(posts.author), np.int64)),
            ("review", posts.decided, 1 + posts.rejected),
        )
        for kind, at, state in fates:
            for post in np.flatnonzero(at < NEVER).tolist():
                actor = MODERATOR if state is not None else f"u{posts.author[post]}"
                attrs = {} if state is None else {"attrs": {"state": ("pending", "approved", "rejected")[state[post]]}}
                yield {"type": kind, "ts": int(at[post]), "actor": actor, "object": f"p{post}", **attrs}
        for kind in ("unlike", "unfollow", "mute", "block"):
            rows = outcome.rows(kind)
            slots = outcome.shown.slots(rows)
            about = [f"p{post}" for post in slots.post.tolist()]
            if kind != "unlike":
                about = [f"u{author}" for author in posts.author[slots.post].tolist()]
            moments = outcome.moment(kind, rows).tolist()
            for viewer, target, ts in zip(slots.viewer.tolist(), about, moments, strict=True):
                yield {"type": kind, "ts": ts, "actor": f"u{viewer}", "object": target}
