"""A model judged on a period it knows nothing of: the orders it gives, and the probabilities behind them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.learning import foreseen
from feedgen.learning.dataset import RowMaker
from feedgen.learning.foreseen import Foreseen
from feedgen.learning.judging import Judged
from feedgen.learning.player import Login, Player
from feedgen.models.model import Model
from feedgen.models.scorers import IdKeys
from feedgen.ranking.dataset import ACTIONS, Rows
from feedgen.ranking.inputs import INPUTS
from feedgen.shortlist import Shortlist

_AGE: Final = INPUTS.index("age")
_HEADS: Final = (foreseen.SHARED, *ACTIONS)
Weights = Callable[[], NDArray[np.float32]]


class Foreseer:
    """What a model foresees of the rows of logins, at the time of each."""

    def __init__(
        self, player: Player, maker: RowMaker, model: Model, scorer: str, weights: Weights | None, seed: int
    ) -> None:
        """`weights`: of the stack as it is now, where it goes on learning."""
        self._player = player
        self._maker = maker
        self._model = model
        self._scorer = scorer
        self._weights = weights
        self._keys = IdKeys(player.state)
        self._seed = seed
        self._parts: list[Foreseen] = []

    def foresee(self, login: Login, feed: Shortlist) -> None:
        """One login more. O(candidates); the inputs are what costs."""
        rng = np.random.default_rng((self._seed, login.place))
        rows = self._maker.rows(login, feed, rng, login_rate=1.0)
        rows = rows.select(rows.picked)
        if len(rows):
            self._parts.append(self._judged(login, feed, rows))

    def take(self) -> list[Foreseen]:
        """Everything since this was last called, in one piece; none where no login had anything to show."""
        parts, self._parts = self._parts, []
        return [foreseen.joined(parts)] if parts else []

    def _judged(self, login: Login, feed: Shortlist, rows: Rows) -> Foreseen:
        odds = self._odds(login, rows)
        happened = {foreseen.SHARED: rows.engaged, **{name: rows.done[:, at] for at, name in enumerate(ACTIONS)}}
        count = len(rows)
        return Foreseen(
            rows.viewer,
            {head: odds[head] for head in _HEADS},
            happened,
            rows.weight,
            {
                "activity": np.full(count, float(self._maker.outcomes.came(login))),
                "network": np.full(count, float(len(feed.context.followees))),
                "age_hours": rows.inputs[:, _AGE].astype(np.float64),
            },
        )

    def _odds(self, login: Login, rows: Rows) -> Mapping[str, NDArray[np.float64]]:
        """As when serving: of what stage two does not get to see, stage one's."""
        model = self._model
        lines, picked = model.linear, rows.select(rows.picked)
        features = np.nan_to_num(rows.inputs[:, : model.meta.linear_inputs].astype(np.float64))
        logits = features @ lines.weights.T + lines.bias
        logits[rows.picked] = self._stage_two(login, picked)
        return model.probabilities(lines.heads, logits)

    def _stage_two(self, login: Login, rows: Rows) -> NDArray[np.float64]:
        model = self._model
        if self._scorer == "linear" or model.trees is None:
            return model.logits_wide(rows.inputs)
        if self._scorer == "stacked" and self._weights is not None:
            posts = np.array([self._player.state.post_ids.intern(post) for post in rows.post.tolist()], np.int32)
            hashed = self._keys.of(login.viewer, posts).hashed()
            return model.logits_stacked(rows.inputs, hashed, self._weights())
        return model.logits_by_trees(rows.inputs)


def measures(found: Sequence[Foreseen]) -> dict[str, Any]:
    """By action and by slice; nothing where no model foresaw anything."""
    if not found:
        return {}
    whole = foreseen.joined(found)
    return {"actions": foreseen.by_action(whole), "slices": foreseen.by_slice(whole)}


def order_slices(judged: Judged) -> dict[str, dict[str, Any]]:
    """Figures of the ranked order by activity and network size, over all posts."""
    about = np.array(judged.about["all"], np.float64).reshape(-1, 2)
    ranked = judged.scores["all"]["ranked"]
    answer: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(("activity", "network")):
        answer[name] = {
            label: {"queries": int(which.sum()), **ranked.under(which).summary()}
            for label, which in foreseen.sliced(name, about[:, at])
        }
    return answer
