"""Tests which cells of a map differ: by a variance pooled over its cells, and bounds that hold for all of them.

Two or three seeds say little about the variance of one cell, but the seeds of all cells together say much if the cells
have equal variances. Many metrics have these only on another scale: an error varies in proportion to its size, a score
near 1 less than one in the middle. So the variance is pooled on the first of `SCALES` on which variances are alike. If
there is none, a difference must hold by both the pooled variance and the cell's own. With two seeds, variances that
differ seldom show.

Of 32 differences on a map, one or two exceed their own 95% interval by chance alone. `told_apart` gives p-values that
hold for the map as a whole: the chance that it shows any such difference if there is none.

Shapes: C cells, M differences, S seeds; NaN where a cell lacks a seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dd_ray.metrics import Interval, seed_interval

Array = NDArray[np.float64]

LEVEL = 0.05
"""Chance of a false mark on a map; intervals have a confidence of 1 less this."""
CLEARLY = 0.01
"""Chance that cells of equal variances count as unlike their references; it costs as many maps their certainty."""
FEWEST_SEEDS_TO_FLIP = 6
"""The fewest seeds for a test by flips of signs: with five, its smallest p-value is 2 of 32, more than `LEVEL`."""
MOST_SEEDS_TO_FLIP_ALL = 12
FLIPS = 2048
"""Number of flips, drawn at random if there are more."""
BEYOND_QUADRATURE = 1e-9
"""Chances below it are less than the error of the integral that gives them."""
SPREAD = 1e-9
"""Values whose difference is no more than this part of their size differ by rounding alone."""


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
    """Derivative of `of`, by which a deviation of a score becomes one on the scale."""

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
    values = values[_differs(values)]
    for scale in scales:
        if len(values) and scale.holds(values) and are_alike(scale.of(values)):
            return Variance(scale=scale.name, alike=True, **_pooled(scale.of(values)))
    return Variance(scale=SCALES[0].name, alike=False, **_pooled(values))


def _pooled(values: Array) -> dict[str, float]:
    if not len(values):
        return {"deviation": np.nan, "degrees": 0.0}
    size = _size(values)
    values = values / size
    present = ~np.isnan(values)
    away = np.where(present, values - np.nanmean(values, axis=1, keepdims=True), 0.0)
    degrees = float(present.sum() - len(values))
    seeds = int(present.any(axis=0).sum()) - 1
    total = float((away**2).sum())
    of_seeds = float((away.sum(axis=0) ** 2 / np.maximum(present.sum(axis=0), 1)).sum())
    rest, degrees_of_rest = max(0.0, total - of_seeds), degrees - seeds
    spread = of_seeds**2 / seeds + (rest**2 / degrees_of_rest if degrees_of_rest > 0 else 0.0)
    return {"deviation": size * float(np.sqrt(total / degrees)), "degrees": min(degrees, total**2 / spread)}


def _size(values: Array) -> float:
    """Return the power of two that is nearest below the largest size of some values.

    Over it their squares, and the squares of these, are no more than a double holds; a ratio of sums stays the same.
    """
    return float(np.ldexp(1.0, int(np.frexp(np.nanmax(np.abs(values)))[1]) - 1))


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
    variances = np.nanvar(values / _size(values), axis=1, ddof=1)
    total = degrees.sum()
    pooled = (degrees * variances).sum() / total
    with np.errstate(divide="ignore"):  # one may be too small for a double beside another
        statistic = total * np.log(pooled) - (degrees * np.log(variances)).sum()
    correction = 1 + ((1 / degrees).sum() - 1 / total) / (3 * (len(values) - 1))
    # Of equal variances it is 0, and by rounding less, where the distribution is not defined.
    return bool(scipy.special.chdtrc(len(values) - 1, np.maximum(0.0, statistic / correction)) >= level)


def _differs(values: Array) -> NDArray[np.bool_]:
    """Return [C], whether a cell has two seeds that differ by more than rounding."""
    some = (~np.isnan(values)).sum(axis=1) > 1
    size = np.where(some, np.nanmax(np.abs(values), axis=1, initial=0.0), 0.0)
    span = np.nanmax(values, axis=1, initial=-np.inf) - np.nanmin(values, axis=1, initial=np.inf)
    return some & (span > SPREAD * size)


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

        ȳ_c ± t_{ν, 0.975} s / (|g'(ȳ_c)| √n_c),   g the scale on which variances are alike, to first order

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
    known = _differs(values) | ((number == 1) & variance.alike)
    values, number = values[known], number[known]
    scale = next(each for each in SCALES if each.name == variance.scale)
    means = np.nanmean(values, axis=1)
    within = (means > scale.low) & (means < scale.high)  # a single seed may lie outside of the scale
    slope = np.where(within, scale.slope(np.where(within, means, 0.5)), np.nan)
    error[known] = variance.deviation / (np.abs(slope) * np.sqrt(number))
    half[known] = _student(variance.degrees) * error[known]
    if not variance.alike:
        size = _size(values)
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
    tells = _differs(np.asarray(values, np.float64)[None])[0]
    return found if tells else Interval(found.estimate, *np.full((2, *found.estimate.shape), np.nan))


def _student(degrees: ArrayLike) -> Array:
    return np.asarray(scipy.special.stdtrit(degrees, 1 - LEVEL / 2), np.float64)


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
        return f"{self.number} difference{'s' if self.number != 1 else ''}: {', '.join(ways)}"

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
    compared = np.flatnonzero(_differs(y - r)) if len(y) else np.zeros(0, int)
    if not len(compared):
        return Comparisons(p_values=p_values, number=0, scale=SCALES[0].name, alike=True, flipped=False)
    paired = ~np.isnan(y - r)[compared].all(axis=0)  # seeds that at least one difference has
    y, r = y[compared][:, paired], r[compared][:, paired]
    named = np.unique(np.asarray(groups)[compared], return_inverse=True)[1]
    scale, alike, differences = _on_scale(y, r, named)
    differences = differences / _size(differences)  # all statistics are ratios
    found = [_dunnett(differences, named, least)]
    flipped = bool(differences.shape[1] >= FEWEST_SEEDS_TO_FLIP and not np.isnan(differences).any())
    if flipped:
        found.append(by_flips(differences))
    if not alike:
        found.append(_by_own_variance(differences))
    p_values[compared] = np.max(found, axis=0)
    return Comparisons(p_values=p_values, number=len(compared), scale=scale, alike=alike, flipped=flipped)


def _on_scale(y: Array, r: Array, groups: NDArray[np.integer]) -> tuple[str, bool, Array]:
    """Return the first scale on which variances are alike, whether there is one, and the differences on it.

    Those of the cells must be, references among them: if a reference varies more than the cells, so do all differences
    to it, and alike, but by more than cells and reference together tell.
    """
    paired = np.where(np.isnan(y), np.nan, r)
    references = [np.fmax.reduce(paired[groups == group]) for group in np.unique(groups)]
    for scale in SCALES:
        if scale.holds(y) and scale.holds(paired):
            differences = scale.of(y) - scale.of(r)
            cells = _residuals(scale.of(np.vstack([y, *references])))
            if are_alike(differences) and are_alike(cells, CLEARLY):
                return scale.name, True, differences
    return SCALES[0].name, False, y - r


def _residuals(values: Array) -> Array:
    """Return what is left of scores [C, S], in units of their size, without the means of cells and then of seeds."""
    values = values / _size(values)
    away = values - np.nanmean(values, axis=1, keepdims=True)
    return np.asarray(away - np.nanmean(away, axis=0), np.float64)


def _dunnett(differences: Array, groups: NDArray[Any], least: float) -> Array:
    number = (~np.isnan(differences)).sum(axis=1)
    squares, degrees = _residual_squares(differences, groups)
    if degrees <= 0 or squares <= 0:
        return np.ones(len(differences))
    statistics = np.abs(np.nanmean(differences, axis=1)) / np.sqrt(squares / degrees * 2 / number)
    if np.isnan(differences).any():
        # Taken as independent, which is cautious (Šidák 1967, JASA 62, p. 626).
        groups = np.arange(len(differences))
    singly = 2 * scipy.special.stdtr(degrees, -statistics)

    def chance(left: NDArray[Any], bound: float) -> float:
        at_most = len(left) * float(singly[left[0]])
        return at_most if at_most < least else chance_beyond(bound, groups[left], degrees)

    return _stepwise(statistics, chance)


def _stepwise(statistics: Array, chance: Callable[[NDArray[Any], float], float]) -> Array:
    """Adjust p-values from the largest statistic down: each is the chance that any of those left reaches it.

    Those after a p-value above `LEVEL` are at least as large, and are set to the same.
    """
    order, adjusted, highest = np.argsort(-statistics, kind="stable"), np.empty(len(statistics)), 0.0
    for step, place in enumerate(order):
        if highest <= LEVEL:
            highest = max(highest, chance(order[step:], float(statistics[place])))
        adjusted[place] = highest
    return adjusted


def _residual_squares(differences: Array, groups: NDArray[np.integer]) -> tuple[float, int]:
    """Sum the residual squares of all groups, and return their degrees of freedom as well.

    The reference of a group is included as the cell whose difference is 0.
    """
    if not np.isnan(differences).any():
        return _complete_residual_squares(differences, groups)
    squares, degrees = 0.0, 0
    for group in np.unique(groups):
        of_group = differences[groups == group]
        reference = np.where(np.isnan(of_group).all(axis=0), np.nan, 0.0)
        found, free = residual_squares(np.vstack([reference, of_group]))
        squares, degrees = squares + found, degrees + free
    return squares, degrees


def _complete_residual_squares(differences: Array, groups: NDArray[np.integer]) -> tuple[float, int]:
    """The same without a missing seed, where effects of cells and of seeds are plain means."""
    belongs = (groups == np.unique(groups)[:, None]).astype(float)  # [groups, M]
    of_seeds = belongs @ differences / (1 + belongs.sum(axis=1, keepdims=True))  # [groups, S]
    of_seeds -= of_seeds.mean(axis=1, keepdims=True)
    rest = differences - differences.mean(axis=1, keepdims=True) - belongs.T @ of_seeds
    return float((rest**2).sum() + (of_seeds**2).sum()), differences.shape[0] * (differences.shape[1] - 1)


def residual_squares(values: Array) -> tuple[float, int]:
    """Minimise Σ (y_cs − μ_c − b_s)² over cells' means μ and seeds' b; return it and its degrees of freedom.

    Args:
        values: [C, S].
    """
    present = ~np.isnan(values)
    if values.size and present.all():  # then both are plain means
        rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
        return float((rest**2).sum()), (values.shape[0] - 1) * (values.shape[1] - 1)
    cell, seed = np.nonzero(present)
    y = values[cell, seed]
    design = np.hstack([cell[:, None] == np.arange(len(values)), seed[:, None] == np.arange(values.shape[1])])
    solution, _, rank, _ = np.linalg.lstsq(design.astype(float), y, rcond=None)
    return float(((y - design @ solution) ** 2).sum()), len(y) - int(rank)


@lru_cache(maxsize=1)
def _nodes() -> tuple[Array, Array, Array, Array]:
    """Return nodes and weights of quadratures over |z|, z ~ N(0, 1), and over quantiles in (0, 1).

    Quantiles are u⁶ of evenly spread u, since with few degrees of freedom a large T comes from the smallest s alone.
    """
    z, of_z = np.polynomial.hermite_e.hermegauss(80)
    z, of_z = z[40:], of_z[40:]  # the others are their negatives
    u, of_u = np.polynomial.legendre.leggauss(40)
    u, of_u = (u + 1) / 2, of_u / 2
    return z, of_z / of_z.sum(), u**6, of_u * 6 * u**5


@lru_cache(maxsize=64)
def _deviations(degrees: float) -> Array:
    """Return the quantiles of s at the nodes, with ν s² ~ χ²_ν."""
    return np.asarray(np.sqrt(2 * scipy.special.gammaincinv(degrees / 2, _nodes()[2]) / degrees), np.float64)


def chance_beyond(bound: float, groups: NDArray[np.integer], degrees: float) -> float:
    """Compute the chance that the largest |T| exceeds a bound if there is no effect.

        ∫ dF(s) (1 − Π_g ∫ φ(z) [Φ(z + √2 s t) − Φ(z − √2 s t)]^{k_g} dz),   ν s² ~ χ²_ν

    The T of a group share their reference z, and all share s (Dunnett 1955, eq. 3, two-sided and with groups).

    Args:
        bound: t.
        groups: [M] number of the reference of each difference; k_g is how often g is among them.
        degrees: ν.

    Returns:
        Where it is below `BEYOND_QUADRATURE`, the sum of the single chances, which is no less.
    """
    at_most = 2 * len(groups) * float(scipy.special.stdtr(degrees, -bound))
    if at_most < BEYOND_QUADRATURE:
        return at_most
    z, of_z, _, of_u = _nodes()
    s = _deviations(degrees)
    reach = np.sqrt(2) * s[:, None] * bound  # [quantiles, 1]
    within = scipy.special.ndtr(z + reach) - scipy.special.ndtr(z - reach)  # [quantiles, normal nodes]
    of_size = np.bincount(np.bincount(groups))  # how many groups have no, one, two ... differences
    of_groups = [((within**k) @ of_z) ** of_size[k] for k in range(1, len(of_size)) if of_size[k]]
    return float(min(1.0, of_u @ (1 - np.prod(of_groups, axis=0))))


def by_flips(differences: Array) -> Array:
    """Compute adjusted p-values of the largest |mean| under flips of the signs of whole seeds.

    Args:
        differences: [M, S], without NaN.
    """
    seeds = differences.shape[1]
    if seeds <= MOST_SEEDS_TO_FLIP_ALL:
        # The last seed keeps its sign, since flipping all signs leaves absolute values the same.
        bits = np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds) & 1
    else:
        bits = np.random.default_rng(0).integers(2, size=(FLIPS, seeds))
        bits[0] = 0  # as measured
    means = np.abs((1.0 - 2.0 * bits) @ differences.T) / seeds  # [flips, differences]
    measured = means[0]
    rising = np.argsort(-measured, kind="stable")[::-1]
    largest = np.maximum.accumulate(means[:, rising], axis=1)  # of the first, of the first two ...: of those left
    return _stepwise(measured, lambda left, bound: float((largest[:, len(left) - 1] >= bound * (1 - SPREAD)).mean()))


def _by_own_variance(differences: Array) -> Array:
    """Compute p-values of each difference by Student's paired t, adjusted by Holm."""
    # Not at the top: it takes a second, which a dry run, --help and wrong options do without.
    from scipy import stats  # noqa: PLC0415

    p_values = stats.ttest_1samp(differences, 0.0, axis=1, nan_policy="omit").pvalue
    return holm(np.asarray(p_values, np.float64))


def holm(p_values: Array) -> Array:
    """Adjust p-values so that they hold for all at once, whatever their dependence (Holm 1979, p. 67).

    p̃_(k) = max over j ≤ k of min(1, (M − j + 1) p_(j)), from the smallest up. NaN does not count and stays NaN.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int((~np.isnan(p_values)).sum())]
    left = len(order) - np.arange(len(order))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, left * p_values[order]))
    return adjusted


def expected_largest(number: int) -> float:
    """Return the mean of the largest of k standard normal variables: ∫₀^∞ 1 − Φ(x)^k − Φ(−x)^k dx.

    If all of k cells are equal, the best of them looks better than it is by so many standard errors.
    """
    x = np.linspace(0, 9, 1000)
    mean = float(np.trapezoid(1 - scipy.special.ndtr(x) ** number - scipy.special.ndtr(-x) ** number, x))
    return max(0.0, mean)  # of one it is 0, but for rounding
