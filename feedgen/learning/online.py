"""The stacked model goes on learning while a log is played: from each login, once its outcome is whole."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Settings
from feedgen.learning.dataset import RowMaker
from feedgen.learning.player import Login, Player
from feedgen.models.lining import version_of
from feedgen.models.model import Model
from feedgen.models.ranker import LineUp
from feedgen.models.scorers import IdKeys, StackedScorer
from feedgen.models.stacking import Stacked
from feedgen.ranking.dataset import ACTIONS, Rows
from feedgen.shortlist import Shortlist


@dataclass(frozen=True)
class _Waiting:
    known_at: float
    rows: Rows


class Online:
    """Teaches what is stacked on the trees of a model that ranks in `player`."""

    def __init__(self, player: Player, model: Model, settings: Settings, maker: RowMaker) -> None:
        """Puts the model into the player's line-up, with weights of its own. Raises ModelError without a stack."""
        assert model.trees is not None
        assert model.stacked is not None
        stacked = model.stacked
        self._stacked = Stacked(stacked.z.copy(), stacked.n.copy(), stacked.pace, stacked.offset)
        self._trees = model.trees
        self._maker = maker
        self._state = player.state
        self._keys = IdKeys(player.state)
        self._horizon_s = settings.learning.horizon_hours * 3_600.0
        self._seed = settings.learning.seed
        self._waiting: deque[_Waiting] = deque()
        version = version_of(model, settings)
        assert isinstance(version.stage_two, StackedScorer)
        self._scorer = version.stage_two
        self._weights = self._stacked.weights()
        player.pipeline.ranker.line_up = LineUp((version,))

    def advance(self, now: float) -> None:
        """Learn from the logins whose outcome is whole at `now` (s), in their order. O(rows × (trees + ids))."""
        learnt = False
        while self._waiting and self._waiting[0].known_at <= now:
            rows = self._waiting.popleft().rows
            rows = rows.select(rows.picked)
            if len(rows):
                self._learn(rows)
                learnt = True
        if learnt:
            self._scorer.teach(self._stacked)
            self._weights = self._stacked.weights()

    def note(self, login: Login, feed: Shortlist) -> None:
        """This login is to be learnt from once it is time; what it teaches is as it was known at the login."""
        rng = np.random.default_rng((self._seed, login.place))
        if self._maker.wanted(login, rng):
            rows = self._maker.rows(login, feed, rng)
            self._waiting.append(_Waiting(login.ts + self._horizon_s, rows))

    def weights(self) -> NDArray[np.float32]:
        """Of the stack as it ranks now. Not to be changed."""
        return self._weights

    def _learn(self, rows: Rows) -> None:
        posts = np.array([self._state.post_ids.intern(post) for post in rows.post.tolist()], np.int32)
        viewer = self._state.users.intern(str(rows.viewer[0]))
        hashed = self._keys.of(viewer, posts).hashed()
        logits, leaves = self._trees.leaves(rows.inputs)
        by_head = {"engaged": rows.engaged, **{name: rows.done[:, at] for at, name in enumerate(ACTIONS)}}
        happened = np.column_stack([by_head[head] for head in self._trees.heads])
        self._stacked.learn(leaves, hashed, logits, happened, rows.weight)
