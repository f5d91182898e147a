"""What every synthetic network promises, whatever its size and seed."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedgen.events import ENGAGEMENTS, FEEDBACK, ON_USER, Event, decode_json, encode
from feedgen.synthetic import Network, NetworkSpec, generate, ragged

ENDS_SHOWING = ("unfollow", "mute", "block")


class World:
    """A plain reader of a network's events that asserts, event by event, that each one makes sense."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self.users: set[str] = set()
        self.author: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.under_review: set[str] = set()
        self.follows: set[tuple[str, str]] = set()
        self.ended: set[tuple[str, str]] = set()
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.online: set[str] = set()
        self.done: set[tuple[str, str, str]] = set()

    def apply(self, event: Event) -> None:
        handle = getattr(self, f"_{event.type}", None)
        if event.type != "user":
            assert event.actor in self.users or event.type == "review"
        if handle is not None:
            handle(event)
        elif event.type in ON_USER:
            self._relation(event)
        else:
            assert event.type in ENGAGEMENTS | FEEDBACK
            self._engagement(event)

    def _user(self, event: Event) -> None:
        assert event.actor not in self.users
        self.users.add(event.actor)

    def _follow(self, event: Event) -> None:
        pair = (event.actor, str(event.object))
        assert event.object in self.users
        assert event.actor != event.object
        assert pair not in self.follows
        self.follows.add(pair)

    def _relation(self, event: Event) -> None:
        pair = (event.actor, str(event.object))
        assert event.type in ENDS_SHOWING
        assert event.actor in self.online
        assert event.actor != event.object
        assert event.type != "unfollow" or pair in self.follows
        assert pair not in self.ended
        self.ended.add(pair)
        if event.type == "block":
            self.ended.add((pair[1], pair[0]))

    def _post(self, event: Event) -> None:
        assert event.object == f"p{len(self.author)}"
        assert event.ts >= self.spec.start
        self.author[str(event.object)] = event.actor

    def _edit(self, event: Event) -> None:
        assert self.author[str(event.object)] == event.actor
        assert event.object not in self.deleted

    def _delete(self, event: Event) -> None:
        self._edit(event)
        self.deleted.add(str(event.object))

    def _review(self, event: Event) -> None:
        post = str(event.object)
        assert event.actor == "moderator"
        assert post in self.author
        assert (event.attrs["state"] == "pending") == (post not in self.under_review)
        if event.attrs["state"] == "approved":
            self.under_review.discard(post)
        else:
            self.under_review.add(post)

    def _login(self, event: Event) -> None:
        assert event.actor not in self.online
        assert event.ts >= self.spec.start
        self.online.add(event.actor)

    def _logout(self, event: Event) -> None:
        self.online.remove(event.actor)

    def _view(self, event: Event) -> None:
        assert event.actor in self.online
        for post in event.attrs["objects"]:
            assert self.author[post] != event.actor, "one's own post is shown"
            assert post not in self.seen[event.actor], "a post is shown twice"
            assert post not in self.deleted | self.under_review
            self.seen[event.actor].add(post)
            assert (event.actor, self.author[post]) not in self.ended

    def _engagement(self, event: Event) -> None:
        what = (event.type, event.actor, str(event.object))
        assert event.actor in self.online
        assert event.object in self.seen[event.actor]
        assert event.object not in self.deleted | self.under_review
        assert what not in self.done
        assert event.type != "unlike" or ("like", *what[1:]) in self.done
        self.done.add(what)


def checked(network: Network, events: Iterable[Event] | None = None) -> World:
    """Read the whole network, asserting order, ids, times and sense."""
    world = World(network.spec)
    last = (0.0, "")
    counts: Counter[str] = Counter()
    for event in network.events() if events is None else events:
        assert last < (event.ts, event.id), "events are sorted by (ts, id), ids are unique"
        assert event.ts == int(event.ts) < network.spec.end
        last = (event.ts, event.id)
        counts[event.type] += 1
        world.apply(event)
    assert counts == network.counts
    assert counts.total() == len(network)
    assert world.users == {f"u{row}" for row in range(network.spec.viewers)}
    assert not world.online
    return world


