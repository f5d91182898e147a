"""What each input of the models is, as a fingerprint: a model is of use only to the code that computes the same.

A fingerprint is a digest of what the input gives on a small fixed world. It changes when the definition does, or a
setting that it depends on, and not when a comment does.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from feedgen.config import Settings
from feedgen.events import Event
from feedgen.ranking.inputs import INPUTS, Inputs
from feedgen.selection.context import ViewerContext
from feedgen.selection.epoch import Epoch, epoch_of
from feedgen.state.engagement import hour_of
from feedgen.state.logins import DEVICES
from feedgen.state.state import State

_DAY_S: Final = 86_400.0
_NOW: Final = 20_000 * _DAY_S + 7 * 3_600.0
_PEOPLE, _POSTS, _DEEDS = 12, 80, 600
_DIGITS: Final = 5
"""Significant digits that count: the last bits of a logarithm differ between processors."""
_KINDS: Final = ("like", "comment", "share", "save", "click", "dwell", "hide", "report", "view", "login")


def definitions(settings: Settings) -> dict[str, str]:
    """Each input's fingerprint, in the order of INPUTS. About 20 ms."""
    state = State(settings.state, settings.ranking)
    state.fold(enumerate(_events(), 1))
    window_s = settings.window_s
    limits, inputs = settings.selection, Inputs(state, settings.ranking)

    def epoch_at(now: float) -> Epoch:
        return epoch_of(state, hour_of(now), window_s, 500)

    seen = []
    for now in (_NOW, _NOW + 1.3 * _DAY_S):
        for name in ("u1", "u4", "u7"):
            viewer = state.users.find(name)
            assert viewer is not None
            grown = limits.grown_min, limits.grown_times
            context = ViewerContext(state, viewer, now, window_s, *grown, epoch_at)
            posts = np.arange(len(state.post_ids), dtype=np.int32)
            posts = posts[(state.posts.author[posts] >= 0) & (state.posts.created[posts] <= now)]
            seen.append(inputs.matrix(context, posts))
    columns = np.concatenate(seen).T
    return {name: _digest(column) for name, column in zip(INPUTS, columns, strict=True)}


def _digest(column: "np.ndarray[Any, np.dtype[np.float32]]") -> str:
    text = " ".join(f"{value + 0.0:.{_DIGITS}g}" for value in column.tolist())
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _draws() -> Iterator[int]:
    """A sequence of its own: a library's generator may change."""
    state = 88_172_645_463_325_252
    while True:
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        yield state >> 11


def _events() -> Iterator[Event]:
    draw = _draws()

    def of(count: int) -> int:
        return next(draw) % count

    def at(days: int) -> float:
        return _NOW - of(days * 86_400)

    number = 0

    def event(kind: str, ts: float, actor: str, target: str | None = None, **attrs: Any) -> Event:
        nonlocal number
        number += 1
        return Event(f"d{number}", kind, ts, actor, target, attrs)

    for person in range(_PEOPLE):
        said = {"language": ("en", "de")[of(2)], "location": f"l{of(3)}", "verified": of(2) == 0}
        yield event("user", at(300), f"u{person}", None, birth_year=1960 + 3 * person, **said)
        for _ in range(5):
            other = (person + 1 + of(_PEOPLE - 1)) % _PEOPLE
            yield event("follow", at(200), f"u{person}", f"u{other}")
    for post in range(_POSTS):
        topics = [f"t{of(9)}" for _ in range(of(4))]
        about: dict[str, Any] = {
            "topics": topics,
            "media": ("none", "image", "video", "link")[of(4)],
            "length": of(900),
        }
        about |= {"location": f"l{of(3)}", "embedding": [of(200) - 100 for _ in range(3)]}
        yield event("post", at(60), f"u{of(_PEOPLE)}", f"p{post}", language=("en", "de")[of(2)], **about)
    for _ in range(_DEEDS):
        kind, actor = _KINDS[of(len(_KINDS))], f"u{of(_PEOPLE)}"
        if kind == "view":
            yield event(kind, at(30), actor, None, objects=[f"p{of(_POSTS)}" for _ in range(4)])
        elif kind == "login":
            yield event(kind, at(30), actor, device=DEVICES[of(len(DEVICES))])
        else:
            yield event(kind, at(40), actor, f"p{of(_POSTS)}", **({"value": 3.0} if kind == "dwell" else {}))
