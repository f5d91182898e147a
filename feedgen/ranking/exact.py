"""ln and σ of plain sums, products and shifts, whose last bits IEEE 754 fixes: the same everywhere, also in kernels.

numpy's log and exp have other last bits on another processor, and the C library's in a kernel others again, so that a
feed would depend on where it is made. kernels.exact holds the compiled twins of these.
"""

from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LOG2_E: Final = 1.4426950408889634
LN2_HIGH: Final = 0.6931471803691238
"""Its last 32 bits are 0, so that a multiple by a small integer is exact (Cody and Waite)."""
LN2_LOW: Final = 1.9082149292705877e-10
ROUNDER: Final = 6755399441055744.0
"""1.5 × 2⁵²: a number added to it and taken off again is rounded to an integer."""
EXP_TERMS: Final = tuple(1.0 / factorial(power) for power in range(13))
"""Taylor's of eʳ for |r| ≤ ln 2 / 2; what is left out is below 2⁻⁵²."""
STEEPEST: Final = 700.0
"""σ(±700) is 1 or less than 10⁻³⁰³."""
LN_TERMS: Final = tuple(2.0 / (2 * power + 1) for power in range(11))
"""ln m = 2 (s + s³/3 + s⁵/5 + …) with s = (m − 1) / (m + 1), |s| < 0.172 for √½ ≤ m < √2."""
MANTISSA: Final = (1 << 52) - 1
ROOT_HALF_BITS: Final = 0x3FE6A09E667F3BCD
"""√½ as it stands in memory: taken off first, exponent and mantissa of the rest part at √½ and not at 1."""

ONE_32: Final = np.float32(1.0)
LN2_HIGH_32: Final = np.float32(0.693359375)
LN2_LOW_32: Final = np.float32(-2.12194440e-4)
LN_TERMS_32: Final = tuple(np.float32(term) for term in LN_TERMS[:5])
MANTISSA_32: Final = np.int32((1 << 23) - 1)
ROOT_HALF_BITS_32: Final = np.int32(0x3F3504F3)


def ln(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of positive, normal, finite numbers; to some 2 units of the last place. Any shape; O(n), copies."""
    bits = np.ascontiguousarray(values, np.float64).view(np.int64) - ROOT_HALF_BITS
    twos = (bits >> 52).astype(np.float64)
    scaled: NDArray[np.float64] = ((bits & MANTISSA) + ROOT_HALF_BITS).view(np.float64)
    ratio = (scaled - 1.0) / (scaled + 1.0)
    square = ratio * ratio
    series = np.full_like(square, LN_TERMS[-1])
    for term in LN_TERMS[-2::-1]:
        series = series * square + term
    found: NDArray[np.float64] = twos * LN2_HIGH + (ratio * series + twos * LN2_LOW)
    return found


def ln_32(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of float32, in its arithmetic; any shape."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32) - ROOT_HALF_BITS_32
    twos = (bits >> 23).astype(np.float32)
    scaled: NDArray[np.float32] = ((bits & MANTISSA_32) + ROOT_HALF_BITS_32).view(np.float32)
    ratio = (scaled - ONE_32) / (scaled + ONE_32)
    square = ratio * ratio
    series = np.full_like(square, LN_TERMS_32[-1])
    for term in LN_TERMS_32[-2::-1]:
        series = series * square + term
    found: NDArray[np.float32] = twos * LN2_HIGH_32 + (ratio * series + twos * LN2_LOW_32)
    return found


def ln1p(values: NDArray[Any]) -> NDArray[np.float64]:
    """ln(1 + value) of numbers from 0 up."""
    return ln(1.0 + values)


def signed_ln1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """±ln(1 + |value|), with the sign of the value."""
    found: NDArray[np.float64] = np.copysign(ln1p(np.abs(values)), values)
    return found


def sigmoid(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^−x), to some 2 units of the last place; NaN of NaN. Any shape; O(n), copies.

    For feeds; training has models.logistic's, which takes half the time.
    """
    exponent = np.minimum(np.maximum(-sums, -STEEPEST), STEEPEST)
    twos = (exponent * LOG2_E + ROUNDER) - ROUNDER
    rest = (exponent - twos * LN2_HIGH) - twos * LN2_LOW
    power = np.full_like(rest, EXP_TERMS[-1])
    for term in EXP_TERMS[-2::-1]:
        power = power * rest + term
    whole: NDArray[np.float64] = 1.0 / (1.0 + np.ldexp(power, np.nan_to_num(twos).astype(np.int32)))
    return whole
