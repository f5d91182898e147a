"""The tables of docs/diversity.md, from a run of the seeded network.

`.venv/bin/python -m tests.diversity_page` writes them anew.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from msgspec import structs

from feedgen import config
from feedgen.config import Settings
from feedgen.explaining import FeedExplainer
from feedgen.pipeline import Pipeline
from feedgen.state.attributes import MEDIA
from feedgen.state.state import State, kind_weights
from feedgen.synthetic import Network, NetworkSpec, generate
from feedgen.synthetic.judge import Judge

PAGE: Final = Path(__file__).parents[1] / "docs" / "diversity.md"
SPEC: Final = NetworkSpec(viewers=300, days=14, followees_mean=60.0, seed=1)
VIEWER: Final = "u62"
PLACES: Final = 15
TOP: Final = 20

_Item = dict[str, Any]


def tables() -> dict[str, str]:
    """Each table of the page under its name, with the default settings at the end of the network's time."""
    settings = Settings()
    state = State(settings.state, settings.ranking)
    network = generate(SPEC)
    state.fold(enumerate(network.events(), start=1))
    explainer = FeedExplainer(state, Pipeline(state, settings))
    feeds = {}
    for viewer in (f"u{number}" for number in range(SPEC.viewers)):
        told = explainer.explain(viewer, float(SPEC.end))
        assert told is not None
        feeds[viewer] = [item | _about(state, item["item_id"]) for item in told["items"]]
    return {
        "one viewer": _moves(feeds[VIEWER]),
        "all viewers": _effect(list(feeds.values()), settings),
        "quality": _quality(state, network, list(feeds)),
    }


def _quality(state: State, network: Network, viewers: list[str]) -> str:
    """NDCG@20 of the orders, one rule after the other."""
    off = config.Diversity(author_penalty=0.0, media_places=0, fresh_lift=0.0, explore_share=0.0)
    lifted = structs.replace(off, fresh_lift=config.Diversity().fresh_lift)
    parted = structs.replace(config.Diversity(), explore_share=0.0)
    stages = {
        "ranked": off,
        "with fresh posts lifted": lifted,
        "with author repeats penalised too": structs.replace(parted, media_places=0),
        "with media parted too": parted,
        "shown: with exploration too": config.Diversity(),
    }
    rows = [("order", f"NDCG@{TOP}"), ("---", "---")]
    for name, diversity in stages.items():
        pipeline = Pipeline(state, Settings(diversity=diversity))
        found = Judge(pipeline, network.truth, kind_weights(Settings().ranking)).judge(viewers, float(SPEC.end))
        rows.append((name, f"{found['served']:.3f}"))
    rows += [
        (f"{name} first", f"{found[key]:.3f}") for name, key in (("newest", "newest"), ("most popular", "popularity"))
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _about(state: State, name: str) -> _Item:
    post = state.post_ids.find(name)
    assert post is not None
    age_h = (SPEC.end - float(state.posts.created[post])) / 3_600
    return {"medium": MEDIA[state.about_posts.media[post]], "age_h": age_h}


def _ranked(items: Sequence[_Item]) -> list[_Item]:
    return sorted(items, key=lambda item: item["ranked_at"])


def _moves(items: Sequence[_Item]) -> str:
    """Place by place: who was there before, and who is there after, and by which moves."""
    rows = [
        ("place", "ranked: post, author, medium", "shown: post, author, medium", "age h", "ranked at",
         "normalised", "lift", "penalty", "score", "by score", "by media", "by draw", "propensity"),
        ("---",) * 13,
    ]  # fmt: skip
    for place, (before, after) in enumerate(zip(_ranked(items), items, strict=True), start=1):
        moves = after["diversity"]
        rows.append(
            (
                str(place),
                _named(before),
                _named(after),
                f"{after['age_h']:.1f}",
                str(after["ranked_at"]),
                f"{moves['normalised']:.3f}",
                _unless_zero(moves["fresh_lift"], ".2f"),
                _unless_zero(-moves["author_penalty"], ".1f"),
                f"{after['score']:.3f}".replace("-", "−"),
                *(_unless_zero(moves[f"{rule}_places"], "d") for rule in ("score", "media", "explore")),
                f"{moves['propensity']:.4f}",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows[: PLACES + 2])


def _named(item: _Item) -> str:
    return f"{item['item_id']}, {item['author_id']}, {item['medium']}"


def _unless_zero(value: float, form: str) -> str:
    return f"{value:+{form}}".replace("-", "−") if value else ""


def _effect(feeds: Sequence[Sequence[_Item]], settings: Settings) -> str:
    """What the rules change on average, over all viewers."""
    fresh_h = settings.diversity.fresh_hours
    measures = {
        f"authors in the first {TOP}": lambda items: len({item["author_id"] for item in items[:TOP]}),
        f"most posts of one author in the first {TOP}": lambda items: max(
            [item["author_id"] for item in items[:TOP]].count(item["author_id"]) for item in items[:TOP]
        ),
        f"neighbours of the same medium in the first {TOP}": lambda items: sum(_same(items[:TOP])),
        "neighbours of the same medium in 100 places of the whole feed": lambda items: (
            100 * sum(_same(items)) / len(items)
        ),
        f"posts younger than {fresh_h:g} h in the first {TOP}": lambda items: sum(
            item["age_h"] < fresh_h for item in items[:TOP]
        ),
        f"posts in the first {TOP} that were ranked below the first 100": lambda items: sum(
            item["ranked_at"] > 100 for item in items[:TOP]
        ),
    }
    rows = [("mean over all viewers", "as ranked", "as shown"), ("---",) * 3]
    for name, measure in measures.items():
        before = fmean(measure(_ranked(items)) for items in feeds)
        after = fmean(measure(items) for items in feeds)
        rows.append((name, f"{before:.2f}", f"{after:.2f}"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _same(items: Sequence[_Item]) -> Iterator[bool]:
    return (one["medium"] == other["medium"] != MEDIA[0] for one, other in pairwise(items))


def with_tables(page: str, found: dict[str, str]) -> str:
    """The page with these tables between its marks."""
    for name, table in found.items():
        mark = re.escape(f"<!-- {name} -->")
        page, count = re.subn(f"{mark}.*?{mark}", f"<!-- {name} -->\n{table}\n<!-- {name} -->", page, flags=re.DOTALL)
        assert count == 1, name
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
