"""Any git history as a social feed.

Commits are posts at author time; Reviewed-by, Acked-by and Tested-by are like, comment and share at commit time; the
first engagement with an author is a follow; a login opens each burst of a person's activity. People are known by their
e-mail address, in lower case, by the mailmap. Ids come from the commit's hash and the role, so that the same history
gives the same events, and a longer one the same and more. Who reviews his own commit says nothing: it is left out.
"""

import heapq
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from typing import Any, Final

from feedgen import events
from feedgen.errors import BadEvent
from feedgen.events import ID_MAX_BYTES, Event
from feedgen.importers.githistory import Commit, History
from feedgen.importers.intake import Batch, Refused, batched

GAP_S: Final = 6 * 3_600.0
LOGIN_BEFORE_S: Final = 1.0

_ROLES: Final = {"reviewed-by": "like", "acked-by": "comment", "tested-by": "share"}
_AREA: Final = re.compile(r"([\w./+-]{1,64}(?:, ?[\w./+-]{1,64}){0,7}):\s")
_COMMITS: Final = 1_000


class GitSocial:
    """The events of one history, in the order of time."""

    def __init__(self, history: History) -> None:
        """Reads nothing yet."""
        self._history = history
        self.commits_read = 0
        self.sorted = 0
        self.to_sort = 0

    def batches(self, now: float, size: int) -> Iterator[Batch]:
        """The events, in batches of `size`; before them batches without events, so that progress can be told.

        All is sorted first, in a temporary file: git's order is not that of author times. In memory are the people and
        who has met whom. `now`: domain time, s. Raises ImportFailed when git cannot read the history.
        """
        # An empty name: a file that SQLite makes, and that is gone with the connection or the process.
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as disk:
            disk.execute("PRAGMA journal_mode=OFF")
            disk.execute("BEGIN")  # never committed: one transaction, not one for each row
            disk.execute("CREATE TABLE acts (ts REAL, nth INTEGER, id TEXT, author TEXT, payload BLOB)")
            yield from self._collect(disk, now)
            [(self.to_sort,)] = disk.execute("SELECT count(*) FROM acts").fetchall()
            acts = disk.execute("SELECT author, payload FROM acts ORDER BY ts, nth, id")
            yield from batched(_in_order(_with_follows_and_logins(self._counted(acts))), size)

    def _counted(self, rows: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Event]]:
        for author, payload in rows:
            self.sorted += 1
            yield author, events.decode(payload)

    def _collect(self, disk: sqlite3.Connection, now: float) -> Iterator[Batch]:
        rows: list[tuple[float, int, str, str, bytes]] = []
        refused: list[Refused] = []
        for commit in self._history.commits():
            self.commits_read += 1
            author = _person(commit.author)
            for number, (what, raw) in enumerate(self._acts(commit, author)):
                try:
                    if isinstance(raw, str):
                        raise BadEvent(raw)
                    event = events.from_object(raw, now)
                except BadEvent as reason:
                    refused.append(Refused(number, str(reason), f"commit {commit.sha[:12]} {what}"))
                else:
                    rows.append((event.ts, number, event.id, author, events.encode(event)))
            if self.commits_read % _COMMITS == 0:
                disk.executemany("INSERT INTO acts VALUES (?, ?, ?, ?, ?)", rows)
                yield Batch([], refused)
                rows, refused = [], []
        disk.executemany("INSERT INTO acts VALUES (?, ?, ?, ?, ?)", rows)
        yield Batch([], refused)

    def _acts(self, commit: Commit, author: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """What a commit says that people did: an event each, or why it is none."""
        attrs = {"topics": _topics(commit), "length": len(commit.subject)}
        post = {"id": f"{commit.sha}:post", "type": "post", "ts": commit.authored_at, "actor": author}
        yield "post", {**post, "object": commit.sha, "attrs": attrs}
        done = set()
        for number, trailer in enumerate(commit.trailers, 1):
            key, _, value = trailer.partition(":")
            role = _ROLES[key.strip().lower()]
            contact = self._history.contact(value.strip())
            if contact is None:
                yield "trailer", f"no e-mail address in {trailer[:80]!r}"
                continue
            person = _person(contact)
            if person != author and (role, person) not in done:
                done.add((role, person))
                like = {"id": f"{commit.sha}:{role}:{number}", "type": role, "ts": commit.committed_at}
                yield "trailer", {**like, "actor": person, "object": commit.sha}


def _person(contact: str) -> str:
    """The id of "Name <address>": the address, or else the name, in lower case; a digest where that is too long."""
    name, _, rest = contact.rpartition(" <")
    known = (rest.rstrip(">") or name).strip().lower()
    size = len(known.encode("utf-8", "replace"))
    return known if size <= ID_MAX_BYTES else "~" + blake2b(known.encode(), digest_size=12).hexdigest()


def _topics(commit: Commit) -> list[str]:
    """The areas that the subject begins with ("area: …"), or else the directories at the top that were changed."""
    area = _AREA.match(commit.subject)
    if area is None:
        return [top[:128] for top in commit.tops]
    return list(dict.fromkeys(part.strip().lower() for part in area[1].split(",")))


def _with_follows_and_logins(acts: Iterator[tuple[str, Event]]) -> Iterator[Event]:
    """`acts` (post's author, event; by time), before the first by a person in `GAP_S` a login, and the follows."""
    last: dict[str, float] = {}
    met: set[tuple[str, str]] = set()
    for author, act in acts:
        if act.ts - last.get(act.actor, -GAP_S) > GAP_S or act.actor not in last:
            yield Event(f"{act.id}:login", "login", max(0.0, act.ts - LOGIN_BEFORE_S), act.actor)
        last[act.actor] = act.ts
        if act.actor != author and (act.actor, author) not in met:
            met.add((act.actor, author))
            yield Event(f"{act.id}:follow", "follow", act.ts, act.actor, author)
        yield act


def _in_order(found: Iterator[Event]) -> Iterator[Event]:
    """`found`, in which an event comes late by `LOGIN_BEFORE_S` at most, by time. Holds what happens in that time."""
    held: list[tuple[float, int, Event]] = []
    for number, event in enumerate(found):
        heapq.heappush(held, (event.ts, number, event))
        # What comes next is no earlier than this, less that.
        while held[0][0] < event.ts - LOGIN_BEFORE_S:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]
