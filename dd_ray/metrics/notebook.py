"""The two numbers of the original study's notebook (github.com/zahariaa/disentangled-dynamics).

Kept to compare with what it published; neither is a score of disentanglement.

Shapes: F factors, S values that each is swept over, L latents.
"""

import numpy as np

from dd_ray.metrics.arrays import Array, Mask, check_videos, correlations, masked

NUM_STEPS = 16
"""Number of values of a sweep, equally spaced over [0, 1]."""


def notebook_sweeps(num_factors: int) -> Array:
    """Return factors [F, 16, F] of the sweeps: entry f moves factor f over [0, 1] with the others at ½."""
    factors = np.full((num_factors, NUM_STEPS, num_factors), 0.5)
    swept = np.arange(num_factors)
    factors[swept, :, swept] = np.linspace(0, 1, NUM_STEPS)
    return factors


def mean_squared_cross_correlation(responses: Array, mask: Mask | None = None) -> float:
    """Mean of (corr(z_i, z_j) − 1{i = j})² over all L² pairs of latents and all responses to the sweeps.

    Args:
        responses: [F, S, L] latents of `notebook_sweeps`.
        mask: [L], which latents to look at.

    Returns:
        In [0, 1 − 1/L]; 0 if no two latents respond together. It tells nothing of the factors: noise has
        about 1/(F·S). NaN if there is no latent.

    Raises:
        ValueError: the responses are not [F, S, L], or see `masked`.

    Source: the notebook's `mean_squared_cross_correlations`. Cost: none.
    """
    check_videos("[F, S, L]", responses)
    flat = np.concatenate(masked(responses, mask))
    squares = np.square(correlations(flat, flat))
    np.fill_diagonal(squares, 0)
    return float(squares.mean()) if squares.size else float("nan")


def mean_squared_sweep_correlation(responses: Array, mask: Mask | None = None) -> float:
    """Mean over factors f and latents j of corr(f, z_j)² within the sweep of f.

    Args:
        responses: [F, S, L] latents of `notebook_sweeps`.
        mask: [L], which latents to look at.

    Returns:
        In [0, 1]. The perfect encoder has the lowest value of a code that says anything, 1/L, as only one
        latent follows a factor. A response counts whatever its size, so latents that hardly move, and
        drift, count as much as those that follow. NaN if there is no latent.

    Raises:
        ValueError: the responses are not [F, S, L], or see `masked`.

    Source: the notebook's `mean_squared_corr_true_learned`. Cost: none.
    """
    check_videos("[F, S, L]", responses)
    responses = masked(responses, mask)
    swept = np.linspace(0, 1, responses.shape[1])[:, None]
    squares = np.square([correlations(response, swept) for response in responses])
    return float(squares.mean()) if squares.size else float("nan")
