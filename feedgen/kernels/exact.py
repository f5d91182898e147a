"""The compiled twins of ranking.exact: the same operations in the same order; none branches, so eight go at a time."""

import numpy as np
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled
from feedgen.ranking.exact import (
    EXP_TERMS,
    LN2_HIGH,
    LN2_HIGH_32,
    LN2_LOW,
    LN2_LOW_32,
    LN_TERMS,
    LN_TERMS_32,
    LOG2_E,
    MANTISSA,
    MANTISSA_32,
    ONE_32,
    ROOT_HALF_BITS,
    ROOT_HALF_BITS_32,
    ROUNDER,
    STEEPEST,
)


@compiled
def ln(value: float) -> float:
    """Of a positive, normal, finite number."""
    bits = np.float64(value).view(np.int64) - ROOT_HALF_BITS
    twos = np.float64(bits >> 52)
    scaled = np.int64((bits & MANTISSA) + ROOT_HALF_BITS).view(np.float64)
    ratio = (scaled - 1.0) / (scaled + 1.0)
    square = ratio * ratio
    series = LN_TERMS[10] * square + LN_TERMS[9]
    series = series * square + LN_TERMS[8]
    series = series * square + LN_TERMS[7]
    series = series * square + LN_TERMS[6]
    series = series * square + LN_TERMS[5]
    series = series * square + LN_TERMS[4]
    series = series * square + LN_TERMS[3]
    series = series * square + LN_TERMS[2]
    series = series * square + LN_TERMS[1]
    series = series * square + LN_TERMS[0]
    return twos * LN2_HIGH + (ratio * series + twos * LN2_LOW)


@compiled
def ln_32(value: float) -> float:
    """Of a positive, normal, finite float32."""
    bits = np.int32(np.float32(value).view(np.int32) - ROOT_HALF_BITS_32)
    twos = np.float32(np.int32(bits >> np.int32(23)))
    scaled = np.int32((bits & MANTISSA_32) + ROOT_HALF_BITS_32).view(np.float32)
    ratio = (scaled - ONE_32) / (scaled + ONE_32)
    square = ratio * ratio
    series = LN_TERMS_32[4] * square + LN_TERMS_32[3]
    series = series * square + LN_TERMS_32[2]
    series = series * square + LN_TERMS_32[1]
    series = series * square + LN_TERMS_32[0]
    return twos * LN2_HIGH_32 + (ratio * series + twos * LN2_LOW_32)


@compiled
def signed_ln1p(value: float) -> float:
    """±ln(1 + |value|)."""
    return np.copysign(ln(1.0 + abs(value)), value)


@compiled
def squash(sums: NDArray[np.float64]) -> None:
    """σ of each, in place."""
    for at in range(len(sums)):
        exponent = np.minimum(np.maximum(-sums[at], -STEEPEST), STEEPEST)
        twos = (exponent * LOG2_E + ROUNDER) - ROUNDER
        rest = (exponent - twos * LN2_HIGH) - twos * LN2_LOW
        power = EXP_TERMS[12] * rest + EXP_TERMS[11]
        power = power * rest + EXP_TERMS[10]
        power = power * rest + EXP_TERMS[9]
        power = power * rest + EXP_TERMS[8]
        power = power * rest + EXP_TERMS[7]
        power = power * rest + EXP_TERMS[6]
        power = power * rest + EXP_TERMS[5]
        power = power * rest + EXP_TERMS[4]
        power = power * rest + EXP_TERMS[3]
        power = power * rest + EXP_TERMS[2]
        power = power * rest + EXP_TERMS[1]
        power = power * rest + EXP_TERMS[0]
        two = np.int64((np.int64(twos) + 1023) << 52).view(np.float64)  # 2^twos by its bits
        sums[at] = 1.0 / (1.0 + power * two)