def digest(events: Iterable[Event]) -> str:
    hashed = hashlib.sha256()
    for event in events:
        hashed.update(encode(event))
    return hashed.hexdigest()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    viewers=st.sampled_from([1, 2, 3, 10, 37, 80]),
    followees_mean=st.sampled_from([0.0, 1.0, 6.0, 30.0, 500.0]),
    days=st.sampled_from([1, 3, 10]),
    seed=st.integers(0, 2**64 - 1),
    newcomer_share=st.sampled_from([0.0, 0.3, 1.0]),
    posts=st.sampled_from([0.0, 0.5, 4.0]),
    logins=st.sampled_from([0.0, 1.0, 8.0]),
    popular_share=st.sampled_from([0.0, 0.1, 1.0]),
    end=st.sampled_from([8_640_000, 1_735_689_600, 1_735_689_600 + 40_001]),
    topics=st.sampled_from([1, 2, 40]),
    annoyance=st.sampled_from([0.001, 0.3]),
)
def test_every_network_makes_sense(
    viewers: int, followees_mean: float, days: int, seed: int, newcomer_share: float, posts: float, logins: float,
    popular_share: float, end: int, topics: int, annoyance: float,
) -> None:  # fmt: skip
    spec = NetworkSpec(
        viewers=viewers, followees_mean=followees_mean, days=days, seed=seed, newcomer_share=newcomer_share,
        posts_per_author_day=posts, logins_per_viewer_day=logins, popular_share=popular_share, end=end, topics=topics,
        hide_rate=annoyance, report_rate=annoyance,
    )  # fmt: skip
    checked(generate(spec))


def test_a_quarrelsome_network_keeps_its_blocks() -> None:
    spec = NetworkSpec(viewers=60, followees_mean=30, days=10, logins_per_viewer_day=6, report_rate=0.3, hide_rate=0.3)
    network = generate(spec)
    checked(network)
    assert network.counts["block"] > 100
    assert network.counts["mute"] > 20
    assert network.counts["unfollow"] > 20


def test_moderation_happens_and_is_respected(medium: Network, medium_events: list[Event]) -> None:
    world = checked(medium, medium_events)
    assert world.deleted
    assert world.under_review
    assert medium.counts["review"] > len(world.under_review)


def test_every_event_passes_validation_by_way_of_json(small: Network) -> None:
    for event in small.events():
        line = msgspec.json.encode(
            {name: getattr(event, name) for name in Event.__struct_fields__ if getattr(event, name) is not None}
        )
        assert decode_json(line, float(small.spec.end)) == event


def test_the_same_spec_gives_the_same_bytes(small: Network) -> None:
    assert digest(small.events()) == digest(small.events()) == digest(generate(small.spec).events())


def test_the_bytes_do_not_depend_on_the_process() -> None:
    program = """
import hashlib
from feedgen.events import encode
from feedgen.synthetic import NetworkSpec, generate
events = generate(NetworkSpec(viewers=50, days=5)).events()
print(hashlib.sha256(b"".join(map(encode, events))).hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {digest(generate(NetworkSpec(viewers=50, days=5)).events())}


def test_the_bytes_do_not_depend_on_how_many_rows_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = NetworkSpec(viewers=60, followees_mean=40, days=10, logins_per_viewer_day=2, report_rate=0.2, hide_rate=0.2)
    network = generate(spec)
    monkeypatch.setattr(ragged, "ROWS_AT_ONCE", 100)
    assert digest(generate(spec).events()) == digest(network.events())
    assert len(network.outcome.shown) > 2_000
    assert network.counts["block"] > 20


def test_another_seed_gives_another_network(small: Network) -> None:
    other = generate(msgspec.structs.replace(small.spec, seed=8))
    assert digest(other.events()) != digest(small.events())


def test_events_are_made_as_they_are_read(small: Network) -> None:
    events = small.events()
    assert isinstance(events, Iterator)
    assert next(events).type == "user"


def test_progress_names_every_stage_and_reaches_its_end() -> None:
    seen: dict[str, tuple[int, int]] = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        assert done <= total
        assert done >= seen.get(stage, (0, 0))[0]
        seen[stage] = (done, total)

    network = generate(NetworkSpec(viewers=30, days=2), on_progress)
    for _ in network.events(on_progress):
        pass
    assert list(seen) == ["people", "follows", "posts", "sessions", "engagement", "events"]
    assert all(done == total for done, total in seen.values())
    assert seen["events"] == (len(network), len(network))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"viewers": 0}, "viewers is 0; 1 to 2000000 are possible"),
        ({"viewers": 2.5}, "viewers is 2.5; a whole number is needed"),
        ({"viewers": True}, "viewers is True; a whole number is needed"),
        ({"followees_mean": -1}, "followees_mean is -1; 0.0 to 1000000.0 are possible"),
        ({"followees_mean": float("nan")}, "followees_mean is nan; 0.0 to 1000000.0 are possible"),
        ({"days": 0}, "days is 0; 1 to 3650 are possible"),
        ({"seed": -1}, "seed is -1; "),
        ({"end": 86_400}, "end is 86400; "),
        ({"end": 1.5e9}, "end is 1500000000.0; a whole number is needed"),
        ({"like_rate": 1.0}, "like_rate is 1.0; 0.0 to 0.99 are possible"),
        ({"topics": 41}, "topics is 41; 1 to 40 are possible"),
        ({"seen_per_session": "many"}, "seen_per_session is 'many'; a number is needed"),
    ],
)
def test_an_impossible_spec_is_refused_with_the_field_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        NetworkSpec(**changes)  # type: ignore[arg-type]
    assert str(refused.value).startswith(reason)
