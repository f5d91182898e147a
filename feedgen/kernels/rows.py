"""The lists that cards name, as views."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.columns import Columns
from feedgen.kernels.compiled import inner


@inner
def followees_of(columns: Columns, viewer: int) -> NDArray[np.int32]:
    """Whom the viewer follows, ascending."""
    card = columns.cards.users[viewer]
    return columns.people.followees[card.followees_at : card.followees_at + card.followees]


@inner
def engagements_with(columns: Columns, post: int) -> NDArray[np.int64]:
    """All with the post, see engagement.Engagement.by_post."""
    card = columns.cards.posts[post]
    return columns.engagements[card.engaged_at : card.engaged_at + card.engagements]
