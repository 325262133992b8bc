"""The total correlation of a code taken as Gaussian: the dependence of its latents that covariances show."""

import numpy as np

from dd_ray.metrics.arrays import Array, varies


def gaussian_total_correlation(mu: Array, variance: Array) -> float:
    """Total correlation of the Gaussian that has the covariance of the aggregate posterior, in nats.

        TC = ½ (Σ_j log S_jj − log det S),   S = Cov_x[μ(x)] + diag(E_x[σ²(x)])

    S is the covariance of q(z) = E_x N(z; μ(x), σ²(x)), by the law of total variance, and TC is KL(N(0, S) ‖ Π_j
    N(0, S_jj)) (Cover and Thomas 2006, theorem 8.4.1, of which the densities are those of Gaussians).

    Args:
        mu: [N, L] means of the posteriors of N samples.
        variance: [N, L] their variances, 0 or more.

    Returns:
        At least 0, and 0 if no two latents are correlated. Unlike the total correlation of the mixture of N posteriors,
        which has holes between them that look like dependence, it does not grow as the posteriors get narrow: its
        error is of the order of L² / 4N. It is a lower bound where the latents are Gaussian one by one, and blind to
        what latents share beyond correlations, such as that one is the square of another. NaN where a mean or a
        variance is not finite, infinite where a latent follows from the others without error.

    Raises:
        ValueError: these are not [N, L] both, with a row at least, or a variance is negative.

    Cost: a pass over the latents.
    """
    mu, variance = np.asarray(mu, np.float64), np.asarray(variance, np.float64)
    if mu.ndim != 2 or mu.shape != variance.shape or not len(mu):
        raise ValueError(f"means {mu.shape} and variances {variance.shape} are not [N, L] of the same N ≥ 1 samples.")
    if (negative := variance[variance < 0]).size:
        raise ValueError(f"a variance is {negative.min():g}; give σ², which is 0 or more, and not its logarithm.")
    if not (np.isfinite(mu).all() and np.isfinite(variance).all()):
        return float("nan")
    covariance = np.atleast_2d(np.cov(mu, rowvar=False, bias=True)) + np.diag(variance.mean(axis=0))
    scale = np.sqrt(np.diag(covariance))
    # A constant latent shares nothing, though rounding may give it a variance.
    used = (scale > 0) & (varies(mu) | variance.any(axis=0))
    correlation = covariance[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    sign, logarithm = np.linalg.slogdet(correlation)
    return max(float(-logarithm / 2), 0.0) if sign > 0 else float("inf")
