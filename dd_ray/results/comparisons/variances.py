"""The variance between the seeds of a cell, pooled over cells, on the first scale on which variances are alike.

Shapes: C cells, S seeds; NaN where a cell lacks a seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from dd_ray.results.comparisons.levels import LEVEL
from dd_ray.results.comparisons.spread import Array, differs, size_of


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale on which the seeds of all cells may have equal variances."""

    name: str
    low: float
    """Values must be larger."""
    high: float
    """Values must be smaller."""
    of: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    """Derivative of `of`, above 0, by which a deviation of a score becomes one on the scale."""

    def holds(self, values: Array) -> bool:
        """Return whether the scale is defined for all values that are not NaN."""
        present = values[~np.isnan(values)]
        return bool(((present > self.low) & (present < self.high)).all())


SCALES = (
    Scale(name="identity", low=-np.inf, high=np.inf, of=lambda x: x, slope=np.ones_like),
    Scale(name="log", low=0.0, high=np.inf, of=np.log, slope=lambda x: 1 / x),
    Scale(
        name="logit",
        low=0.0,
        high=1.0,
        of=lambda x: scipy.special.logit(x),  # noqa: PLW0108  # SciPy loads it when it is first called
        slope=lambda x: 1 / (x * (1 - x)),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Variance:
    """The variance between the seeds of a cell, pooled over cells."""

    scale: str
    """Name of one of `SCALES`."""
    alike: bool
    """True if the cells' variances are alike on that scale. If they are on none, the scale is the identity."""
    deviation: float
    """Its square root, on the scale; NaN if no cell has two seeds that differ."""
    degrees: float
    """Degrees of freedom."""


def pooled_variance(scores: ArrayLike, scales: Sequence[Scale] = SCALES) -> Variance:
    """Compute the variance between the seeds of a cell, pooled over those cells whose seeds differ.

        s² = Σ_cs (y_cs − ȳ_c)² / (N − C),   N scores of C cells

    Its degrees of freedom are N − C if cells are independent. But all cells of a seed share its data, so they may rise
    and fall together, and then tell as little as one cell. So the squares are split into those of the means of seeds
    and the rest, and combined by Satterthwaite's rule (1946, Biometrics Bulletin 2, p. 110).

    Args:
        scores: [C, S].
        scales: scales to try until variances are alike; for differences, only the identity has a meaning.
    """
    values = np.asarray(scores, np.float64)
    values = values[differs(values)]
    for scale in scales:
        if len(values) and scale.holds(values) and are_alike(scale.of(values)):
            return Variance(scale=scale.name, alike=True, **_pooled(scale.of(values)))
    return Variance(scale=SCALES[0].name, alike=False, **_pooled(values))


def _pooled(values: Array) -> dict[str, float]:
    if not len(values):
        return {"deviation": np.nan, "degrees": 0.0}
    size = size_of(values)
    values = values / size
    present = ~np.isnan(values)
    away = np.where(present, values - np.nanmean(values, axis=1, keepdims=True), 0.0)
    degrees = float(present.sum() - len(values))
    seeds = int(present.any(axis=0).sum()) - 1
    total = float((away**2).sum())
    of_seeds = float((away.sum(axis=0) ** 2 / np.maximum(present.sum(axis=0), 1)).sum())
    rest, degrees_of_rest = total - of_seeds, degrees - seeds
    spread = of_seeds**2 / seeds + (rest**2 / degrees_of_rest if degrees_of_rest > 0 else 0.0)
    return {"deviation": size * float(np.sqrt(total / degrees)), "degrees": min(degrees, total**2 / spread)}


def are_alike(values: Array, level: float = LEVEL) -> bool:
    """Return whether cells may have equal variances: Bartlett's test (1937) does not reject it.

    Heavy tails of the scores make the test reject more often, which errs on the cautious side.

    Args:
        values: [C, S], each cell with two seeds that differ.
        level: chance to reject for normal scores of equal variances.
    """
    if len(values) < 2:
        return True
    degrees = (~np.isnan(values)).sum(axis=1) - 1.0
    variances = np.nanvar(values / size_of(values), axis=1, ddof=1)
    total = degrees.sum()
    pooled = (degrees * variances).sum() / total
    with np.errstate(divide="ignore"):  # one may be too small for a double beside another
        statistic = total * np.log(pooled) - (degrees * np.log(variances)).sum()
    correction = 1 + ((1 / degrees).sum() - 1 / total) / (3 * (len(values) - 1))
    # Of equal variances it is 0, and by rounding less, where the distribution is not defined.
    return bool(scipy.special.chdtrc(len(values) - 1, np.maximum(0.0, statistic / correction)) >= level)
