"""Ids as a number of 8 bytes, where they fit: what a record holds of them, ready to be copied."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import inner

LONG: Final = 0
"""The form of an id that has no code. From 1 to 8 are those of hexadecimal digits, twice as many."""
INT: Final = 9
"""The form of one that has not, and is the one decimal form of an int64."""
SHORT: Final = 16
"""And the number of its bytes, 8 at most: the form of any other."""
_CODE_BYTES: Final = 8
NO_DIGIT: Final = 255


@inner
def digit_of(byte: int) -> int:
    """The value of a lower-case hexadecimal digit, NO_DIGIT of anything else."""
    if 48 <= byte <= 57:
        return np.int64(byte) - 48
    return np.int64(byte) - 87 if 97 <= byte <= 102 else NO_DIGIT


@inner
def as_int(data: NDArray[np.uint8], at: int, end: int) -> tuple[bool, int]:
    """The value, if the bytes from `at` to `end` are the one decimal form of an int64."""
    negative = at < end and data[at] == 45
    at += negative
    if end - at < 1 or end - at > 19 or (data[at] == 48 and (end - at > 1 or negative)):
        return False, 0
    value = np.uint64(0)
    while at < end:
        digit = digit_of(data[at])
        if digit > 9:
            return False, 0
        value = value * np.uint64(10) + np.uint64(digit)
        at += 1
    if value > np.uint64(9223372036854775807) + np.uint64(negative):
        return False, 0
    return True, -np.int64(value) if negative else np.int64(value)


@inner
def code_of(data: NDArray[np.uint8], at: int, end: int) -> tuple[Any, Any]:
    """The code of the id from `at` to `end`, and its form: little-endian, as the bytes of a record stand."""
    width, code = end - at, np.uint64(0)
    if 0 < width <= 16 and not width & 1:
        for place in range(width // 2):
            high, low = digit_of(data[at + 2 * place]), digit_of(data[at + 2 * place + 1])
            if high == NO_DIGIT or low == NO_DIGIT:
                break
            code |= np.uint64(high << 4 | low) << np.uint64(8 * place)
        else:
            return code, np.uint8(width // 2)
    fits, value = as_int(data, at, end)
    if fits:
        return np.uint64(value), np.uint8(INT)
    if width > _CODE_BYTES:
        return np.uint64(0), np.uint8(LONG)
    code = np.uint64(0)
    for place in range(width):
        code |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return code, np.uint8(SHORT + width)
