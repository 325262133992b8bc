"""Compares arms of a grid at equal KL, which shows changes that β alone could not have made.

γ and λ change the KL of a network, as β does, and its scores depend on the KL: at equal β two arms differ in both. Here
the score of an arm, for one seed, is a function of the KL: its points are the values of β, with straight lines between.
Two arms are compared over the KL that both reach with every seed, and not beyond.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from dd_ray.metrics import described
from dd_ray.results.arms import Arm, arms_of
from dd_ray.results.comparisons import holm, interval_that_tells
from dd_ray.results.tradeoffs import DISTORTION, RATE

POINTS = 3
"""Number of KL at which arms are compared: the ends of the range that both reach, and its middle."""

Array = NDArray[np.float64]
Curve = tuple[Array, Array]
"""KL and score of one seed at each β, sorted by KL."""


def at_equal_rate(trials: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Compute differences of arms to the baseline (`dd_ray.results.arms`) at equal KL, paired by seed.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        metrics: columns. Networks without an active unit count only for reconstruction, since their scores mean
            nothing.

    Returns:
        Rows for each arm and metric: one for the mean difference over all KL that both reach with every seed, and one
            at each of `POINTS` KL. Columns: `arm`, `baseline`, `metric`, `kl_from`, `kl_to`; `difference` with its 95%
            interval by Student's t, `ci_low`, `ci_high`, which are NaN for one seed, for seeds that agree and for
            counts; `p_value`, and `p_holm`, adjusted for all rows of the metric; `seeds`. An arm that has no KL in
            common with the baseline has one row without numbers. If β is not swept beside other settings, there are no
            rows.
    """
    arms = arms_of(trials)
    if arms is None or arms.beta is None:
        return pd.DataFrame()
    tables = []
    for metric in metrics:
        base = _curves(arms.baseline, metric)
        rows = [
            {"arm": arm.name, "baseline": arms.baseline.name, "metric": metric, **row}
            for arm in arms.others
            for row in _rows(_curves(arm, metric), base, described(metric).count)
        ]
        table = pd.DataFrame(rows)
        tables.append(table.assign(p_holm=holm(table["p_value"].to_numpy(float))))
    return pd.concat(tables, ignore_index=True)


def mean_difference(one: Curve, other: Curve, low: float, high: float) -> float:
    """Compute the exact mean difference of two curves over a range of KL: ∫ (f(k) − g(k)) dk / (high − low)."""
    knots = np.concatenate([one[0], other[0], [low, high]])
    knots = np.unique(knots[(knots >= low) & (knots <= high)])
    return float(np.trapezoid(_difference(one, other, knots), knots) / (high - low))


def _difference(one: Curve, other: Curve, rates: Array) -> Array:
    return np.interp(rates, *one) - np.interp(rates, *other)


def _curves(arm: Arm, metric: str) -> dict[int, Curve]:
    """Return the curve of each seed that has at least two KL."""
    trials = arm.trials.dropna(subset=[RATE, metric])
    if metric != DISTORTION and "active_units" in trials:
        trials = trials[trials["active_units"] > 0]
    curves = {}
    for seed, of_seed in trials.groupby("seed"):
        by_rate = of_seed.groupby(RATE)[metric].mean()  # two β with the same KL are averaged
        if len(by_rate) > 1:
            curves[int(str(seed))] = by_rate.index.to_numpy(float), by_rate.to_numpy(float)
    return curves


def _rows(curves: dict[int, Curve], base: dict[int, Curve], count: bool) -> list[dict[str, float]]:
    seeds = sorted(curves.keys() & base.keys())
    pairs = [(curves[seed], base[seed]) for seed in seeds]
    low = max((float(curve[0][0]) for pair in pairs for curve in pair), default=math.nan)
    high = min((float(curve[0][-1]) for pair in pairs for curve in pair), default=math.nan)
    if not low < high:
        return [_row(np.full(1, math.nan), math.nan, math.nan, count)]
    rates = np.linspace(low, high, POINTS)
    along = np.array([mean_difference(*pair, low, high) for pair in pairs])
    at = np.array([_difference(*pair, rates) for pair in pairs])
    points = [_row(at[:, i], float(rate), float(rate), count) for i, rate in enumerate(rates)]
    return [_row(along, low, high, count), *points]


def _row(differences: Array, low: float, high: float, count: bool) -> dict[str, float]:
    mean, ci_low, ci_high = map(float, interval_that_tells(differences))
    numbers = {"ci_low": ci_low, "ci_high": ci_high, "p_value": math.nan}
    if count or math.isnan(ci_low):
        numbers = dict.fromkeys(numbers, math.nan)
    else:
        numbers["p_value"] = float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)
    seeds = 0 if math.isnan(mean) else len(differences)
    return {"kl_from": low, "kl_to": high, "difference": mean, **numbers, "seeds": seeds}
