"""P-values that are adjusted so that they hold for all differences at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dd_ray.results.comparisons.levels import LEVEL
from dd_ray.results.comparisons.spread import Array


def stepwise(statistics: Array, chance: Callable[[NDArray[Any], float], float]) -> Array:
    """Adjust p-values from the largest statistic down: each is the chance that any of those left reaches it.

    Those after a p-value above `LEVEL` are at least as large, and are set to the same.
    """
    order, adjusted, highest = np.argsort(-statistics, kind="stable"), np.empty(len(statistics)), 0.0
    for step, place in enumerate(order):
        if highest <= LEVEL:
            highest = max(highest, chance(order[step:], float(statistics[place])))
        adjusted[place] = highest
    return adjusted


def holm(p_values: Array) -> Array:
    """Adjust p-values so that they hold for all at once, whatever their dependence (Holm 1979, p. 67).

    p̃_(k) = max over j ≤ k of min(1, (M − j + 1) p_(j)), from the smallest up. NaN does not count and stays NaN.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int((~np.isnan(p_values)).sum())]
    left = len(order) - np.arange(len(order))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, left * p_values[order]))
    return adjusted


def by_own_variance(differences: Array) -> Array:
    """Compute p-values of each difference by Student's paired t, adjusted by Holm."""
    p_values = scipy.stats.ttest_1samp(differences, 0.0, axis=1, nan_policy="omit").pvalue
    return holm(np.asarray(p_values, np.float64))
