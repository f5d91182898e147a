"""Networks trained on the same rows from different starts: one where speed counts, all where the question is rare."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from feedgen.errors import ModelError
from feedgen.login.features import COUNT, Matrix
from feedgen.login.network import HIDDEN, SPAN_ENDS_S, Network
from feedgen.ondisk import drop_unfinished, whole

MEMBERS: Final = 3
_SHAPES: Final = (
    *pairwise((COUNT, *HIDDEN, len(SPAN_ENDS_S))),
    *((size,) for size in (*HIDDEN, len(SPAN_ENDS_S))),
    (COUNT,),
    (COUNT,),
)
"""Of what a network is saved as: weights, biases, mean, scale."""


@dataclass(frozen=True)
class Committee:
    """What training makes and predicting reads."""

    networks: tuple[Network, ...]

    def hazards(self, features: Matrix) -> Matrix:
        """Of the first network: float32[viewers, spans]. About 1 µs a viewer."""
        return self.networks[0].hazards(features)

    def agreed(self, features: Matrix) -> Matrix:
        """The mean of all networks' hazards; they err in different places. 1 µs a viewer and network."""
        agreed: Matrix = np.mean([each.hazards(features) for each in self.networks], axis=0, dtype=np.float32)
        return agreed

    def save(self, path: Path) -> None:
        """Write to `path`, at once or not at all. Raises OSError."""
        parts = {f"{at}-{part}": each for at, of in enumerate(self.networks) for part, each in enumerate(_parts(of))}
        drop_unfinished(path.parent)  # a training ends with the server, also while it writes
        with whole(path) as file:
            np.savez(file, allow_pickle=False, **parts)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What was saved; None where there is nothing. Raises ModelError for what this version cannot read."""
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                saved = [[file[f"{at}-{part}"] for part in range(len(_SHAPES))] for at in range(MEMBERS)]
        except FileNotFoundError:
            return None
        except KeyError:
            raise ModelError(f"{path} is a login model of another version; it must be trained anew") from None
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise ModelError(f"{path} is no login model ({error})") from None
        if any(tuple(values.shape for values in parts) != _SHAPES for parts in saved):
            raise ModelError(f"{path} is a login model of another version; it must be trained anew")
        layers = len(HIDDEN) + 1
        return cls(tuple(Network(tuple(p[:layers]), tuple(p[layers : 2 * layers]), p[-2], p[-1]) for p in saved))


def _parts(network: Network) -> list[NDArray[np.float32]]:
    return [*network.weights, *network.biases, network.mean, network.scale]
