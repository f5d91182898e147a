"""`loadtest rank`: models trained on a synthetic network's log, their orders beside the oracle's."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from feedgen.config import Settings
from feedgen.learning.history import History
from feedgen.learning.player import Player
from feedgen.learning.replay import Scorer, ranking_by
from feedgen.learning.teaching import Progress, teach
from feedgen.models.actions import values_of
from feedgen.models.lining import version_of
from feedgen.models.ranker import LineUp
from feedgen.state.state import kind_weights
from feedgen.synthetic import NetworkSpec, generate
from feedgen.synthetic.judge import Judge
from feedgen.synthetic.network import MODERATOR

SCORERS: Final[tuple[Scorer, ...]] = ("formula", "linear", "trees", "stacked")
JUDGED: Final = 250
"""Viewers: the mean's standard error is then below 0.01."""
_ACTIVE_S: Final = 14 * 86_400.0


def measure(spec: NetworkSpec, settings: Settings, processes: int, on_rows: Progress) -> dict[str, Any]:
    """NDCG@20 at the network's end of the order by true expected worth, by scorer; trained on all before it.

    Everything that is worth something to the judge counts, hides and reports against it. Raises ModelError.
    """
    network = generate(spec)
    past, end = History.of(network.events()), float(spec.end)
    began = time.perf_counter()
    with TemporaryDirectory(prefix="forefeed-rows-") as folder:
        taught = teach(past, settings, end, Path(folder), scorer="stacked", processes=processes, on_rows=on_rows)
    seconds = time.perf_counter() - began
    worth = {**kind_weights(settings.ranking), "dwell": values_of(settings)["dwell"]}
    player = Player(past, ranking_by(settings, "stacked"))  # nobody waits: what is late counts too
    player.state.fold(enumerate(past.events, start=1))
    active = [player.state.users.name(who) for who in player.state.logins.active_since(end - _ACTIVE_S).tolist()]
    names = sorted(name for name in active if name != MODERATOR)
    sample = names[:: max(1, len(names) // JUDGED)][:JUDGED]
    judge = Judge(player.pipeline, network.truth, worth)
    orders = {}
    for scorer in SCORERS:
        version = version_of(taught.model, ranking_by(settings, scorer))
        player.pipeline.ranker.line_up = LineUp() if scorer == "formula" else LineUp((version,))
        orders[scorer] = judge.judge(sample, end)
    return {
        "viewers": spec.viewers,
        "days": spec.days,
        "seed": spec.seed,
        "events": len(past.events),
        "rows": taught.made.rows,
        "learnt_from": taught.made.kind,
        "training_s": round(seconds, 1),
        "ndcg_at_20": orders,
    }
