"""The whole of a state, and all its feeds, as bytes that do not depend on how the events came."""

from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np

from feedgen.feed.record import Bulk, encode_bulk
from feedgen.pipeline import Pipeline
from feedgen.state.attributes import MEDIA, NONE, PostAttributes
from feedgen.state.engagement import KINDS
from feedgen.state.graph import MUTE
from feedgen.state.posts import UNKNOWN
from feedgen.state.state import State
from feedgen.state.toggles import Toggles
from tests.worlds import DAY

TOLD: Final = {
    *("users", "post_ids", "watermark", "logins.last", "logins.device", "logins.active"),
    *(f"graph.{name}" for name in ("follows", "bars", "followers", "barred")),
    *(f"posts.{name}" for name in ("author", "created", "deleted", "withheld", "reviews", "event", "ids", "recent")),
    *("posts.engaged", "posts.viewed"),
    *(f"about_posts.{name}" for name in ("language", "min_age", "sensitive", "media", "length")),
    *(f"about_posts.{name}" for name in ("location", "embeddings")),
    *(f"about_posts.{name}" for name in ("topics", "topic_at", "topic_count", "posts_about", "edits")),
    *(f"about_users.{name}" for name in ("language", "birth_year", "utc_offset_min", "verified", "location")),
    *("about_users.stamps", "about_users.locations"),
    *(f"engagement.{name}" for name in ("switches", "by_post", "by_viewer", "touched")),
    *(f"impressions.{name}" for name in ("seen", "served", "hidden")),
}
"""Columns, by the beginning of their names, that are told below, so that a new one cannot be forgotten."""

NOT_TOLD: Final = {
    # names that only a superseded claim or edit gave are no one's: what holds a name is told by it
    *("topic_names", "languages"),
    # who comes and goes is for the scheduler, not for feeds, and what comes late counts in its order
    *("presence.habits", "presence.journal"),
    # the newest post of everyone may be one that turned out to be another's; it bounds memory, and no feed
    "posts.newest",
    "engagement.size",  # with what was taken back again, which depends on the order
}
"""Columns that the order of arrival may change."""


def told(state: State, now: float) -> dict[str, Any]:
    """Everything the state knows, in outside ids, sorted; of authors' posts, and of what was done with posts, that
    which a reader at `now` can ask for."""
    return {
        "watermark": state.watermark,
        "users": sorted(state.users.names),
        "post_ids": sorted(state.post_ids.names),
        "graph": _graph(state),
        "posts": _posts(state, now),
        "about_posts": _about_posts(state),
        "about_users": {
            field: sorted(
                (name, *decided, state.about_users.said(user, field))
                for user, name in enumerate(state.users.names)
                if (decided := state.about_users.decided(user, field)) is not None
            )
            for field in state.about_users.FIELDS
        },
        "engagement": _engagement(state, now),
        "impressions": _impressions(state),
        "logins": sorted(
            (name, state.logins.last(user), state.logins.device(user), state.logins.last_active(user))
            for user, name in enumerate(state.users.names)
        ),
    }


def whole(state: State, now: float) -> bytes:
    """`told` as bytes."""
    return msgspec.msgpack.encode(told(state, now), order="deterministic")


def feeds(state: State, pipeline: Pipeline, now: float) -> dict[str, bytes]:
    """Everyone's feed as it is stored, and under "" that of who is not known."""
    viewers = sorted(state.users.names)
    made = [*pipeline.generate(viewers, now), pipeline.trending(now)]
    found = {}
    for viewer, bulk in zip([*viewers, ""], made, strict=True):
        assert isinstance(bulk, Bulk), (viewer, bulk)
        found[viewer] = encode_bulk(bulk)
    return found


def _switches(toggles: Toggles) -> list[tuple[int, int, bool, float, str]]:
    return [(left, *entry) for left in range(toggles._ons.count) for entry in toggles.entries(left)]


def _graph(state: State) -> dict[str, Any]:
    graph, user = state.graph, state.users.name
    people = range(len(state.users))
    return {
        "follows": sorted((user(one), user(other), *rest) for one, other, *rest in _switches(graph._follows)),
        "bars": sorted(
            (user(one), user(key >> 1), key & 1 == MUTE, *rest) for one, key, *rest in _switches(graph._bars)
        ),
        "followees": sorted(
            (user(viewer), user(author), at)
            for viewer in people
            for author, at in zip(graph.followees(viewer).tolist(), graph.followed_at(viewer).tolist(), strict=True)
        ),
        "followers": sorted(zip(state.users.names, graph.followers(len(people)).tolist(), strict=True)),
        "barred": sorted((user(viewer), user(author)) for viewer in people for author in graph.barred(viewer).tolist()),
        "follow_count": graph.follow_count,
    }


