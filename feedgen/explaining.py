"""Why a feed is as it is, and why a post is not in it: the pipeline run once more, with its stages shown."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.diversity import Diverse
from feedgen.feed.record import propensity
from feedgen.pipeline import Pipeline, Ranked
from feedgen.selection.filters import apply
from feedgen.selection.taste import match
from feedgen.state.engagement import windows
from feedgen.state.state import State


class FeedExplainer:
    """Explains what `pipeline` would generate now from `state`. Synchronous; not during a fold."""

    def __init__(self, state: State, pipeline: Pipeline) -> None:
        self._state = state
        self._pipeline = pipeline

    def explain(self, viewer: str, now: float, item: str | None = None) -> dict[str, Any] | None:
        """Of the whole feed, or of one item of it; None for a viewer or a post never seen. One generation's work."""
        index = self._state.users.find(viewer)
        post = None if item is None else self._state.post_ids.find(item)
        if index is None or (item is not None and (post is None or self._state.posts.created_at(post) is None)):
            return None
        ranked = self._pipeline.rank(index, now)
        answer: dict[str, Any] = {
            "user_id": viewer,
            "now": now,
            "watermark": ranked.context.epoch.watermark,
            "followees": len(ranked.context.followees),
            "last_login": ranked.context.last_login if np.isfinite(ranked.context.last_login) else None,
            "ranked_by": ranked.ranked_by,
            "candidates": ranked.candidates,
            "removed": ranked.removed,
            "spam_damped": int(np.count_nonzero(ranked.all_damped)),
        }
        if post is not None:
            why = {"item_id": item, **self._why(ranked, post)}
            return {**answer, "item": why, "post": self._known(ranked, post)}
        items = [self._shown(ranked, place) for place in range(len(ranked.posts))]
        return {**answer, "empty_because": None if items else _why_empty(ranked), "items": items}

    def _known(self, ranked: Ranked, post: int) -> dict[str, Any]:
        """What state knows of the post: whether it went to this viewer, and who engaged with it when."""
        context, shown = ranked.context, self._state.impressions
        _, found = self._state.engagement.of_posts(np.array([post]))
        followed = context.near[found.viewer] & (found.viewer != context.viewer)
        return {
            "last_seen": _day_of(post, *shown.seen.of(context.viewer, context.now)),
            "last_served": _day_of(post, *shown.served.of(context.viewer, context.now)),
            "taste": round(float(match(self._state, context.taste, np.array([post]))[0]), 6),
            "engagement": {
                "everyone": windows(found, context.epoch.hour),
                "network": windows(found.rows(followed), context.epoch.hour),
            },
        }

    def _shown(self, ranked: Ranked, place: int) -> dict[str, Any]:
        """The item at a place of the feed, with the parts of its score."""
        post = int(ranked.posts[place])
        return {
            "item_id": self._state.post_ids.name(post),
            "author_id": self._state.users.name(int(self._state.posts.author[post])),
            "reason": self._pipeline.sources[int(ranked.origin[place])].name,
            "score": round(float(ranked.diverse.adjusted[ranked.diverse.order[place]]), 6),
            "ranked_score": round(float(ranked.scores[place]), 6),
            "ranked_at": int(ranked.diverse.order[place]) + 1,
            "shown_at": place + 1,
            **ranked.heads.describe(ranked.features[place]),
            "spam_penalty": self._pipeline.spam.penalty * bool(ranked.damped[place]),
            "diversity": self._moves(ranked.diverse, place),
        }

    def _moves(self, diverse: Diverse, place: int) -> dict[str, Any]:
        """What diversity did to the item at a place; `…_places` are places down, negative ones up.

        score = normalised + fresh_lift − author_penalty; ranked_at + the three `…_places` = shown_at.
        """
        settings, ranked_at = self._pipeline.diversity, int(diverse.order[place])
        by_score, parted = (int(places[place]) for places in diverse.places)
        repeats, explored = int(diverse.repeats[ranked_at]), bool(diverse.explored[place])
        return {
            "normalised": round(float(diverse.normalised[ranked_at]), 6),
            "fresh_lift": float(diverse.lift[ranked_at]),
            "author_repeats": repeats,
            "author_penalty": round(settings.author_penalty * repeats, 6),
            "score_places": by_score - ranked_at,
            "media_places": parted - by_score,
            "explore_places": place - parted,
            "explored": explored,
            "propensity": round(propensity(settings.explore_share, len(diverse.order) - place, explored), 6),
        }

    def _why(self, ranked: Ranked, post: int) -> dict[str, Any]:
        """What became of the post, in the order in which the pipeline decides.

        outcome: not_yet, too_old, removed (by a filter), not_found (by no source), capped (by a bound),
        ranked_out (more than the feed holds are better), shown.
        """
        context = ranked.context
        created = float(self._state.posts.created[post])
        if created > context.now:
            return {"outcome": "not_yet", "created_at": created}
        shown = np.flatnonzero(ranked.posts == post)
        if len(shown):
            return {"outcome": "shown", **self._shown(ranked, int(shown[0]))}
        removed = apply(self._pipeline.filters, context, np.array([post], np.int32)).removed
        by = next((name for name, count in removed.items() if count), None)
        if by is not None:
            return {"outcome": "removed", "by": by}
        at = np.flatnonzero(ranked.considered == post)
        if len(at):
            score = float(ranked.all_scores[at[0]])
            better = int(np.count_nonzero(ranked.all_scores > score))
            penalty = self._pipeline.spam.penalty * bool(ranked.all_damped[at[0]])
            return {
                "outcome": "ranked_out",
                "ranked_score": round(score, 6),
                "spam_penalty": penalty,
                "better": better,
            }
        if not context.near[self._state.posts.author[post]]:
            return {"outcome": "not_found", "by": "trending", "popularity": int(context.epoch.popularity[post])}
        if post not in context.network.posts:
            if created < context.now - context.window_s:
                return {"outcome": "too_old", "created_at": created}
            return {"outcome": "capped", "by": "posts_per_author"}
        if context.seen[post]:
            return {"outcome": "capped", "by": "grown"}
        return {"outcome": "capped", "by": "followed" if created > context.last_login else "popular"}


def _day_of(post: int, posts: NDArray[np.int64], days: NDArray[np.int64]) -> str | None:
    """The day of the post among those seen or served, as people write it; None if it is not."""
    at = np.flatnonzero(posts == post)
    return str(np.datetime64(int(days[at[0]]), "D")) if len(at) else None


def _why_empty(ranked: Ranked) -> str:
    """Why nothing is left, in one sentence."""
    if sum(ranked.candidates.values()):
        return "every candidate was removed by a filter; see `removed`"
    if not len(ranked.context.followees):
        return "the viewer follows nobody, and nothing unseen is trending"
    return "followees posted nothing within selection.days that the viewer has not seen, and nothing unseen is trending"
