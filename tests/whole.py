"""The whole of a state, and all its feeds, as bytes that do not depend on how the events came."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from feedgen.feed.record import Bulk, encode_bulk
from feedgen.pipeline import Pipeline
from feedgen.state.attributes import MEDIA, NONE, PostAttributes, UserAttributes
from feedgen.state.bypost import ByPost
from feedgen.state.engagement import KINDS, Engagement, _unpack
from feedgen.state.graph import Graph
from feedgen.state.impressions import Impressions, LatestPosts
from feedgen.state.logins import Logins
from feedgen.state.posts import UNKNOWN, Posts
from feedgen.state.state import State
from feedgen.state.symbols import Symbols
from feedgen.state.toggles import Toggles
from tests.worlds import DAY

TOLD: Final[dict[type, set[str]]] = {
    State: {
        *("users", "post_ids", "graph", "posts", "about_posts", "about_users", "engagement", "impressions", "logins"),
        "watermark",
    },
    Symbols: {"_index", "_names"},
    Toggles: {"_slot", "_ts", "_on", "_ids", "_later_id"},
    Graph: {"_follows", "_blocks", "_mutes", "_followees", "_followed_at", "_followers", "_barred", "follow_count"},
    Posts: {"_author", "_created", "_deleted", "_withheld", "_reviews", "_event", "_ids", "_recent", "live_count"},
    PostAttributes: {
        *(
            "_language",
            "_min_age",
            "_sensitive",
            "_media",
            "_topics",
            "_topic_at",
            "_topic_count",
            "_posts_about",
            "_last_edit",
        ),
    },
    UserAttributes: {"_known"},
    Engagement: {"_switches", "_rows", "_by_viewer", "_counts"},
    ByPost: {"_post", "_who", "_value"},
    Impressions: {"seen", "served", "_views", "_hidden"},
    LatestPosts: {"_packed"},
    Logins: {"_last", "_active"},
}
"""What of each class is told below, so that a new column cannot be forgotten."""

NOT_TOLD: Final[dict[type, set[str]]] = {
    # names that only a superseded claim or edit gave are no one's: what holds a name is told by it
    # who comes and goes is for the scheduler, not for feeds, and what comes late counts in its order
    State: {"topic_names", "languages", "_folds", "presence"},
    # the newest post of everyone may be one that turned out to be another's; it bounds memory, and no feed
    Symbols: {"_bounds", "_data", "_lock"},  # the same names as bytes
    Posts: {"_newest", "_symbols", "_retention_s", "_per_author"},
    PostAttributes: {"_topic_names", "_languages", "_set", "_empty"},
    UserAttributes: {"_languages"},
    Engagement: {"_popularity", "_cache_lock", "_cache_hour", "_cache", "_cached_count"},
    ByPost: {"_lock", "_long", "_short", "_reach"},
    LatestPosts: {"_posts", "_days", "_per_viewer"},
}
"""Settings, roles, and what is kept only to find the rest faster."""


def told(state: State, now: float) -> dict[str, Any]:
    """Everything the state knows, in outside ids, sorted; of authors' posts those a reader at `now` can ask for."""
    return {
        "watermark": state.watermark,
        "users": sorted(state.users.names),
        "post_ids": sorted(state.post_ids.names),
        "graph": _graph(state),
        "posts": _posts(state, now),
        "about_posts": _about_posts(state),
        "about_users": {
            name: sorted((state.users.name(user), *stamp, value) for user, (stamp, value) in known.items())
            for name, known in state.about_users._known.items()
        },
        "engagement": _engagement(state),
        "impressions": _impressions(state),
        "logins": sorted(
            (name, state.logins.last(user), state.logins.last_active(user))
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


def _switches(toggles: Toggles, left: Callable[[int], str], right: Callable[[int], str]) -> list[Any]:
    return sorted(
        (left(key >> 32), right(key & 0xFFFFFFFF), bool(toggles._on[slot]), toggles._ts[slot], toggles._id_of(slot))
        for key, slot in toggles._slot.items()
    )


def _graph(state: State) -> dict[str, Any]:
    graph, user = state.graph, state.users.name
    people = range(len(state.users))
    return {
        "follows": _switches(graph._follows, user, user),
        "blocks": _switches(graph._blocks, user, user),
        "mutes": _switches(graph._mutes, user, user),
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
    since = now - posts._retention_s + 2 * DAY  # paging goes on in feeds that were made a day ago
    made = rows_of(posts.author, posts.created, posts._event.values)
    return {
        "own events": sorted(
            (name(post), user(author), created, posts._ids[event])
            for post, (author, created, event) in enumerate(made)
            if author != UNKNOWN
        ),
        "gone": sorted(
            (name(post), *flags) for post, flags in enumerate(rows_of(posts.deleted, posts.withheld)) if any(flags)
        ),
        "reviews": _switches(posts._reviews, name, str),
        "recent": sorted(
            (user(author), [name(post) for post in recent if posts.created[post] >= since])
            for author, recent in ((author, posts._recent.of(author).tolist()) for author in range(len(state.users)))
            if any(posts.created[post] >= since for post in recent)
        ),
        "live_count": posts.live_count,
    }


def _about_posts(state: State) -> dict[str, Any]:
    about, name = state.about_posts, state.post_ids.name
    starts, counts, topics = about.topics
    topic_of, language_of = state.topic_names.name, state.languages.name
    return {
        "fields": sorted(
            (name(post), None if language == NONE else language_of(language), min_age, sensitive, MEDIA[media],
             [topic_of(topic) for topic in topics[start : start + count].tolist()])
            for post, (language, min_age, sensitive, media, start, count) in enumerate(
                rows_of(about.language, about.min_age, about.sensitive, about.media, starts, counts)
            )
        ),
        "edits": sorted(
            (name(post), field, *stamp, value)
            for post, fields in about._last_edit.items()
            for field, (stamp, value) in fields.items()
        ),
        "posts_about": sorted(
            (topic_of(topic), posts) for topic, posts in enumerate(about.posts_about.tolist()) if posts
        ),
    }  # fmt: skip


def _engagement(state: State) -> dict[str, Any]:
    engagement, user, post = state.engagement, state.users.name, state.post_ids.name
    by_post: Counter[tuple[str, str, int, str]] = Counter()
    for item, viewer, hour, kind, sign in rows_of(*_unpack(engagement._rows.since(0))):
        by_post[post(item), user(viewer), hour, KINDS[kind]] += sign
    by_viewer: Counter[tuple[str, str, int, str]] = Counter()
    for viewer in range(len(state.users)):
        for item, _, hour, kind, sign in rows_of(*engagement.of_viewer(viewer)):
            by_viewer[user(viewer), post(item), hour, KINDS[kind]] += sign
    return {
        "by post": sorted((*one, count) for one, count in by_post.items() if count),
        "by viewer": sorted((*one, count) for one, count in by_viewer.items() if count),
        "touched": sorted({one[:2] for one in by_viewer}),
        "counts": sorted(zip(state.post_ids.names, engagement.counts(len(state.post_ids)).tolist(), strict=True)),
        "switches": {kind: _switches(toggles, user, post) for kind, toggles in engagement._switches.items()},
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
