"""The intervals of cells' means over their seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from dd_ray.metrics import Interval, seed_interval
from dd_ray.results.comparisons.levels import LEVEL
from dd_ray.results.comparisons.spread import Array, differs, size_of
from dd_ray.results.comparisons.variances import SCALES, Scale, Variance, pooled_variance


@dataclass(frozen=True, kw_only=True)
class Widths:
    """The uncertainty of the means of cells."""

    half: Array
    """[C] half of the 95% interval of a cell's mean over its seeds."""
    error: Array
    """[C] its standard error."""
    variance: Variance


def pooled_widths(scores: ArrayLike, scales: Sequence[Scale] = SCALES) -> Widths:
    """Compute intervals of cells' means over their seeds, from the variance pooled over the cells.

        ȳ_c ± t_{ν, 0.975} s / (g'(ȳ_c) √n_c),   g the scale on which variances are alike, to first order

    If variances are alike on no scale, it is the wider of this interval and the cell's own (`seed_interval`).

    Args:
        scores: [C, S].
        scales: see `pooled_variance`.

    Returns:
        Numbers for each cell that has two seeds which differ, and for cells of a single seed if variances are alike.
        NaN for others.
    """
    values = np.asarray(scores, np.float64)
    variance = pooled_variance(values, scales)
    number = (~np.isnan(values)).sum(axis=1)
    half, error = np.full((2, len(values)), np.nan)
    if np.isnan(variance.deviation):
        return Widths(half=half, error=error, variance=variance)
    known = differs(values) | ((number == 1) & variance.alike)
    values, number = values[known], number[known]
    scale = next(each for each in SCALES if each.name == variance.scale)
    means = np.nanmean(values, axis=1)
    within = (means > scale.low) & (means < scale.high)  # a single seed may lie outside of the scale
    slope = np.where(within, scale.slope(np.where(within, means, 0.5)), np.nan)
    error[known] = variance.deviation / (slope * np.sqrt(number))
    half[known] = _student(variance.degrees) * error[known]
    if not variance.alike:
        size = size_of(values)
        own = size * np.nanstd(values / size, axis=1, ddof=1) / np.sqrt(number)
        half[known] = np.maximum(half[known], _student(number - 1.0) * own)
        error[known] = np.maximum(error[known], own)
    return Widths(half=half, error=error, variance=variance)


def interval_that_tells(values: ArrayLike) -> Interval:
    """Return the mean of values [S] with Student's interval (`seed_interval`), without ends where all seeds agree.

    A spread of 0 means that networks have learned nothing, or that a number cannot vary, and says nothing about other
    seeds.
    """
    found = seed_interval(values)
    tells = differs(np.asarray(values, np.float64)[None])[0]
    return found if tells else Interval(found.estimate, *np.full((2, *found.estimate.shape), np.nan))


def _student(degrees: ArrayLike) -> Array:
    return np.asarray(scipy.special.stdtrit(degrees, 1 - LEVEL / 2), np.float64)
