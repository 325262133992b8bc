"""The size of scores, and whether seeds differ by more than rounding."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SPREAD = 1e-9
"""Values whose difference is no more than this part of their size differ by rounding alone."""


def size_of(values: Array) -> float:
    """Return the power of two that is nearest below the largest size of some values.

    Over it their squares, and the squares of these, are no more than a double holds; a ratio of sums stays the same.
    """
    return float(np.ldexp(1.0, int(np.frexp(np.nanmax(np.abs(values)))[1]) - 1))


def differs(values: Array) -> NDArray[np.bool_]:
    """Return [C], whether a cell has two seeds that differ by more than rounding."""
    some = (~np.isnan(values)).sum(axis=1) > 1
    size = np.where(some, np.nanmax(np.abs(values), axis=1, initial=0.0), 0.0)
    span = np.nanmax(values, axis=1, initial=-np.inf) - np.nanmin(values, axis=1, initial=np.inf)
    return some & (span > SPREAD * size)