def _posts(state: State, now: float) -> dict[str, Any]:
    posts, user, name = state.posts, state.users.name, state.post_ids.name
    since = now - posts.retention_s - DAY  # paging goes on in feeds that were made a day ago
    made = rows_of(posts.author, posts.created, posts._event.values.astype(int))
    return {
        "own events": sorted(
            (name(post), user(author), created, posts._ids.id(event))
            for post, (author, created, event) in enumerate(made)
            if author != UNKNOWN
        ),
        "gone": sorted(
            (name(post), *flags) for post, flags in enumerate(rows_of(posts.deleted, posts.withheld)) if any(flags)
        ),
        "reviews": sorted((name(post), *rest) for _, post, *rest in _switches(posts._reviews)),
        "recent": sorted(
            (user(author), [name(post) for post in recent if posts.created[post] >= since])
            for author, recent in ((author, posts._recent.of(author).tolist()) for author in range(len(state.users)))
            if any(posts.created[post] >= since for post in recent)
        ),
        "live_count": posts.live_count,
        **{
            kind: (tally.total, sorted(zip(state.users.names, tally.by_author(len(state.users)).tolist(), strict=True)))
            for kind, tally in (("engaged", posts.engaged), ("viewed", posts.viewed))
        },
    }


def _about_posts(state: State) -> dict[str, Any]:
    about, name = state.about_posts, state.post_ids.name
    starts, counts, topics = about.topics
    topic_of, language_of = state.topic_names.name, state.languages.name
    location_of = state.about_users.locations.name
    return {
        "fields": sorted(
            (name(post), None if language == NONE else language_of(language), min_age, sensitive, MEDIA[media], length,
             None if location == NONE else location_of(location), embedding_of(about, post),
             [topic_of(topic) for topic in topics[start : start + count].tolist()])
            for post, (language, min_age, sensitive, media, length, location, start, count) in enumerate(
                rows_of(about.language, about.min_age, about.sensitive, about.media, about.length, about.location,
                        starts, counts)
            )
        ),
        "edits": sorted(
            (name(post), tuple(about._fields)[field], edit.ts, edit.event_id, _said(state, field, edit.value))
            for post in about._edits.posts()
            for field, edit in about._edits.of(post).items()
        ),
        "posts_about": sorted(
            (topic_of(topic), posts) for topic, posts in enumerate(about.posts_about.tolist()) if posts
        ),
    }  # fmt: skip


def _said(state: State, field: int, value: int) -> Any:
    """What an edit said, as outside: names for indices."""
    about = state.about_posts
    name = tuple(about._fields)[field]
    if name == "topics":
        start, count = value >> 8, value & 0xFF
        return [state.topic_names.name(topic) for topic in about.topics[2][start : start + count].tolist()]
    if name == "embedding":
        start, size = value >> 12, value & 0xFFF
        return about.embeddings._numbers.values[start : start + size].tolist()
    names = {"language": state.languages, "location": state.about_users.locations}
    return names[name].name(value) if name in names and value != NONE else value


def embedding_of(about: PostAttributes, post: int) -> list[int]:
    """The numbers kept of it."""
    which = np.array([post])
    found: list[int] = about.embeddings.of(which, int(about.embeddings.sizes(which)[0]))[0].tolist()
    return found


def _engagement(state: State, now: float) -> dict[str, Any]:
    engagement, posts, user, post = state.engagement, state.posts, state.users.name, state.post_ids.name
    by_post: Counter[tuple[str, str, int, str]] = Counter()
    since = now - posts.retention_s - DAY
    shown = np.flatnonzero((posts.author == UNKNOWN) | (posts.created >= since))
    _, everything = engagement.of_posts(shown)
    for item, viewer, hour, kind, sign in rows_of(*everything):
        by_post[post(item), user(viewer), hour, KINDS[kind]] += sign
    by_viewer: Counter[tuple[str, str, int, str]] = Counter()
    for viewer in range(len(state.users)):
        for item, _, hour, kind, sign in rows_of(*engagement.of_viewer(viewer)):
            by_viewer[user(viewer), post(item), hour, KINDS[kind]] += sign
    return {
        "by post": sorted((*one, count) for one, count in by_post.items() if count),
        "by viewer": sorted((*one, count) for one, count in by_viewer.items() if count),
        "touched": sorted({one[:2] for one in by_viewer}),
        "when": sorted(
            zip(state.post_ids.names, engagement.touched.first.tolist(), engagement.touched.last.tolist(), strict=True)
        ),
        "counts": sorted(zip(state.post_ids.names, engagement.counts(len(state.post_ids)).tolist(), strict=True)),
        "switches": sorted(
            (user(viewer), post(key >> 2), key & 3, *rest) for viewer, key, *rest in _switches(engagement._switches)
        ),
    }


def _impressions(state: State) -> dict[str, Any]:
    impressions, user, post = state.impressions, state.users.name, state.post_ids.name
    return {
        **{
            name: sorted(
                (user(viewer), post(item), day)
                for viewer in range(len(state.users))
                for item, day in rows_of(*latest.of(viewer, 0.0))
            )
            for name, latest in (("seen", impressions.seen), ("served", impressions.served))
        },
        "views": sorted(zip(state.post_ids.names, impressions.views(len(state.post_ids)).tolist(), strict=True)),
        "hidden": sorted(
            (user(viewer), post(item))
            for viewer in range(len(state.users))
            for item in impressions.hidden_from(viewer).tolist()
        ),
    }


def rows_of(*columns: Any) -> list[tuple[Any, ...]]:
    """Rows of parallel arrays."""
    return list(zip(*(column.tolist() for column in columns), strict=True))
