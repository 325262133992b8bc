"""Tests which cells of a map differ: by a variance pooled over its cells, and bounds that hold for all of them.

Two or three seeds say little about the variance of one cell, but the seeds of all cells together say much if the cells
have equal variances. Many metrics have these only on another scale: an error varies in proportion to its size, a score
near 1 less than one in the middle. So the variance is pooled on the first of `SCALES` on which variances are alike. If
there is none, a difference must hold by both the pooled variance and the cell's own. With two seeds, variances that
differ seldom show.

Of 32 differences on a map, one or two exceed their own 95% interval by chance alone. `told_apart` gives p-values that
hold for the map as a whole: the chance that it shows any such difference if there is none.

levels      chances of an error
spread      sizes of scores, and which seeds differ
variances   the variance between seeds, pooled over cells, and its scale
intervals   intervals of cells' means
luck        by how much the best of many looks better than it is
residuals   what is left of scores without the means of cells and seeds
adjusted    p-values that hold for all differences at once
flips       the test by flips of signs
dunnett     the test by Dunnett's bound
family      the differences of a map, and all tests of them
"""

from dd_ray.results.comparisons.adjusted import holm
from dd_ray.results.comparisons.dunnett import BEYOND_QUADRATURE
from dd_ray.results.comparisons.family import told_apart
from dd_ray.results.comparisons.flips import by_flips
from dd_ray.results.comparisons.intervals import interval_that_tells, pooled_widths
from dd_ray.results.comparisons.levels import LEVEL
from dd_ray.results.comparisons.luck import expected_largest
from dd_ray.results.comparisons.residuals import residual_squares
from dd_ray.results.comparisons.spread import SPREAD
from dd_ray.results.comparisons.variances import SCALES, Scale

__all__ = [
    "BEYOND_QUADRATURE",
    "LEVEL",
    "SCALES",
    "SPREAD",
    "Scale",
    "by_flips",
    "expected_largest",
    "holm",
    "interval_that_tells",
    "pooled_widths",
    "residual_squares",
    "told_apart",
]
