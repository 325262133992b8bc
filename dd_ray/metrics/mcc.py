"""MCC: does each factor have a latent of its own?"""

from typing import Literal

import numpy as np
import scipy

from dd_ray.metrics.arrays import Array, Mask, correlations, points, without_constants
from dd_ray.metrics.binning import ranks


def mean_correlation_coefficient(
    latents: Array,
    factors: Array,
    mask: Mask | None = None,
    *,
    method: Literal["pearson", "spearman"] = "pearson",
) -> float:
    """MCC: mean |correlation| of each factor with a latent of its own (Hyvärinen and Morioka 2016).

        MCC = max_π Σ_f |corr(z_π(f), f)| / F,   π one to one (Hungarian method)

    A factor that finds no latent counts 0, as does a latent that does not vary. One that does not vary is left out.

    Args:
        latents: [N, L].
        factors: [N, F].
        mask: [L], which latents to look at; none of them scores 0.
        method: correlation of the values (Pearson), 1 for affine maps of one factor, or of their ranks
            (Spearman), 1 for all strictly monotone ones.

    Returns:
        In [0, 1]; 1 if each factor has a latent that is a function, as above, of it alone. An untrained
        network has about 0.44 on circles with four latents, so compare with that, not with 0. It tells
        nothing of the latents that were not matched, and is blind to size.

    Raises:
        ValueError: there is no such method, or as of `linear_r2`.

    Cost: 1 ms for 4 latents and 10,000 points (Spearman 10 ms). Its error is of the order of 1/√N at any
    N, so it is silent about few points; `bootstrap_interval` tells it.
    """
    if method not in ("pearson", "spearman"):
        raise ValueError(f"there is no method {method!r}; give pearson or spearman.")
    latents, factors = points(latents, factors, mask)
    factors = without_constants(factors)
    if not factors.size:
        return float("nan")
    if method == "spearman":
        latents, factors = ranks(latents), ranks(factors)
    strength = np.abs(correlations(latents, factors))
    rows, columns = scipy.optimize.linear_sum_assignment(strength, maximize=True)
    return float(strength[rows, columns].sum() / factors.shape[1])
