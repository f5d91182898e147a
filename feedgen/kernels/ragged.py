"""Lists of many owners, one after the other."""

from typing import Any

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner


@inner
def flat(
    starts: NDArray[np.int64], counts: NDArray[np.int32], values: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.uint32]]:
    """Copies of the entries of all owners, whose lists begin at `starts`, and the position of each one's owner.
    O(owners + entries).

    Lists are short and of many lengths, so that a loop over each would be a wrong guess of the processor at its end:
    owners are spread by a running sum.
    """
    shift, behind = np.empty(len(starts), np.int64), np.empty(len(starts), np.uint64)
    count = 0
    for at in range(len(starts)):
        shift[at] = starts[at] - count
        count += counts[at]
        behind[at] = count
    place, found = np.zeros(count + 1, np.uint32), np.empty(count, values.dtype)
    for at in range(len(starts)):
        place[behind[at]] += uint32(1)
    running = uint32(0)
    for at in range(count):
        running += place[at]
        place[at] = running
    for at in range(count):
        found[at] = values[uint64(shift[place[at]] + at)]
    return found, place[:count]
