"""The differences of a map, and tests that hold for all of them at once.

Shapes: C cells, M differences, S seeds; NaN where a cell lacks a seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dd_ray.command_line import counted
from dd_ray.results.comparisons.adjusted import by_own_variance
from dd_ray.results.comparisons.dunnett import BEYOND_QUADRATURE, by_dunnett
from dd_ray.results.comparisons.flips import FEWEST_SEEDS_TO_FLIP, by_flips
from dd_ray.results.comparisons.levels import CLEARLY, LEVEL
from dd_ray.results.comparisons.residuals import residuals
from dd_ray.results.comparisons.spread import Array, differs, size_of
from dd_ray.results.comparisons.variances import SCALES, are_alike


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """The differences of a map, with p-values."""

    p_values: Array
    """[M], adjusted for all differences of the map; NaN for those that are not compared."""
    number: int
    """Number of differences that were compared."""
    scale: str
    """Name of the scale on which they were compared."""
    alike: bool
    """True if their variances are alike on it. If not, each was tested by its own variance as well."""
    flipped: bool
    """True if there were enough seeds for a test by flips of signs, which had to agree."""

    @property
    def family(self) -> str:
        """The family of differences and the tests in words: `32 differences: Dunnett's bound, flips of signs`."""
        scale = "" if self.scale == "identity" else f" of {self.scale}s"
        ways = [f"Dunnett's bound{scale}", *["flips of signs"] * self.flipped, *["own variances"] * (not self.alike)]
        return f"{counted(self.number, 'difference')}: {', '.join(ways)}"

    @property
    def marked(self) -> NDArray[np.bool_]:
        """[M] the differences that are marked as not 0, with a chance of `LEVEL` that any of them is."""
        return np.nan_to_num(self.p_values, nan=1.0) <= LEVEL


def told_apart(
    scores: ArrayLike, references: ArrayLike, groups: ArrayLike, least: float = BEYOND_QUADRATURE
) -> Comparisons:
    """Compare cells with their references, paired by seed, with p-values that hold for all of them at once.

    A difference is d_m = mean over seeds of g(y_ms) − g(r_ms), on the scale g on which variances are alike.

    - *Dunnett's bound* (1955, Journal of the American Statistical Association 50, p. 1096) with seeds as blocks: the
      variance is that of the residuals from the means of cells and of seeds, within each group of cells that share
      a reference and pooled over the groups; T_m = d_m / (s √(2/n_m)). Each p-value is the chance that the largest
      |T| of the differences that are no larger reaches T_m, step by step as by Holm (1979, Scandinavian Journal of
      Statistics 6, p. 65).
    - *Flips of signs*, with at least `FEWEST_SEEDS_TO_FLIP` seeds and none missing: without an effect, all differences
      of a seed might as well have the other sign. The largest |d| of the flips is compared in the same steps
      (Westfall and Young 1993, algorithm 4.1). It does not assume normal scores.
    - *Own variance*, if variances are alike on no scale: Student's t of each, adjusted by Holm.

    A p-value is the largest of these that apply.

    Args:
        scores: [M, S].
        references: [M, S].
        groups: [M] number or name of each difference's reference, equal for those that share it.
        least: p-values by Dunnett's bound are exact from it on, and below it an upper bound, which takes a fraction of
            the time; with `LEVEL`, the same differences are marked.

    Returns:
        The comparisons, without p-values for differences with fewer than two seeds, or whose seeds all agree: a spread
        of 0 means that networks have learned nothing, or that a number cannot vary, and says nothing about other seeds.
    """
    y, r = np.asarray(scores, np.float64), np.asarray(references, np.float64)
    p_values = np.full(len(y), np.nan)
    compared = np.flatnonzero(differs(y - r))
    if not len(compared):
        return Comparisons(p_values=p_values, number=0, scale=SCALES[0].name, alike=True, flipped=False)
    paired = ~np.isnan(y - r)[compared].all(axis=0)  # seeds that at least one difference has
    y, r = y[compared][:, paired], r[compared][:, paired]
    named = np.unique(np.asarray(groups)[compared], return_inverse=True)[1]
    scale, alike, differences = _on_scale(y, r, named)
    differences = differences / size_of(differences)  # all statistics are ratios
    found = [by_dunnett(differences, named, least)]
    flipped = bool(differences.shape[1] >= FEWEST_SEEDS_TO_FLIP and not np.isnan(differences).any())
    if flipped:
        found.append(by_flips(differences))
    if not alike:
        found.append(by_own_variance(differences))
    p_values[compared] = np.max(found, axis=0)
    return Comparisons(p_values=p_values, number=len(compared), scale=scale, alike=alike, flipped=flipped)


def _on_scale(y: Array, r: Array, groups: NDArray[np.integer]) -> tuple[str, bool, Array]:
    """Return the first scale on which variances are alike, whether there is one, and the differences on it.

    Those of the cells must be, references among them: if a reference varies more than the cells, so do all differences
    to it, and alike, but by more than cells and reference together tell.
    """
    r = np.where(np.isnan(y), np.nan, r)
    references = [np.fmax.reduce(r[groups == group]) for group in np.unique(groups)]
    for scale in SCALES:
        if scale.holds(y) and scale.holds(r):
            differences = scale.of(y) - scale.of(r)
            cells = residuals(scale.of(np.vstack([y, *references])))
            # Factors that all seeds agree in have no spread on a scale of ratios, which says nothing of other seeds.
            if differs(differences).all() and are_alike(differences) and are_alike(cells, CLEARLY):
                return scale.name, True, differences
    return SCALES[0].name, False, y - r
