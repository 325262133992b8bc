"""What a map says of its cells beyond their means: intervals by the pooled variance, the best, and what differs from 0.

Shapes: C cells of one metric in one figure, S seeds.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.metrics import described
from dd_ray.results.averages import Floats, Part
from dd_ray.results.comparisons import LEVEL, SCALES, Scale, expected_largest, pooled_widths, told_apart


def pooled_intervals(part: Part, scores: Floats, scales: Sequence[Scale]) -> dict[str, NDArray[Any]]:
    """Return the ends of the interval that a map shows, its standard error and its scale; `scores` are [C, S]."""
    half, error, pooled = part.half.copy(), part.own_error, np.full(len(part.rows), "", object)
    if described(part.metric).count:
        half = np.full(len(half), math.nan)
    else:
        found = pooled_widths(scores[part.comparable], scales)
        sure = ~np.isnan(found.half)
        known = np.flatnonzero(part.comparable)[sure]
        half[known], error[known] = found.half[sure], found.error[sure]
        pooled[known] = found.variance.scale if found.variance.alike else "unlike"
    return {"low": part.mean - half, "high": part.mean + half, "error": error, "pooled": pooled}


def best_cells(part: Part, found: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the columns `best`, `in_best_region` and `luck`, which takes all cells of the region for equal."""
    better = described(part.metric).better
    best, region = best_region(part.mean, found["low"], found["high"], part.comparable, better)
    luck = np.where(best, found["error"] * expected_largest(int(region.sum())), math.nan)
    return {"best": best, "in_best_region": region, "luck": luck}


def best_region(
    mean: Floats, low: Floats, high: Floats, comparable: NDArray[np.bool_], better: str | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the best cell, and the cells whose 95% interval overlaps with its interval.

    Args:
        mean: [C] of the cells of one metric in one figure.
        low: [C] lower ends of their intervals; a cell without one is not considered.
        high: [C] upper ends.
        comparable: [C] the cells that are considered: complete, and without a collapsed seed.
        better: which values are better: min, max, or None if neither, and so no cell is the best.

    Returns:
        [C] whether each cell is the best, and whether it is in the region. No cell is if none has an interval, or if
        the region contains all candidates, since then no cell can be told apart.
    """
    none, candidates = np.zeros(len(mean), bool), comparable & ~np.isnan(low)
    if better is None or not candidates.any():
        return none, none
    worth = np.where(candidates, -mean if better == "min" else mean, -math.inf)
    best = np.arange(len(mean)) == np.argmax(worth)
    region = best | (candidates & (low <= high[best]) & (high >= low[best]))
    return (none, none) if np.array_equal(region, candidates) else (best, region)


def differing_cells(
    part: Part, differences: Floats, references: Floats, groups: NDArray[np.int_], least: float
) -> dict[str, NDArray[Any]]:
    """Return the intervals of differences [C, S], and the columns that say which are not 0."""
    here = part.comparable & (not described(part.metric).count)
    p_values = np.full(len(part.rows), math.nan)
    compared = told_apart(differences[here] + references[here], references[here], groups[here], least)
    p_values[here] = compared.p_values
    families = np.full(len(part.rows), compared.family if compared.number else "", object)
    marks = {"p_value": p_values, "differs": p_values <= LEVEL, "family": families}
    return pooled_intervals(part, differences, SCALES[:1]) | marks
