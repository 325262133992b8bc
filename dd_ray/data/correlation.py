"""Correlated factors: a Gaussian copula of two uniform numbers.

    b = Φ(ρ Φ⁻¹(a) + √(1 − ρ²) Φ⁻¹(u)),    a, u uniform in [0, 1] and independent

is uniform in [0, 1], too, for any ρ; its rank correlation with a (Spearman's) is 6/π · asin(ρ/2), see Kruskal 1958,
"Ordinal measures of association", sec. 6. A representation may fail to separate factors that are correlated in the data
(Träuble et al. 2021).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

_LEAST = 2.0**-53
"""Numbers are kept this far from 0 and 1, so that Φ⁻¹ is finite."""


def correlated(uniform: NDArray[Any], given: NDArray[Any], rho: float) -> NDArray[np.float64]:
    """Return uniform numbers b that are correlated with given ones, by the module's equation.

    Args:
        uniform: u, of any shape.
        given: a, which `uniform` broadcasts with.
        rho: ρ in [-1, 1].
    """
    a, u = (ndtri(np.clip(numbers, _LEAST, 1 - _LEAST)) for numbers in (given, uniform))
    correlated_ones: NDArray[np.float64] = ndtr(rho * a + np.sqrt(1 - rho**2) * u)
    return correlated_ones
