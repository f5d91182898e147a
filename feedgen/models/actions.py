"""What viewers do that a model foresees, and what each of it is worth."""

from collections.abc import Mapping
from typing import Final

from feedgen.config import Settings

ACTIONS: Final = ("like", "comment", "share", "save", "click", "dwell", "hide", "report")
ENGAGED: Final = "engaged"
"""Any of the actions in a post's favour: the shared head."""


def values_of(settings: Settings) -> Mapping[str, float]:
    """What one action of each kind is worth, negative for those against a post."""
    ranking = settings.ranking
    return {action: settings.models.dwell if action == "dwell" else getattr(ranking, action) for action in ACTIONS}
