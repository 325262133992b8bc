"""Effects of a grid's axes: by how much a value changes a metric, and two values together.

With seeds as blocks, y_cs = μ_c + b_s + ε: a trial's score is the sum of its cell's score, a part that all cells of its
seed share, and a residual with the same variance for all. Within a seed the weights of an effect sum to 0, so the
blocks drop out of it.

- A *main effect* of a value is the mean difference to the axis's lowest value, over trials that differ in it alone.
- An *interaction* of two values is the mean of (y_ab − y_0b) − (y_a0 − y_00): by how much one effect differs between
  the other axis's value and its lowest value.

On a balanced grid these are the differences of marginal means, and their intervals are those of an analysis of variance
in blocks. If trials are missing, only differences with all their trials count, and an effect without any is left out.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from dd_ray.errors import UserError
from dd_ray.metrics import described
from dd_ray.results.averages import COMPLETE
from dd_ray.results.comparisons import LEVEL, SPREAD, holm, residual_squares
from dd_ray.results.summary import Summary

Array = NDArray[np.float64]
Change = Mapping[str, tuple[Any, Any]]
"""For one or two axes: the lowest value, and the value that is compared with it."""
Point = tuple[Any, ...]
"""The values of all axes, and the seed, of a trial; or some of them."""


@dataclass(frozen=True, kw_only=True)
class _Contrast:
    """An effect as a weighted sum of scores."""

    change: Change
    weights: Array
    """Of each trial, [N]."""
    pairs: int
    """Number of differences that the effect is the mean of."""
    seeds: int


def effects(summary: Summary) -> pd.DataFrame:
    """Compute main effects and two-way interactions of a summary's axes.

    Args:
        summary: summary of the metrics themselves, without a reference.

    Returns:
        A row for each metric and effect: `metric`; `axis`, `value` and `lowest`, and for an interaction `other_axis`,
            `other_value` and `other_lowest`; `effect` with its 95% interval `ci_low`, `ci_high`; `p_value`, by
            Student's t, and `p_holm`, adjusted for all effects of the metric (Holm 1979); `seeds`; and `pairs`, the
            number of differences that it is the mean of. There are no intervals without a spread, with one seed, and
            for counts.

    Raises:
        UserError: no axis has two values, or no two trials differ in one alone.
    """
    axes, trials = list(summary.layout.axes), summary.trials[summary.trials["mark"] == COMPLETE]
    changes = [*_changes(trials, axes, 1), *_changes(trials, axes, 2)]
    if not changes:
        raise UserError("no axis of this sweep has two values that are complete, so there is no effect to show.")
    metrics = list(dict.fromkeys(summary.cells["metric"]))
    contrasts: dict[tuple[Any, ...], list[_Contrast]] = {}  # most metrics are known of the same trials
    tables = []
    for metric in metrics:
        scores = _grid(trials, axes, metric)
        points = tuple(scores.index)
        if points not in contrasts:
            contrasts[points] = _contrasts(points, axes, changes)
        tables.append(_of_metric(scores, contrasts[points], metric))
    found = pd.concat(tables, ignore_index=True)
    if found.empty:
        raise UserError("no two complete trials of this sweep differ in one axis alone, so there is no effect to show.")
    return found


def _changes(trials: pd.DataFrame, axes: Sequence[str], number: int) -> list[Change]:
    """List the changes from the lowest value of one axis, or of two, to each other value."""
    values = {axis: sorted(trials[axis].unique()) for axis in axes}
    found: list[Change] = []
    for some in itertools.combinations(axes, number):
        for others in itertools.product(*(values[axis][1:] for axis in some)):
            found.append({axis: (values[axis][0], other) for axis, other in zip(some, others, strict=True)})
    return found


def _grid(trials: pd.DataFrame, axes: Sequence[str], metric: str) -> "pd.Series[float]":
    """Return the scores, indexed by the values of the axes and the seed."""
    names = [*axes, "seed"]
    return trials[[*names, metric]].dropna(subset=[metric]).drop_duplicates(names).set_index(names)[metric]


def _of_metric(scores: "pd.Series[float]", contrasts: Sequence[_Contrast], metric: str) -> pd.DataFrame:
    values = scores.to_numpy(float)
    deviation, degrees = (math.nan, 0) if described(metric).count else _deviation(scores)
    rows = []
    for contrast in contrasts:
        effect = float(contrast.weights @ values)
        effect = 0.0 if abs(effect) <= SPREAD * float(np.abs(values).max()) else effect
        error = deviation * float(np.linalg.norm(contrast.weights))
        half = float(scipy.special.stdtrit(degrees, 1 - LEVEL / 2)) * error if degrees else math.nan
        p_value = float(2 * scipy.special.stdtr(degrees, -abs(effect) / error)) if degrees else math.nan
        numbers = {"effect": effect, "ci_low": effect - half, "ci_high": effect + half, "p_value": p_value}
        counts = {"seeds": contrast.seeds, "pairs": contrast.pairs}
        rows.append({"metric": metric, **_named(contrast.change), **numbers, **counts})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p_value"].to_numpy(float))) if rows else table


def _named(change: Change) -> dict[str, Any]:
    (axis, (lowest, value)), *others = change.items()
    named = {"axis": axis, "value": value, "lowest": lowest, "other_axis": "", "other_value": "", "other_lowest": ""}
    for axis, (lowest, value) in others:
        named |= {"other_axis": axis, "other_value": value, "other_lowest": lowest}
    return named


def _deviation(scores: "pd.Series[float]") -> tuple[float, int]:
    """Return the residual deviation of a trial, and its degrees of freedom, which are 0 without a spread."""
    wide = scores.unstack("seed").to_numpy(float)
    squares, degrees = residual_squares(wide)
    rounding = SPREAD * float(np.nanmax(np.abs(wide), initial=0.0))
    if not degrees or math.sqrt(squares / degrees) <= rounding:
        return math.nan, 0
    return math.sqrt(squares / degrees), degrees


def _contrasts(points: Sequence[Point], axes: Sequence[str], changes: Sequence[Change]) -> list[_Contrast]:
    """List the effects that can be computed from the trials at some points."""
    numbers = {point: number for number, point in enumerate(points)}
    found, grouped = [], {}
    for change in changes:
        at = tuple(axes.index(axis) for axis in change)
        if at not in grouped:
            grouped[at] = _by_values(points, at)
        changed = grouped[at].get(tuple(value for _, value in change.values()), ())
        weights, pairs = _weights(numbers, changed, at, change)
        if pairs:  # else the sweep has no trials that differ in this alone
            seeds = len({point[-1] for point, weight in zip(points, weights, strict=True) if weight})
            found.append(_Contrast(change=change, weights=weights, pairs=pairs, seeds=seeds))
    return found


def _by_values(points: Sequence[Point], at: Sequence[int]) -> dict[Point, list[Point]]:
    """Group points by their values on some axes."""
    grouped: dict[Point, list[Point]] = {}
    for point in points:
        grouped.setdefault(tuple(point[i] for i in at), []).append(point)
    return grouped


def _weights(
    points: Mapping[Point, int], changed: Sequence[Point], at: Sequence[int], change: Change
) -> tuple[Array, int]:
    """Return the weight of each trial in an effect, and the number of differences that the effect is the mean of.

    Args:
        points: of all trials, with their numbers.
        changed: those with the values that the change is to.
        at: where in a point the changed axes stand.
        change: what the effect is of.
    """
    weights, pairs = np.zeros(len(points)), 0
    for point in changed:
        partners = list(_partners(point, at, change))
        if all(partner in points for partner, _ in partners):
            pairs += 1
            for partner, sign in partners:
                weights[points[partner]] += sign
    return weights / max(pairs, 1), pairs


def _partners(point: Point, at: Sequence[int], change: Change) -> list[tuple[Point, int]]:
    """Return the trials of a difference, or of a difference of differences, with their signs."""
    found = [(point, 1)]
    for i, (lowest, _) in zip(at, change.values(), strict=True):
        found += [((*other[:i], lowest, *other[i + 1 :]), -sign) for other, sign in found]
    return found
