"""A whole synthetic network: drawn stage by stage, read as a stream of events."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from feedgen.events import ON_USER, Event
from feedgen.synthetic.engagement import Outcome, engage
from feedgen.synthetic.follows import Follows, draw_follows
from feedgen.synthetic.people import LANGUAGES, MEDIA, REGIONS, People, draw_people
from feedgen.synthetic.posts import NEVER, Posts, draw_posts
from feedgen.synthetic.ragged import Bools, Ints, distinct, found_in, rng_of, starts_of
from feedgen.synthetic.sessions import SHOWN_AFTER_S, Sessions, Slates, Slots, draw_sessions
from feedgen.synthetic.spec import TOPICS, NetworkSpec, ProgressHook
from feedgen.synthetic.table import EventTable
from feedgen.synthetic.truth import KINDS, Truth, calibrated, truth_of

MODERATOR: Final = "moderator"
"""Actor of the reviews; not one of the viewers."""

_PEOPLE, _FOLLOWS, _POSTS, _SESSIONS, _ENGAGEMENT = 0, 1, 2, 3, 5  # stage 4: the slates, by chunk


class Network:
    """A network that `generate` made. The same spec and numpy version give the same events, to the byte."""

    def __init__(
        self, spec: NetworkSpec, people: People, posts: Posts, outcome: Outcome, table: EventTable, truth: Truth
    ):
        self.spec = spec
        self.truth = truth
        self.counts = table.counts()
        """Events by type, the types that occur."""
        self._people, self._posts, self._outcome, self._table = people, posts, outcome, table
        self._seen_from = starts_of(outcome.slots.session, len(outcome.ended))

    def __len__(self) -> int:
        """Number of events."""
        return len(self._table)

    def events(self, on_progress: ProgressHook | None = None) -> Iterator[Event]:
        """Every event, sorted by (ts, id), made as it is read. ~1 µs each."""
        people = [*(f"u{row}" for row in range(self.spec.viewers)), MODERATOR]
        posts = [f"p{row}" for row in range(len(self._posts.author))]
        makers = {
            "user": self._user,
            "post": self._post,
            "edit": self._edit,
            "review": self._review,
            "dwell": lambda ref: {"value": ref},
            "view": lambda ref: {"objects": [posts[row] for row in self._seen(ref)]},
        }
        return self._table.events(people, posts, makers, on_progress)

    def _seen(self, session: int) -> list[int]:
        rows: list[int] = self._outcome.slots.post[self._seen_from[session] : self._seen_from[session + 1]].tolist()
        return rows

    def _user(self, row: int) -> dict[str, Any]:
        location, utc_offset_min, language, _ = REGIONS[self._people.region[row]]
        return {
            "utc_offset_min": utc_offset_min,
            "language": language,
            "birth_year": int(self._people.birth_year[row]),
            "verified": bool(self._people.verified[row]),
            "location": location,
        }

    def _post(self, row: int) -> dict[str, Any]:
        posts = self._posts
        attrs: dict[str, Any] = {
            "topics": [TOPICS[topic] for topic in posts.topics[row].tolist() if topic >= 0],
            "media": MEDIA[posts.media[row]],
            "language": LANGUAGES[posts.language[row]],
            "length": int(posts.length[row]),
        }
        if posts.min_age[row]:
            attrs["min_age"] = int(posts.min_age[row])
        if posts.sensitive[row]:
            attrs["sensitive"] = True
        if posts.located[row]:
            attrs["location"] = REGIONS[self._people.region[posts.author[row]]][0]
        return attrs

    def _edit(self, row: int) -> dict[str, Any]:
        return {"length": int(self._posts.length[row]) + 1 + row % 40}

    def _review(self, ref: int) -> dict[str, Any]:
        """`ref`: the state's position in pending, approved, rejected."""
        return {"state": ("pending", "approved", "rejected")[ref]}


