"""What the models read of a viewer's candidates: the features of stage one, then the signals of stage two."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.config import Ranking
from feedgen.ranking.features import FEATURES, FeatureMaker
from feedgen.ranking.signals import NAMES, Signals
from feedgen.selection.context import ViewerContext
from feedgen.state.state import State

INPUTS: Final = (*FEATURES, *NAMES)


class Inputs:
    """The same for training, replay and serving."""

    def __init__(self, state: State, settings: Ranking) -> None:
        self._features = FeatureMaker(settings)
        self._signals = Signals(state, settings)

    def matrix(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, INPUTS). Costs: those of the features and of the signals."""
        return np.column_stack((self.features(context, posts), self._signals.matrix(context, posts)))

    def features(self, context: ViewerContext, posts: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32, shape (posts, FEATURES)."""
        return self._features.matrix(context, posts).astype(np.float32)

    def signals(self, context: ViewerContext, posts: NDArray[np.int32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32, shape (kept, SIGNALS): of those of `posts` under a mask, standing among all of them."""
        return self._signals.matrix(context, posts)[kept]
