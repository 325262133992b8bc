"""The test by Dunnett's bound: the chance that the largest of several differences to one reference exceeds it."""

from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dd_ray.results.comparisons.adjusted import stepwise
from dd_ray.results.comparisons.residuals import squares_of_groups
from dd_ray.results.comparisons.spread import Array

BEYOND_QUADRATURE = 1e-9
"""Chances below it are less than the error of the integral that gives them."""


def by_dunnett(differences: Array, groups: NDArray[Any], least: float) -> Array:
    """Compute adjusted p-values by Dunnett's bound, those below `least` as an upper bound.

    Args:
        differences: [M, S].
        groups: [M] number of the reference of each difference.
        least: see `told_apart`.
    """
    number = (~np.isnan(differences)).sum(axis=1)
    squares, degrees = squares_of_groups(differences, groups)
    statistics = np.abs(np.nanmean(differences, axis=1)) / np.sqrt(squares / degrees * 2 / number)
    if np.isnan(differences).any():
        # Taken as independent, which is cautious (Šidák 1967, JASA 62, p. 626).
        groups = np.arange(len(differences))
    singly = 2 * scipy.special.stdtr(degrees, -statistics)

    def chance(left: NDArray[Any], bound: float) -> float:
        at_most = len(left) * float(singly[left[0]])
        return at_most if at_most < least else chance_beyond(bound, groups[left], degrees)

    return stepwise(statistics, chance)


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