def generate(spec: NetworkSpec, on_progress: ProgressHook | None = None) -> Network:
    """Draw the network. 4 s on one core and 0.3 GB at the default spec; both grow with follows and seen posts.

    `on_progress` gets (stage, done, total) after each stage, and after each chunk of viewers in "sessions".
    """
    done = on_progress or (lambda stage, done, total: None)
    people = draw_people(spec, rng_of(spec.seed, _PEOPLE))
    done("people", spec.viewers, spec.viewers)
    follows = draw_follows(spec, people, rng_of(spec.seed, _FOLLOWS))
    done("follows", len(follows.author), len(follows.author))
    posts = draw_posts(spec, people, rng_of(spec.seed, _POSTS))
    done("posts", len(posts.author), len(posts.author))
    sessions = draw_sessions(spec, people, rng_of(spec.seed, _SESSIONS))
    parts: list[Slots] = []
    for viewers, part in Slates(spec, people, follows, posts, sessions).chunks():
        parts.append(part)
        done("sessions", viewers, spec.viewers)
    slots = Slots(*(np.concatenate([getattr(part, name) for part in parts]) for name in Slots.__struct_fields__))
    rates = [getattr(spec, f"{kind}_rate") for kind in KINDS]
    truth = calibrated(truth_of(rates, people, follows, posts), rates, slots.viewer, slots.post, slots.ts)
    outcome = engage(truth, follows, sessions, slots, rng_of(spec.seed, _ENGAGEMENT))
    done("engagement", len(outcome.at), len(outcome.at))
    table = _table(people, follows, posts, sessions, outcome)
    return Network(spec, people, posts, outcome, table, truth)


def _table(people: People, follows: Follows, posts: Posts, sessions: Sessions, outcome: Outcome) -> EventTable:
    table = EventTable()
    everyone = np.arange(len(people.joined))
    table.add("user", people.joined, everyone, ref=everyone)
    made = ~_after_block(follows, posts, outcome, len(everyone))
    table.add("follow", follows.ts[made], follows.viewer[made], follows.author[made])
    _add_posts(table, posts)
    _add_sessions(table, sessions, outcome, posts.author)
    table.finish()
    return table


def _after_block(follows: Follows, posts: Posts, outcome: Outcome, viewers: int) -> Bools:
    """Whether each follow comes after one of the two has blocked the other (it is not made then)."""
    rows = outcome.did["block"]
    blocker, blocked, at = outcome.slots.viewer[rows], posts.author[outcome.slots.post[rows]], outcome.moment("block")
    late = np.zeros(len(follows.ts), np.bool_)
    for one, other in ((blocker, blocked), (blocked, blocker)):
        order = np.argsort(one * viewers + other)
        hit, row = found_in((one * viewers + other)[order], follows.viewer * viewers + follows.author)
        late[hit] |= follows.ts[hit] > at[order][row[hit]]
    return late


def _add_posts(table: EventTable, posts: Posts) -> None:
    rows = np.arange(len(posts.author))
    table.add("post", posts.created, posts.author, rows, rows)
    for kind, at in (("edit", posts.edited), ("delete", posts.deleted)):
        when = rows[at < NEVER]
        table.add(kind, at[when], posts.author[when], when, when)
    for at, state in ((posts.pending, np.zeros_like(rows)), (posts.decided, 1 + posts.rejected)):
        when = rows[at < NEVER]
        table.add("review", at[when], np.full(len(when), -1), when, state[when])


def _add_sessions(table: EventTable, sessions: Sessions, outcome: Outcome, author: Ints) -> None:
    slots = outcome.slots
    table.add("login", sessions.start, sessions.viewer)
    table.add("logout", outcome.ended, sessions.viewer)
    seen: Ints = distinct(slots.session)
    table.add("view", sessions.start[seen] + SHOWN_AFTER_S, sessions.viewer[seen], ref=seen)
    for kind, rows in outcome.did.items():
        about = slots.post[rows]
        if kind in ON_USER:
            about = author[about]
        table.add(kind, outcome.moment(kind), slots.viewer[rows], about, outcome.dwell_s[rows])
