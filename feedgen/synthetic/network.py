"""A whole synthetic network: drawn stage by stage, read as a stream of events."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np

from feedgen.events import ON_USER, Event
from feedgen.synthetic.engagement import DEEDS, Outcome, engage
from feedgen.synthetic.follows import Follows, draw_follows
from feedgen.synthetic.people import LANGUAGES, MEDIA, REGIONS, People, draw_people
from feedgen.synthetic.posts import NEVER, Posts, draw_posts
from feedgen.synthetic.ragged import Bools, Ints, chunks, distinct, found_in, rng_of
from feedgen.synthetic.sessions import SHOWN_AFTER_S, Slates, draw_sessions
from feedgen.synthetic.spec import TOPICS, NetworkSpec, ProgressHook
from feedgen.synthetic.table import EventTable
from feedgen.synthetic.truth import KINDS, SAMPLE, Truth, calibrated, truth_of

MODERATOR: Final = "moderator"
"""Actor of the reviews; not one of the viewers."""

_PEOPLE, _FOLLOWS, _POSTS, _SESSIONS, _ENGAGEMENT = 0, 1, 2, 3, 5  # stage 4: the slates, by chunk


class Network:
    """A network that `generate` made. The same spec and numpy version give the same events, to the byte."""

    def __init__(
        self,
        spec: NetworkSpec,
        people: People,
        follows: Follows,
        made: Bools,
        posts: Posts,
        outcome: Outcome,
        truth: Truth,
    ):
        """`made`: which follows are made; the others would come after a block."""
        self.spec = spec
        self.truth = truth
        self.people, self.follows, self.made, self.posts, self.outcome = people, follows, made, posts, outcome

    @cached_property
    def _table(self) -> EventTable:
        """Made when events are asked for: of a large network nobody does."""
        return table_of(self.people, self.follows, self.made, self.posts, self.outcome)

    @cached_property
    def _seen_from(self) -> Ints:
        return self.outcome.shown.bounds(slice(0, len(self.outcome.ended)))

    @property
    def counts(self) -> dict[str, int]:
        """Events by type, the types that occur."""
        return self._table.counts()

    def __len__(self) -> int:
        """Number of events."""
        return len(self._table)

    def events(self, on_progress: ProgressHook | None = None) -> Iterator[Event]:
        """Every event, sorted by (ts, id), made as it is read. ~1 µs each."""
        people = [*(f"u{row}" for row in range(self.spec.viewers)), MODERATOR]
        posts = [f"p{row}" for row in range(len(self.posts.author))]
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
        rows: list[int] = self.outcome.shown.post[self._seen_from[session] : self._seen_from[session + 1]].tolist()
        return rows

    def _user(self, row: int) -> dict[str, Any]:
        location, utc_offset_min, language, _ = REGIONS[self.people.region[row]]
        return {
            "utc_offset_min": utc_offset_min,
            "language": language,
            "birth_year": int(self.people.birth_year[row]),
            "verified": bool(self.people.verified[row]),
            "location": location,
        }

    def _post(self, row: int) -> dict[str, Any]:
        posts = self.posts
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
            attrs["location"] = REGIONS[self.people.region[posts.author[row]]][0]
        return attrs

    def _edit(self, row: int) -> dict[str, Any]:
        return {"length": int(self.posts.length[row]) + 1 + row % 40}

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
    slates = Slates(spec, people, follows, posts, sessions)
    shown = slates.shown(lambda viewers: done("sessions", viewers, spec.viewers))
    del slates
    rates = [getattr(spec, f"{kind}_rate") for kind in KINDS]
    sample = shown.slots(slice(None, None, max(1, len(shown) // SAMPLE)))
    truth = calibrated(truth_of(rates, people, follows, posts), rates, sample.viewer, sample.post, sample.ts)
    outcome = engage(truth, follows, shown, rng_of(spec.seed, _ENGAGEMENT))
    done("engagement", len(outcome.shown), len(outcome.shown))
    made = ~_after_block(follows, posts, outcome, spec.viewers)
    return Network(spec, people, follows, made, posts, outcome, truth)


def _after_block(follows: Follows, posts: Posts, outcome: Outcome, viewers: int) -> Bools:
    """Whether each follow comes after one of the two has blocked the other (it is not made then)."""
    rows = outcome.rows("block")
    slots, at = outcome.shown.slots(rows), outcome.moment("block", rows)
    blocker, blocked = slots.viewer, posts.author[slots.post]
    late = np.zeros(len(follows.ts), np.bool_)
    for one, other in ((blocker, blocked), (blocked, blocker)):
        order = np.argsort(one * viewers + other)
        pairs, ended = (one * viewers + other)[order], at[order]
        for part in chunks(len(late)):
            hit, row = found_in(pairs, follows.viewer[part] * viewers + follows.author[part])
            late[part] |= hit & (follows.ts[part] > ended[row] if len(ended) else False)
    return late


def table_of(people: People, follows: Follows, made: Bools, posts: Posts, outcome: Outcome) -> EventTable:
    """Every event, sorted. `made`: which follows are."""
    table = EventTable()
    everyone = np.arange(len(people.joined))
    table.add("user", people.joined, everyone, ref=everyone)
    table.add("follow", follows.ts[made], follows.viewer[made], follows.author[made])
    _add_posts(table, posts)
    _add_sessions(table, outcome, posts.author)
    table.finish()
    return table


def _add_posts(table: EventTable, posts: Posts) -> None:
    rows = np.arange(len(posts.author))
    table.add("post", posts.created, posts.author, rows, rows)
    for kind, at in (("edit", posts.edited), ("delete", posts.deleted)):
        when = rows[at < NEVER]
        table.add(kind, at[when], posts.author[when], when, when)
    for at, state in ((posts.pending, np.zeros_like(rows)), (posts.decided, 1 + posts.rejected)):
        when = rows[at < NEVER]
        table.add("review", at[when], np.full(len(when), -1), when, state[when])


def _add_sessions(table: EventTable, outcome: Outcome, author: Ints) -> None:
    sessions = outcome.shown.sessions
    table.add("login", sessions.start, sessions.viewer)
    table.add("logout", outcome.ended, sessions.viewer)
    seen = distinct(outcome.shown.session.astype(np.int64))
    table.add("view", sessions.start[seen] + SHOWN_AFTER_S, sessions.viewer[seen], ref=seen)
    for kind in DEEDS:
        rows = outcome.rows(kind)
        slots = outcome.shown.slots(rows)
        about = author[slots.post] if kind in ON_USER else slots.post
        table.add(kind, outcome.moment(kind, rows), slots.viewer, about, outcome.dwell_s[rows].astype(np.int64))
